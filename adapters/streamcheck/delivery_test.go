package streamcheck_test

import (
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/streamcheck"
)

// elsewhere are the clauses that other tests break: of delivery, and of formats that need a real encoder.
func elsewhere() []string {
	return []string{
		"Apple, 10.1", "Apple, 10.4", "Apple, 8.18", "Apple, 11.1", "Apple, 11.2", "Apple, 11.3", "Apple, 1.6b", "Apple, 1.37",
		"ISO/IEC 23009-1, C.1",
	}
}

// server serves a clip as it should be, but for what is switched off.
type server struct {
	clip clip

	plain, untyped, redirecting bool
}

func (s server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	data, ok := s.clip[name]
	moved, isMoved := strings.CutPrefix(name, "moved/")
	switch {
	case isMoved:
		data = s.clip[moved]
	case !ok:
		http.NotFound(w, r)
		return
	case s.redirecting && strings.HasSuffix(name, ".m4s"):
		http.Redirect(w, r, "/moved/"+name, http.StatusFound)
		return
	}
	kind := "video/iso.segment"
	switch {
	case strings.HasSuffix(name, ".m3u8"):
		kind = "application/vnd.apple.mpegurl"
	case strings.HasSuffix(name, ".mp4"):
		kind = "video/mp4"
	}
	if s.untyped {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	if strings.HasSuffix(name, ".m3u8") && !s.plain && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(data)
		_ = z.Close()
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
}

func clauses(r streamcheck.Report) map[string]int {
	found := map[string]int{}
	for _, f := range r.Findings {
		found[f.Clause+string(f.Severity)] += 1 + f.More
	}
	return found
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	c := goodRecipe().make(t)
	for _, test := range []struct {
		name   string
		server server
		found  []string
	}{
		{"as it should be", server{clip: c}, nil},
		{"without gzip", server{clip: c, plain: true}, []string{"Apple, 10.1error"}},
		{"with other types", server{clip: c, untyped: true}, []string{"Apple, 10.4warning"}},
		{"with redirects", server{clip: c, redirecting: true}, []string{"Apple, 8.18error"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(test.server)
			t.Cleanup(s.Close)
			report := check(t, s.URL+"/master.m3u8")
			found := clauses(report)
			for _, want := range test.found {
				if found[want] == 0 {
					t.Errorf("%s is not found", want)
				}
				delete(found, want)
			}
			if len(found) > 0 {
				t.Errorf("found beside it: %v", report.Findings)
			}
		})
	}
}

// TestWhereAPlaylistMayLead: what is private is read of the host only that the user named.
func TestWhereAPlaylistMayLead(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	canary := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(canary.Close)
	elsewhere := strings.Replace(canary.URL, "127.0.0.1", "localhost", 1) + "/secret.m4s"
	c := goodRecipe().make(t)
	c.replace(t, "low.m3u8", "low-1.m4s", elsewhere)
	c.replace(t, "low.m3u8", "low-2.m4s", "file:///etc/passwd")
	s := httptest.NewServer(server{clip: c})
	t.Cleanup(s.Close)
	found := clauses(check(t, s.URL+"/master.m3u8"))
	if found["RFC 8216, 6.2.1error"] != 2 {
		t.Errorf("two of the addresses are refused, found %v", found)
	}
	select {
	case path := <-asked:
		t.Errorf("asked for %s", path)
	default:
	}
}

func TestWhatCannotBeJudged(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(server{clip: clip{}})
	t.Cleanup(s.Close)
	for _, target := range []string{s.URL + "/none.m3u8", t.TempDir(), "/no/such/folder", "ftp://127.0.0.1/x.m3u8", "http:///x"} {
		if r, err := streamcheck.Check(context.Background(), target, streamcheck.Options{}); err == nil {
			t.Errorf("%s was judged: %+v", target, r)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := goodRecipe().make(t).store(t)
	if _, err := streamcheck.Check(ctx, dir, streamcheck.Options{}); err == nil {
		t.Error("judged although it was stopped")
	}
	if _, err := streamcheck.Check(t.Context(), dir, streamcheck.Options{MaxFiles: 3}); err == nil {
		t.Error("judged although there are more files than are read")
	}
	report, err := streamcheck.Check(t.Context(), dir, streamcheck.Options{MaxBytes: 100_000})
	if err != nil || clauses(report)["RFC 8216, 6.2.1error"] == 0 {
		t.Errorf("more bytes than are read: %+v, %v", report, err)
	}
}
