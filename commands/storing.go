package commands

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// putsAtOnce bounds how many blobs one encode stores at the same time: each waits for the disk or the network, and
// each holds its segment in memory.
const putsAtOnce = 8

// storing is an Output that stores what comes under a prefix of its own, several pieces at once, and keeps what the
// event will say about them. Runs never share a prefix, so a zombie cannot touch what its successor stored.
type storing struct {
	blobs  Blobs
	prefix string
	places chan struct{}
	puts   sync.WaitGroup

	mu         sync.Mutex
	err        error
	keys       []string
	renditions map[string]*storedRendition
	poster     *domain.PosterProduced
}

type storedRendition struct {
	init     domain.Blob
	codecs   string
	segments map[int]domain.Segment
}

func newStoring(blobs Blobs, t Task, piece string) (*storing, error) {
	run, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("name a run: %w", err)
	}
	return &storing{
		blobs: blobs, prefix: fmt.Sprintf("%s%s-%s/", attemptPrefix(t.Video, t.Attempt), piece, run),
		places: make(chan struct{}, putsAtOnce), renditions: map[string]*storedRendition{},
	}, nil
}

// put stores data in the background and then calls keep, under the lock, with the result.
func (s *storing) put(ctx context.Context, name string, data []byte, keep func(domain.Blob)) error {
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	key := s.prefix + name
	s.mu.Lock()
	err := s.err
	s.keys = append(s.keys, key)
	s.mu.Unlock()
	if err != nil {
		<-s.places
		return err
	}
	s.puts.Go(func() {
		defer func() { <-s.places }()
		blob, err := s.blobs.Put(ctx, key, bytes.NewReader(data))
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			if s.err == nil {
				s.err = fmt.Errorf("store %s: %w", key, err)
			}
			return
		}
		keep(blob)
	})
	return nil
}

// wait returns when everything handed in so far is stored, or the first error.
func (s *storing) wait() error {
	s.puts.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// stored waits and returns every key that may exist.
func (s *storing) stored() []string {
	_ = s.wait()
	return s.keys
}

func (s *storing) rendition(name string) *storedRendition {
	r := s.renditions[name]
	if r == nil {
		r = &storedRendition{segments: map[int]domain.Segment{}}
		s.renditions[name] = r
	}
	return r
}

// Init implements Output.
func (s *storing) Init(ctx context.Context, rendition, codecs string, data []byte) error {
	return s.put(ctx, rendition+"/init.mp4", data, func(b domain.Blob) {
		r := s.rendition(rendition)
		r.init, r.codecs = b, codecs
	})
}

// Segment implements Output.
func (s *storing) Segment(ctx context.Context, rendition string, m MediaSegment) error {
	index, duration, keyframes := m.Index, m.Duration, m.Keyframes
	return s.put(ctx, fmt.Sprintf("%s/%05d.m4s", rendition, index), m.Data, func(b domain.Blob) {
		s.rendition(rendition).segments[index] = domain.Segment{Blob: b, Duration: duration, Keyframes: keyframes}
	})
}

// Poster implements Output.
func (s *storing) Poster(ctx context.Context, p PosterImage) error {
	poster := domain.PosterProduced{Width: p.Width, Height: p.Height, Time: p.Time}
	return s.put(ctx, "poster.jpg", p.Data, func(b domain.Blob) {
		poster.Image = b
		s.poster = &poster
	})
}

// chunk says what was stored as the event that records it.
func (s *storing) chunk(t Task, plan domain.Plan) (domain.ChunkTranscoded, *domain.PosterProduced, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := domain.ChunkTranscoded{Attempt: t.Attempt, Chunk: t.Chunk}
	for _, rung := range plan.Encoded() {
		r := s.renditions[rung.Name]
		if r == nil || r.init.Key == "" {
			return e, nil, fmt.Errorf("chunk %d: the encoder gave no %s", t.Chunk, rung.Name)
		}
		c := domain.RenditionChunk{Name: rung.Name, Init: r.init, Codecs: r.codecs}
		for i := range len(r.segments) {
			segment, ok := r.segments[i]
			if !ok {
				return e, nil, fmt.Errorf("chunk %d: the encoder left segment %d of %s out", t.Chunk, i, rung.Name)
			}
			c.Segments = append(c.Segments, segment)
		}
		e.Renditions = append(e.Renditions, c)
	}
	if s.poster != nil {
		s.poster.Attempt = t.Attempt
	}
	return e, s.poster, nil
}

// part says the same of n segments of a track from first on. Attempt, Part and Final are the caller's.
func (s *storing) part(first, n int) domain.AudioTranscoded {
	s.mu.Lock()
	defer s.mu.Unlock()
	var e domain.AudioTranscoded
	for _, r := range s.renditions { // there is only one
		e.Init, e.Codecs = r.init, r.codecs
		for i := first; i < first+n; i++ {
			e.Segments = append(e.Segments, r.segments[i])
		}
	}
	return e
}
