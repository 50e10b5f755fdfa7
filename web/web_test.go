package web_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

// blobs keeps media in memory, for the write side and for playback.
type blobs struct {
	mu    sync.Mutex
	bytes map[string][]byte
}

func (b *blobs) Put(_ context.Context, key string, r io.Reader) (domain.Blob, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return domain.Blob{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes[key] = data
	sum := sha256.Sum256(data)
	return domain.Blob{Key: key, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}, nil
}

func (b *blobs) Local(context.Context, string) (string, func(), error) {
	return "", nil, errors.New("not needed here")
}

func (b *blobs) List(context.Context, string, func(commands.StoredBlob) error) error { return nil }

func (b *blobs) Delete(_ context.Context, keys ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range keys {
		delete(b.bytes, k)
	}
	return nil
}

type openBlob struct{ *bytes.Reader }

func (openBlob) Close() error { return nil }

func (b *blobs) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.bytes[key]
	if !ok {
		return nil, 0, time.Time{}, domain.ErrNotFound
	}
	return openBlob{bytes.NewReader(data)}, int64(len(data)), time.Unix(1_700_000_000, 0), nil
}

// catalog answers from the log itself, so it is always fresh.
type catalog struct {
	log  *memory.Log
	mu   sync.Mutex
	last projections.Query
}

func (c *catalog) Video(ctx context.Context, id domain.VideoID) (projections.Video, error) {
	events, err := c.log.ReadStream(ctx, string(id), 0)
	if err != nil {
		return projections.Video{}, err
	}
	v := projections.FoldVideo(events)
	if len(events) == 0 || v.Deleted {
		return v, fmt.Errorf("video %s: %w", id, domain.ErrNotFound)
	}
	return v, nil
}

func (c *catalog) Search(ctx context.Context, q projections.Query) (projections.Page, error) {
	c.mu.Lock()
	c.last = q
	c.mu.Unlock()
	if q.Cursor == "bad" {
		return projections.Page{}, &domain.Invalid{Fields: []domain.FieldError{{Field: "cursor", Message: "is none of ours"}}}
	}
	events, err := c.log.ReadAfter(ctx, 0, 1000)
	var page projections.Page
	for _, r := range events {
		if _, created := r.Event.(domain.VideoCreated); created {
			v, videoErr := c.Video(ctx, r.VideoID())
			if videoErr == nil {
				page.Items = append(page.Items, v)
			}
		}
	}
	if slices.Contains(q.Facets, "status") {
		page.Facets = map[string][]projections.FacetCount{"status": {{Value: "waiting", Count: len(page.Items)}}}
	}
	return page, err
}

type playbacks map[domain.VideoID]projections.Playback

func (p playbacks) Playback(_ context.Context, id domain.VideoID) (projections.Playback, error) {
	v, ok := p[id]
	if !ok {
		return v, domain.ErrNotFound
	}
	return v, nil
}

// analytics are facts, in no order.
type analytics []projections.CountedFact

func (a analytics) Each(_ context.Context, from, to time.Time, f func(projections.CountedFact) error) error {
	for _, fact := range a {
		if !fact.Time.Before(from) && fact.Time.Before(to) {
			if err := f(fact); err != nil {
				return err
			}
		}
	}
	return nil
}

// site is a server with everything behind it in memory.
type site struct {
	*httptest.Server

	blobs     *blobs
	catalog   *catalog
	playbacks playbacks
	fresh     *projections.Freshness
}

func newSite(t *testing.T, change func(*web.Server)) *site {
	t.Helper()
	eventLog := memory.NewLog()
	s := &site{
		blobs: &blobs{bytes: map[string][]byte{}}, catalog: &catalog{log: eventLog}, playbacks: playbacks{},
		fresh: projections.NewFreshness(),
	}
	server := web.Server{
		Commands: &commands.Service{Log: eventLog, Blobs: s.blobs, Now: time.Now, MaxSourceBytes: 1 << 20},
		Catalog:  s.catalog, Playbacks: s.playbacks, Freshness: s.fresh, Media: s.blobs, Analytics: analytics{}, Plays: memory.NewPlays(), Events: eventLog,
		Multivariant: func(_ projections.Playback, uri func(string) string) []byte {
			return []byte("#EXTM3U\n" + uri("720p") + "\n")
		},
		MediaPlaylist: func(p projections.Playback, name string, uri func(domain.Blob) string) ([]byte, error) {
			if name != "720p" {
				return nil, domain.ErrNotFound
			}
			return []byte("#EXTM3U\n" + uri(p.Renditions[0].Init) + "\n"), nil
		},
		Manifest: func(p projections.Playback, uri func(domain.Blob) string) ([]byte, error) {
			if !p.Complete {
				return nil, fmt.Errorf("not complete: %w", domain.ErrNotFound)
			}
			return []byte("<MPD>" + uri(p.Renditions[0].Init) + "</MPD>"), nil
		},
		Now: time.Now, Log: slog.New(slog.DiscardHandler), Version: "test", MaxSourceBytes: 2 << 20,
	}
	if change != nil {
		change(&server)
	}
	s.Server = httptest.NewServer(web.New(server))
	t.Cleanup(s.Close)
	return s
}

type answer struct {
	*http.Response

	text string
	json map[string]any
}

// ask sends a request; headers are "Name: value".
func (s *site) ask(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	resp, err := s.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Response: resp, text: string(b)}
	if len(b) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(b, &a.json); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
	return a
}

const asJSON = "Content-Type: application/json"

// newVideo creates one and returns its id.
func (s *site) newVideo(t *testing.T) string {
	t.Helper()
	a := s.ask(t, "POST", "/v1/videos", `{"title":"A film"}`, asJSON)
	if a.StatusCode != http.StatusCreated {
		t.Fatalf("create: %d %s", a.StatusCode, a.text)
	}
	return a.json["id"].(string)
}

// wants fails unless the answer has the status and, for an error, is a whole problem document.
func (a answer) wants(t *testing.T, status int) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d: %.300s", a.StatusCode, status, a.text)
	}
	if status < 400 || a.Request.Method == http.MethodHead {
		return
	}
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type %q of an error", ct)
	}
	if a.json["status"] != float64(status) || a.json["title"] == nil || a.json["type"] == nil || a.json["detail"] == nil {
		t.Errorf("not a whole problem: %s", a.text)
	}
}
