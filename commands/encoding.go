package commands

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/cinelog/cinelog/domain"
)

// chunk encodes one chunk for all rungs and records it.
func (w *Worker) chunk(ctx context.Context, t Task) (err error) {
	needed := func(v domain.Video) error { return v.NeedsChunk(t.Attempt, t.Chunk) }
	v, err := w.wanted(ctx, t, needed)
	if err != nil {
		return err
	}
	release, err := w.slot(ctx, t.Chunk == 0 && len(v.Run.Plan.Chunks) > 1)
	if err != nil {
		return err
	}
	defer release()
	v, err = w.wanted(ctx, t, needed) // it may have taken long to get here
	if err != nil {
		return err
	}
	path, closeSource, err := w.source(ctx, v)
	if err != nil {
		return err
	}
	defer closeSource()
	out, err := newStoring(w.Service.Blobs, t, strconv.Itoa(t.Chunk))
	if err != nil {
		return err
	}
	plan := *v.Run.Plan
	// Somebody waits for chunk 0, so the poster comes with the next one where there is one.
	job := ChunkJob{
		Path: path, Source: *v.Run.Source, Plan: plan, Chunk: t.Chunk,
		Poster: !v.Run.HasPoster && t.Chunk == min(1, len(plan.Chunks)-1), Threads: w.share(plan, t.Chunk),
	}
	defer w.tell(ctx, t, strconv.Itoa(t.Chunk))(&err)
	err = w.watched(ctx, v, needed, func(ctx context.Context) error {
		return errors.Join(w.Encoder.EncodeChunk(ctx, job, out), out.wait())
	})
	if err != nil {
		w.Service.discard(ctx, out.stored()...)
		return err
	}
	event, poster, err := out.chunk(t, plan)
	if err != nil {
		w.Service.discard(ctx, out.stored()...)
		return err
	}
	err = w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordChunk(event, poster) })
	if errors.Is(err, domain.ErrSuperseded) { // after any other error the log may name the blobs
		w.Service.discard(ctx, out.stored()...)
	}
	return err
}

// tell logs when an encode begins, and what it returns logs when the result is recorded or the encode has failed: what
// was encoded twice is seen in the log.
func (w *Worker) tell(ctx context.Context, t Task, piece string) func(*error) {
	log := w.Log.With("video", string(t.Video), "attempt", t.Attempt, "piece", piece)
	log.DebugContext(ctx, "encode begins")
	return func(err *error) { log.DebugContext(ctx, "encode ends", "error", *err) }
}

// audioSegmentsPerPart is how many audio segments are reported together, once the first is out: more would keep
// viewers waiting behind the video, fewer would fill the log.
const audioSegmentsPerPart = 8

// audio encodes the audio track and records it part by part. Segments that an earlier try recorded are encoded again,
// because the track is one encode, but neither stored nor recorded.
func (w *Worker) audio(ctx context.Context, t Task) (err error) {
	needed := func(v domain.Video) error { return v.NeedsAudio(t.Attempt) }
	v, err := w.wanted(ctx, t, needed)
	if err != nil {
		return err
	}
	path, closeSource, err := w.source(ctx, v)
	if err != nil {
		return err
	}
	defer closeSource()
	out, err := newStoring(w.Service.Blobs, t, "audio")
	if err != nil {
		return err
	}
	parts := &audioParts{
		storing: out, skip: v.Run.Audio.Segments, next: v.Run.Audio.Parts, attempt: t.Attempt,
		record: func(ctx context.Context, e domain.AudioTranscoded) error {
			return w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordAudio(e) })
		},
	}
	defer w.tell(ctx, t, "audio")(&err)
	err = w.watched(ctx, v, needed, func(ctx context.Context) error {
		return errors.Join(w.Encoder.EncodeAudio(ctx, AudioJob{Path: path, Source: *v.Run.Source, Plan: *v.Run.Plan}, parts),
			out.wait())
	})
	if err == nil && !parts.final {
		err = errors.New("the audio encode ended without its last segment")
	}
	if err == nil {
		return nil
	}
	w.Service.discard(ctx, parts.unrecorded()...)
	if errors.Is(err, domain.ErrSuperseded) {
		// Another worker recorded a part first. If it is a zombie, nobody will record the rest unless this task comes
		// again.
		if _, check := w.wanted(ctx, t, needed); check == nil {
			return fmt.Errorf("audio of video %s: another worker was faster: %w", t.Video, domain.ErrConflict)
		}
	}
	return err
}

// audioParts is an Output that records audio segments in the order of their index, some at a time.
type audioParts struct {
	*storing

	record  func(context.Context, domain.AudioTranscoded) error
	attempt int
	skip    int // segments recorded before this run
	next    int // number of the next part

	mu       sync.Mutex
	pending  int // segments not recorded yet
	recorded int // segments recorded by this run
	unsure   bool
	final    bool
}

// Segment implements Output.
func (a *audioParts) Segment(ctx context.Context, rendition string, s MediaSegment) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Index < a.skip && !s.Last {
		return nil
	}
	if s.Index >= a.skip {
		if err := a.storing.Segment(ctx, rendition, s); err != nil {
			return err
		}
		a.pending++
	}
	if !s.Last && a.pending < audioSegmentsPerPart && a.skip+a.recorded > 0 {
		return nil
	}
	if err := a.wait(); err != nil {
		return err
	}
	event := a.audio(a.skip+a.recorded, a.pending)
	event.Attempt, event.Part, event.Final = a.attempt, a.next, s.Last
	if err := a.record(ctx, event); err != nil {
		a.unsure = !errors.Is(err, domain.ErrSuperseded)
		return err
	}
	a.recorded, a.pending, a.next, a.final = a.recorded+a.pending, 0, a.next+1, s.Last
	return nil
}

// unrecorded returns the keys that no event can name.
func (a *audioParts) unrecorded() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unsure || a.recorded > 0 { // the init segment is named; what is left over is swept when the attempt ends
		return nil
	}
	return a.stored()
}
