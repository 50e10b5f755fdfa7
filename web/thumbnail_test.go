package web_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

// frames says what it was asked for instead of a picture.
type frames struct {
	asked atomic.Int64
	hold  chan struct{} // when set, waits for it
}

func (f *frames) Frame(ctx context.Context, init, group []byte, at float64, width int) ([]byte, error) {
	f.asked.Add(1)
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return fmt.Appendf(nil, "%s %s %.2f %d", init, group, at, width), nil
}

func withFilm(s *site) (path string) {
	const id = "01890000-0000-7000-8000-000000000000"
	rendition := func(name string, width int) projections.PlaybackRendition {
		r := projections.PlaybackRendition{
			Name: name, Width: width, FrameRate: domain.Rational{Num: 25, Den: 1}, Init: domain.Blob{Key: "media/" + name + "/init.mp4", Bytes: 4},
		}
		s.blobs.bytes[r.Init.Key] = []byte("init")
		for i := range 2 {
			key := fmt.Sprintf("media/%s/%d.m4s", name, i)
			s.blobs.bytes[key] = fmt.Appendf(nil, "%s-%da%s-%db", name[:2], i, name[:2], i)
			r.Segments = append(r.Segments, domain.Segment{
				Blob: domain.Blob{Key: key, Bytes: 10}, Duration: 4, Keyframes: []domain.Keyframe{{Offset: 0}, {Offset: 5, Time: 2}},
			})
		}
		return r
	}
	s.playbacks[id] = projections.Playback{
		ID: id, Attempt: 1, Complete: true, Duration: 8,
		Renditions: []projections.PlaybackRendition{rendition("72", 1280), rendition("36", 640)},
	}
	return "/play/" + id + "/thumbnail.jpg"
}

func TestThumbnailsAreMadeOnceOfTheRightPart(t *testing.T) {
	t.Parallel()
	maker := &frames{}
	s := newSite(t, func(server *web.Server) { server.Frames = maker })
	path := withFilm(s)
	for query, want := range map[string]string{
		"":                    "init 36-0a 0.00 640",
		"?time=2.5&width=100": "init 36-0b 0.50 100",
		"?time=5&width=641":   "init 72-1a 1.00 641",
		"?time=8&width=1920":  "init 72-1b 2.00 1920",
	} {
		before := maker.asked.Load()
		a := s.ask(t, "GET", path+query, "")
		if a.text != want || a.Header.Get("Content-Type") != "image/jpeg" || a.Header.Get("Cache-Control") != "public, max-age=60" {
			t.Errorf("%s: %q %v", query, a.text, a.Header)
		}
		if again := s.ask(t, "GET", path+query, ""); again.text != want || maker.asked.Load() != before+1 {
			t.Errorf("%s: made %d times", query, maker.asked.Load()-before)
		}
		s.ask(t, "GET", path+query, "", "If-None-Match: "+a.Header.Get("ETag")).wantsStatus(t, 304)
	}
	near := maker.asked.Load()
	if a := s.ask(t, "GET", path+"?time=2.501&width=100", ""); a.text != "init 36-0b 0.50 100" || maker.asked.Load() != near {
		t.Errorf("the same picture by a near time: %q", a.text)
	}
	for _, bad := range []string{"?time=8.01", "?time=-1", "?time=NaN", "?width=15", "?width=1921", "?width=x"} {
		s.ask(t, "GET", path+bad, "").wants(t, 422)
	}
	s.ask(t, "GET", strings.Replace(path, "000000", "000001", 1), "").wants(t, 404)
}

func TestThumbnailsAreBounded(t *testing.T) {
	t.Parallel()
	maker := &frames{hold: make(chan struct{})}
	s := newSite(t, func(server *web.Server) { server.Frames = maker })
	path := withFilm(s)
	answers := make(chan answer)
	for i := range 3 {
		go func() { answers <- s.ask(t, "GET", fmt.Sprintf("%s?time=%d", path, i), "") }()
	}
	if a := <-answers; a.StatusCode != 503 || a.Header.Get("Retry-After") == "" { // the two others wait for the maker
		t.Errorf("status %d where too many are asked for, %v", a.StatusCode, a.Header)
	}
	close(maker.hold)
	for range 2 {
		(<-answers).wantsStatus(t, 200)
	}
}

func TestWithoutFFmpegThereAreNoThumbnails(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.ask(t, "GET", withFilm(s), "").wants(t, 501)
}
