package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// serveForTest runs a whole server on a free port until the test ends.
func serveForTest(t *testing.T, dir string) *app {
	t.Helper()
	return servePlaces(t, places{Data: dir})
}

// servePlaces does it with roles, or with all of them, and with everything where at says.
func servePlaces(t *testing.T, at places, roles ...string) *app {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a, err := openApp(ctx, config{
		places: at, roles: roles, listen: "127.0.0.1:0", log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.run(ctx) }()
	t.Cleanup(func() {
		if made, _ := filepath.Glob(filepath.Join(at.Data, "blobs", "media", "*")); len(made) > 0 && !t.Failed() { // not a log that was made up
			allFollowTheRules(t, a.url())
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	return a
}

func TestMainJobFromUploadToPlaylist(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	clip := filepath.Join(dir, "clip.mp4")
	if err := makeSample(ctx, clip, 9); err != nil {
		t.Fatal(err)
	}
	a := serveForTest(t, filepath.Join(dir, "data"))
	cl := &client{server: a.url()}
	c := &console{out: io.Discard, err: io.Discard}
	v, err := cl.upload(ctx, c, clip, "Kubernetes für Anfänger", []string{"go"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if v.Status != "ready" || len(v.Renditions) == 0 {
		t.Fatalf("after the upload: %+v", v)
	}

	var found struct {
		Items []answer `json:"items"`
	}
	if err := cl.call(ctx, "GET", "/v1/videos?q=anfan", nil, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Items) != 1 || found.Items[0].ID != v.ID {
		t.Errorf("search found %+v, want the video", found.Items)
	}

	events, err := a.service.History(ctx, domain.VideoID(v.ID))
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, r := range events {
		types = append(types, domain.EventType(r.Event))
	}
	for _, want := range []string{"video.created.v1", "video.uploaded.v1", "video.source_inspected.v1", "video.transcode_planned.v1", "video.published.v1"} {
		if strings.Count(strings.Join(types, " "), want) != 1 {
			t.Errorf("%s is not exactly once in %v", want, types)
		}
	}
}

func TestASecondServerOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serveForTest(t, dir)
	_, err := openApp(t.Context(), config{places: places{Data: dir}, listen: "127.0.0.1:0", log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("a second server: %v, want a clear refusal", err)
	}
}

func TestOtherThanLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "example.com:80"} {
		if l, err := listen(ctx, address, false); err == nil {
			_ = l.Close()
			t.Errorf("listens on %s", address)
		}
	}
}

func TestClientReadsItsOwnWrites(t *testing.T) {
	t.Parallel()
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			asked = r.Header.Get("Cinelog-Min-Position")
		}
		w.Header().Set("Cinelog-Position", "7")
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(server.Close)
	cl := &client{server: server.URL}
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		if err := cl.call(t.Context(), method, "/v1/videos", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if asked != "7" {
		t.Errorf("the query asked for position %q, want 7, that of the command", asked)
	}
}
