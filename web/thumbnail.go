package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// What thumbnails may cost: so many are made at once, each for so long, from so many bytes of media, and so many bytes
// of them are kept.
const (
	thumbnailsAtOnce = 2
	thumbnailWait    = time.Second // for a place
	thumbnailTime    = 10 * time.Second
	thumbnailSource  = 64 << 20
	thumbnailCache   = 32 << 20
)

type thumbnailInput struct {
	QueryHeaders
	VideoPath

	Time  float64 `query:"time" minimum:"0" doc:"Seconds from the start; the picture shown then"`
	Width int     `query:"width" minimum:"16" maximum:"1920" default:"640" doc:"In pixels; pictures are not made larger than they are"`
}

// thumbnails makes pictures, few at a time, and keeps those asked for last.
type thumbnails struct {
	places chan struct{}
	kept   *byteCache
}

func newThumbnails() *thumbnails {
	return &thumbnails{places: make(chan struct{}, thumbnailsAtOnce), kept: newByteCache(thumbnailCache)}
}

func (s *Server) thumbnail(ctx context.Context, in *thumbnailInput) (*huma.StreamResponse, error) {
	p, err := s.playable(ctx, in.QueryHeaders, in.ID)
	if err != nil {
		return nil, err
	}
	if s.Frames == nil {
		return nil, newProblem(http.StatusNotImplemented, "there is no FFmpeg here to take pictures with")
	}
	if math.IsNaN(in.Time) || in.Time > p.Duration {
		return nil, s.problem(ctx, "query", &domain.Invalid{Fields: []domain.FieldError{
			{Field: "time", Message: fmt.Sprintf("must be within the video, which lasts %.3f s", p.Duration)},
		}})
	}
	shot, ok := findShot(p, in.Time, in.Width)
	if !ok {
		return nil, s.problem(ctx, "path", fmt.Errorf("%w: that part of the video is not encoded yet", domain.ErrNotFound))
	}
	sum := sha256.Sum256([]byte(shot.name(p)))
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	return &huma.StreamResponse{Body: func(ctx huma.Context) { //nolint:contextcheck // huma's has the request's
		r, w := humachi.Unwrap(ctx)
		fresh := func() {
			w.Header().Set("Etag", tag)
			w.Header().Set("Cache-Control", "public, max-age=60") // another encode gives other pictures
		}
		if ifNoneMatch(r.Header.Get("If-None-Match"), tag) {
			fresh()
			w.WriteHeader(http.StatusNotModified)
			return
		}
		image, err := s.takeShot(r.Context(), tag, shot)
		if err != nil {
			s.writeError(w, r, err)
			return
		}
		fresh()
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Content-Length", strconv.Itoa(len(image)))
		done := s.allowFor(w, int64(len(image)))
		defer done()
		if r.Method != http.MethodHead {
			_, _ = w.Write(image)
		}
	}}, nil
}

// shot is one picture of one rendition.
type shot struct {
	init, segment domain.Blob
	offset, end   int64   // of the group of pictures in the segment
	at            float64 // seconds from the group's first picture
	frame         int     // number of the picture in the video, so that near times are one
	width         int
}

func (t shot) name(p projections.Playback) string {
	return fmt.Sprintf("%s/%d/%s/%d/%d", p.ID, p.Attempt, t.segment.Key, t.frame, t.width)
}

// findShot chooses the smallest rendition that is wide enough, and the group of pictures in it.
func findShot(p projections.Playback, at float64, width int) (s shot, ok bool) {
	if len(p.Renditions) == 0 {
		return s, false
	}
	r := p.Renditions[0]
	for _, other := range p.Renditions {
		if other.Width >= width && other.Width < r.Width {
			r = other
		}
	}
	s = shot{init: r.Init, width: width, frame: int(at*r.FrameRate.Float() + 1e-6)}
	begin := 0.0
	for i, segment := range r.Segments {
		last := i == len(r.Segments)-1
		if at >= begin+segment.Duration && (!last || !p.Complete) {
			begin += segment.Duration
			continue
		}
		s.segment, s.end, s.at = segment.Blob, segment.Bytes, at-begin
		for _, k := range segment.Keyframes {
			if k.Time > at-begin {
				s.end = k.Offset
				break
			}
			s.offset, s.at, s.end = k.Offset, at-begin-k.Time, segment.Bytes
		}
		return s, s.end > s.offset
	}
	return s, false
}

// takeShot gives a picture that is kept, or has it made.
func (s *Server) takeShot(ctx context.Context, name string, t shot) ([]byte, error) {
	if image, ok := s.thumbnails.kept.get(name); ok {
		return image, nil
	}
	ctx, cancel := context.WithTimeout(ctx, thumbnailTime)
	defer cancel()
	wait := time.NewTimer(thumbnailWait)
	defer wait.Stop()
	select {
	case s.thumbnails.places <- struct{}{}:
		defer func() { <-s.thumbnails.places }()
	case <-wait.C:
		return nil, fmt.Errorf("%w: too many thumbnails are being made", domain.ErrUnavailable)
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other thumbnails: %w", ctx.Err())
	}
	init, err := s.readMedia(ctx, t.init.Key, 0, t.init.Bytes)
	if err != nil {
		return nil, err
	}
	group, err := s.readMedia(ctx, t.segment.Key, t.offset, t.end)
	if err != nil {
		return nil, err
	}
	image, err := s.Frames.Frame(ctx, init, group, t.at, t.width)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: make a thumbnail: %w", domain.ErrUnavailable, err)
		}
		return nil, fmt.Errorf("make a thumbnail: %w", err)
	}
	s.thumbnails.kept.put(name, image)
	return image, nil
}

// readMedia reads a part of a blob into memory.
func (s *Server) readMedia(ctx context.Context, key string, from, to int64) ([]byte, error) {
	if to-from > thumbnailSource {
		return nil, fmt.Errorf("%w: %d bytes of media for one picture", domain.ErrUnavailable, to-from)
	}
	blob, _, _, err := s.Media.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open media: %w", err)
	}
	defer blob.Close()
	if _, err := blob.Seek(from, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read media: %w", err)
	}
	var data bytes.Buffer
	if n, err := io.Copy(&data, io.LimitReader(blob, to-from)); err != nil || n != to-from {
		return nil, fmt.Errorf("read %d bytes of media, %d came: %w", to-from, n, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return data.Bytes(), nil
}
