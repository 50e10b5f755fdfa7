package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
)

// bury has a group that nobody consumes give up on all events of a log, the last one first.
func bury(t *testing.T, dir, group string, events int) {
	t.Helper()
	db, err := sqlite.OpenDB(t.Context(), filepath.Join(dir, "bus.db"), sqlite.Normal)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	q, err := bus.Open(t.Context(), db, bus.Options{Shared: true, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	if err := q.DeclareGroup(t.Context(), messaging.TopicEvents, group); err != nil {
		t.Fatal(err)
	}
	log, err := sqlite.OpenLogReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	all, err := log.ReadAfter(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Relay("again").Apply(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	msgs, err := q.Subscriber(group).Subscribe(t.Context(), messaging.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	for range events {
		var m *message.Message
		select {
		case m = <-msgs:
		case <-time.After(time.Minute):
			t.Fatal("no message comes")
		}
		messaging.Reject(m, domain.ErrInvalid)
		m.Nack()
	}
	for { // the last nack is not stored yet
		letters, err := q.DeadLetters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(letters) == events {
			return
		}
	}
}

func TestDeadLettersFromBothSides(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	storedVideo(t, dir, true)
	storedVideo(t, dir, true)
	if out := cinelog(t, exitDone, "--data", dir, "dlq", "ls"); !strings.Contains(out, "No dead letters") {
		t.Errorf("there are none, but it says %s", out)
	}
	bury(t, dir, "outside", 6)
	on := func(args ...string) []string { return append([]string{"--data", dir, "--json", "dlq"}, args...) }
	list := func(args ...string) (letters []web.DeadLetter) {
		for line := range strings.Lines(cinelog(t, exitDone, on(append([]string{"ls"}, args...)...)...)) {
			var l web.DeadLetter
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			letters = append(letters, l)
		}
		return letters
	}
	letters := list("--group", "outside")
	if len(letters) != 6 || letters[0].Position != 1 || letters[5].Position != 6 || letters[0].FirstReason == "" || letters[0].FirstFailed.IsZero() {
		t.Fatalf("%+v", letters)
	}
	video := letters[0].Video
	if of := list("--video", video); len(of) != 3 {
		t.Errorf("of one video there are %d", len(of))
	}
	if out := cinelog(t, exitDone, "--data", dir, "dlq", "show", letters[1].ID); !strings.Contains(out, `"type": "video.uploaded.v1"`) || !strings.Contains(out, "first ") {
		t.Errorf("show: %s", out)
	}
	for _, wrong := range [][]string{{"redrive"}, {"redrive", letters[0].ID, "--all"}, {"redrive", letters[0].ID, "--group", "outside"}} {
		cinelog(t, exitUsage, on(wrong...)...)
	}
	if out := cinelog(t, exitDone, on("redrive", "--all", "--group", "nobody")...); out != "{\"redriven\":0}\n" {
		t.Errorf("redrive of nothing: %s", out)
	}
	if out := cinelog(t, exitDone, on("redrive", "--all", "--video", video)...); out != "{\"redriven\":3}\n" || len(list()) != 3 {
		t.Errorf("redrive of a video: %s", out)
	}

	a := serveForTest(t, dir)
	cl := &client{server: a.url()}
	var page struct {
		Items []web.DeadLetter `json:"items"`
	}
	get := func(at string, into any) {
		t.Helper()
		if err := cl.call(t.Context(), http.MethodGet, at, nil, into); err != nil {
			t.Fatal(err)
		}
	}
	get("/v1/admin/dlq?group=outside&limit=200", &page)
	if len(page.Items) != 3 {
		t.Fatalf("over HTTP: %+v", page.Items)
	}
	var one struct {
		Event struct {
			Position int64 `json:"position"`
		} `json:"event"`
	}
	get("/v1/admin/dlq/"+page.Items[0].ID, &one)
	if one.Event.Position != page.Items[0].Position {
		t.Errorf("its event is %+v", one)
	}
	if err := cl.call(t.Context(), http.MethodDelete, "/v1/admin/dlq/"+page.Items[0].ID, nil, nil); err != nil {
		t.Error(err)
	}
	var done struct {
		Redriven int `json:"redriven"`
	}
	if err := cl.call(t.Context(), http.MethodPost, "/v1/admin/dlq/redrive", map[string]string{"group": "outside"}, &done); err != nil || done.Redriven != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	cinelog(t, exitFailed, on("redrive", page.Items[1].ID)...)
}
