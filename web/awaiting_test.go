package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
)

// waiting is a request that is answered later.
type waiting struct {
	code int
	text string
	done chan struct{}
}

func (f *followed) wait(t *testing.T, query string) *waiting {
	t.Helper()
	w := &waiting{done: make(chan struct{})}
	go func() {
		defer close(w.done)
		a := f.ask(t, "GET", query, "")
		w.code, w.text = a.StatusCode, a.text
	}()
	return w
}

func (w *waiting) answered(t *testing.T, code int, text string) {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(time.Minute):
		t.Fatal("no answer")
	}
	if w.code != code || !strings.Contains(w.text, text) {
		t.Errorf("answer %d %s, want %d with %s", w.code, w.text, code, text)
	}
}

func (w *waiting) waits(t *testing.T) {
	t.Helper()
	select {
	case <-w.done:
		t.Errorf("answered too soon: %d %s", w.code, w.text)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestAnswersWaitForAVideo(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, nil)
	f.catalog.log = f.log
	head := domain.Position(0)
	happens := func(video string, events ...domain.Event) {
		for _, e := range events {
			f.append(t, video, e)
			head++
			f.fresh.Advance(head)
		}
	}
	const one, other = "01990000-0000-7000-8000-000000000001", "01990000-0000-7000-8000-000000000002"
	for _, id := range []string{one, other} {
		happens(id, domain.VideoCreated{Details: domain.Details{Title: "A title"}})
	}
	rejected := domain.SourceRejected{Attempt: 1, Failure: domain.Failure{Code: domain.Malformed, Detail: "noise"}}

	ready := f.wait(t, "/v1/videos/"+one+"?wait=ready&timeout=30")
	published := f.wait(t, "/v1/videos/"+one+"?wait=published&timeout=30")
	ready.waits(t)
	happens(other, domain.VideoUploaded{Attempt: 1}, rejected)
	ready.waits(t)
	happens(one, domain.VideoUploaded{Attempt: 1})
	ready.waits(t)
	happens(one, domain.VideoPublished{})
	published.answered(t, 200, `"published_at":"`)
	ready.waits(t)
	happens(one, rejected)
	ready.answered(t, 200, `"status":"failed"`)

	f.wait(t, "/v1/videos/"+one+"?wait=playable").answered(t, 200, `"status":"failed"`) // it is known already
	f.wait(t, "/v1/videos/"+other[:35]+"9?wait=ready").answered(t, 404, "")             // nobody will make it
	f.wait(t, "/v1/videos/"+one+"?wait=done").answered(t, 422, "wait")                  // no such state
	f.wait(t, "/v1/videos/"+one+"?wait=ready&timeout=61").answered(t, 422, "timeout")   // longer than a proxy waits
}

func TestAnswersThatWaitEnd(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, nil)
	f.catalog.log = f.log
	const id = "01990000-0000-7000-8000-000000000001"
	f.append(t, id, domain.VideoCreated{Details: domain.Details{Title: "A title"}})
	f.fresh.Advance(1)
	f.wait(t, "/v1/videos/"+id+"?wait=ready&timeout=1").answered(t, 200, `"status":"waiting"`)

	// Deleted meanwhile.
	deleted := f.wait(t, "/v1/videos/"+id+"?wait=ready")
	deleted.waits(t)
	f.append(t, id, domain.VideoDeleted{})
	f.fresh.Advance(2)
	select {
	case <-deleted.done:
	case <-time.After(time.Minute):
		t.Fatal("no answer")
	}
	if deleted.code != http.StatusNotFound && deleted.code != http.StatusGone {
		t.Errorf("a deleted video: %d %s", deleted.code, deleted.text)
	}

	// The server stops.
	stopping := make(chan struct{})
	g := newFollowed(t, func(s *web.Server) { s.Stopping = stopping })
	g.catalog.log = g.log
	g.append(t, id, domain.VideoCreated{Details: domain.Details{Title: "A title"}})
	g.fresh.Advance(1)
	stopped := g.wait(t, "/v1/videos/"+id+"?wait=ready")
	stopped.waits(t)
	close(stopping)
	stopped.answered(t, 200, `"status":"waiting"`)
}
