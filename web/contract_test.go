package web_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

func TestVideoFromCreateToDelete(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	created := s.ask(t, "POST", "/v1/videos",
		`{"title":"<b>A</b> film","tags":["go","go"],"metadata":{"Course":"101"},"publish":"manual"}`, asJSON)
	created.wants(t, 201)
	id := created.json["id"].(string)
	video := "/v1/videos/" + id
	if got := created.Header.Get("Location"); got != video {
		t.Errorf("Location %q", got)
	}
	if got := created.json["upload"].(map[string]any)["put_url"]; got != video+"/source" {
		t.Errorf("put_url %v", got)
	}
	for name, want := range map[string]any{
		"title": "<b>A</b> film", "status": "waiting", "playable": false, "visibility": "public", "error": nil,
		"version": 1.0, "publish": "manual", "playback_policy": "public", "description": "",
	} {
		if got, there := created.json[name]; !there || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if tags := created.json["tags"].([]any); len(tags) != 1 {
		t.Errorf("tags %v", tags)
	}

	put := s.ask(t, "PUT", video+"/source?filename=..%2Fa%0D%0Ab.mp4", "not a film")
	put.wants(t, 202)
	source := put.json["source"].(map[string]any)
	if source["filename"] != "ab.mp4" || source["bytes"] != 10.0 || put.Header.Get("Cinelog-Position") != "2" {
		t.Errorf("source %v at %s", source, put.Header.Get("Cinelog-Position"))
	}
	status := s.ask(t, "GET", video+"/status", "")
	status.wants(t, 200)
	if !strings.Contains(status.text, `"ingest":{"status":"received","received_bytes":10}`) ||
		!strings.Contains(status.text, `"encoding":{"playable":false,"progress":0,"encoded_seconds":0,"qualities":[]}`) {
		t.Errorf("status %s", status.text)
	}

	changed := s.ask(t, "PATCH", video, `{"title":"B","tags":[]}`, asJSON, `If-Match: "2"`)
	changed.wants(t, 200)
	if changed.json["title"] != "B" || changed.Header.Get("ETag") != `"3"` || len(changed.json["tags"].([]any)) != 0 {
		t.Errorf("changed %s", changed.text)
	}
	s.ask(t, "PATCH", video, `{"title":"C"}`, asJSON, `If-Match: "2"`).wants(t, 412)
	s.ask(t, "PATCH", video, `{"title":"B"}`, asJSON, `If-Match: *`).wants(t, 200)
	s.ask(t, "GET", video, "", `If-None-Match: W/"3"`).wants(t, 304)
	s.ask(t, "HEAD", video, "").wants(t, 200)

	history := s.ask(t, "GET", video+"/events", "")
	items := history.json["items"].([]any)
	first := items[0].(map[string]any)
	if len(items) != 3 || first["type"] != "video.created.v1" || first["position"] != 1.0 || first["data"] == nil {
		t.Errorf("history %s", history.text)
	}
	list := s.ask(t, "GET", "/v1/videos?facets=status", "")
	if len(list.json["items"].([]any)) != 1 || list.json["facets"] == nil {
		t.Errorf("list %s", list.text)
	}

	gone := s.ask(t, "DELETE", video, "")
	gone.wants(t, 204)
	if gone.text != "" || gone.Header.Get("Cinelog-Position") != "4" {
		t.Errorf("delete: %q at %s", gone.text, gone.Header.Get("Cinelog-Position"))
	}
	s.ask(t, "GET", video, "").wants(t, 404)
	s.ask(t, "DELETE", video, "").wants(t, 404)
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const key = "Idempotency-Key: k1"
	first := s.ask(t, "POST", "/v1/videos", `{"title":"x"}`, asJSON, key)
	id := first.json["id"].(string)
	s.ask(t, "PATCH", "/v1/videos/"+id, `{"title":"y"}`, asJSON).wants(t, 200)
	again := s.ask(t, "POST", "/v1/videos", `{"title":"x"}`, asJSON, key)
	if again.StatusCode != 201 || again.text != first.text {
		t.Errorf("again: %d %s, first %s", again.StatusCode, again.text, first.text)
	}
	s.ask(t, "POST", "/v1/videos", `{"title":"z"}`, asJSON, key).wants(t, 422)
	const removal = "Idempotency-Key: k2"
	s.ask(t, "DELETE", "/v1/videos/"+id, "", removal).wants(t, 204)
	s.ask(t, "DELETE", "/v1/videos/"+id, "", removal).wants(t, 204)
}

func TestSearchQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.ask(t, "GET", "/v1/videos?q=caf%C3%A9&tag=a,b&tag=c&metadata%5Bcourse%5D=101&status=ready&min_duration=1.5"+
		"&created_after=2026-01-02T03:04:05Z&sort=-title&limit=100&facets=tag,status", "").wants(t, 200)
	q := s.catalog.last
	if q.Text != "café" || !slices.Equal(q.Tags, []string{"a,b", "c"}) || q.Metadata["course"] != "101" ||
		q.Status != "ready" || q.MinDuration != 1.5 || q.Sort != "-title" || q.Limit != 100 ||
		q.CreatedAfter.Year() != 2026 || len(q.Facets) != 2 {
		t.Errorf("query %+v", q)
	}
	s.ask(t, "GET", "/v1/videos", "").wants(t, 200)
	if s.catalog.last.Limit != 20 {
		t.Errorf("limit %d without one", s.catalog.last.Limit)
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	video := "/v1/videos/" + s.newVideo(t)
	late := s.ask(t, "GET", video, "", "Cinelog-Min-Position: 5")
	late.wants(t, 503)
	if late.Header.Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
	s.fresh.Advance(5)
	s.ask(t, "GET", video, "", "Cinelog-Min-Position: 5").wants(t, 200)
}

func TestContentDigest(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	sum := sha256.Sum256([]byte("film"))
	digest := "Content-Digest: sha-512=:x:, sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	s.ask(t, "PUT", "/v1/videos/"+s.newVideo(t)+"/source", "film", digest,
		`Content-Disposition: attachment; filename="f.mp4"`).wants(t, 202)
}

// A client that waits for "100 Continue" hears a refusal without having sent the file, and else is told to go on.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for path, want := range map[string]string{
		"/v1/videos/01890000-0000-7000-8000-000000000000/source": "HTTP/1.1 404 Not Found\r\n",
		"/v1/videos/" + s.newVideo(t) + "/source":                "HTTP/1.1 100 Continue\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", path)
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != want {
			t.Errorf("%s: %q, %v", path, line, err)
		}
	}
}

func TestPlayback(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const id = "01890000-0000-7000-8000-000000000000"
	initBlob := domain.Blob{Key: "media/" + id + "/1/720p/init.mp4", SHA256: "aa"}
	poster := domain.Blob{Key: "media/" + id + "/1/poster.jpg", SHA256: "bb"}
	s.blobs.bytes[initBlob.Key], s.blobs.bytes[poster.Key] = []byte("0123456789"), []byte("jpeg")
	s.blobs.bytes["sources/"+id+"/x.mp4"] = []byte("secret")
	p := projections.Playback{Poster: &poster, Renditions: []projections.PlaybackRendition{{Name: "720p", Init: initBlob}}}
	s.playbacks[id] = p

	master := s.ask(t, "GET", "/play/"+id+"/master.m3u8", "", "Accept-Encoding: identity")
	master.wants(t, 200)
	if master.text != "#EXTM3U\n720p.m3u8\n" || master.Header.Get("Cache-Control") != "no-cache" ||
		master.Header.Get("Content-Type") != "application/vnd.apple.mpegurl" {
		t.Errorf("master %q %v", master.text, master.Header)
	}
	s.ask(t, "GET", "/play/"+id+"/master.m3u8", "", "If-None-Match: "+master.Header.Get("ETag"), "Accept-Encoding: x").wants(t, 304)
	zipped := s.ask(t, "GET", "/play/"+id+"/720p.m3u8", "", "Accept-Encoding: br, gzip;q=0.5")
	unzip, err := gzip.NewReader(strings.NewReader(zipped.text))
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(unzip); string(text) != "#EXTM3U\n/"+initBlob.Key+"\n" {
		t.Errorf("media playlist %q", text)
	}
	s.ask(t, "GET", "/play/"+id+"/1080p.m3u8", "").wants(t, 404)
	s.ask(t, "GET", "/play/"+id+"/..%2f720p.m3u8", "").wants(t, 404)

	if a := s.ask(t, "GET", "/play/"+id+"/manifest.mpd", ""); a.StatusCode != 404 || !strings.Contains(a.text, "not complete") {
		t.Errorf("a manifest before the video is complete: %d %s", a.StatusCode, a.text)
	}
	p.Complete = true
	s.playbacks[id] = p
	mpd := s.ask(t, "GET", "/play/"+id+"/manifest.mpd", "", "Accept-Encoding: identity")
	if mpd.text != "<MPD>/"+initBlob.Key+"</MPD>" || mpd.Header.Get("Content-Type") != "application/dash+xml" ||
		mpd.Header.Get("Cache-Control") != "public, max-age=60" {
		t.Errorf("manifest %q %v", mpd.text, mpd.Header)
	}
	s.ask(t, "GET", "/play/"+id+"/manifest.mpd", "", "If-None-Match: "+mpd.Header.Get("ETag"), "Accept-Encoding: x").wants(t, 304)
	if zip := s.ask(t, "GET", "/play/"+id+"/manifest.mpd", "", "Accept-Encoding: gzip"); zip.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("manifest for a client that unzips: %v", zip.Header)
	}

	image := s.ask(t, "GET", "/play/"+id+"/poster.jpg", "")
	if image.text != "jpeg" || image.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("poster %q %v", image.text, image.Header)
	}
	for _, name := range []string{"storyboard.vtt", "storyboard.jpg", "preview.webp"} {
		s.ask(t, "GET", "/play/"+id+"/"+name, "").wants(t, 404)
	}
	p.Duration, p.Preview = 5, &domain.Blob{Key: "media/" + id + "/a1/previews-x/preview.webp", SHA256: "cc"}
	p.Storyboard = &domain.StoryboardProduced{Image: poster, Columns: 3, Rows: 1, Width: 160, Height: 90, Interval: 2}
	s.blobs.bytes[p.Preview.Key] = []byte("webp")
	s.playbacks[id] = p
	for name, want := range map[string][2]string{
		"storyboard.jpg": {"image/jpeg", "jpeg"}, "preview.webp": {"image/webp", "webp"},
		"storyboard.vtt": {"text/vtt; charset=utf-8", "storyboard.jpg#xywh=320,0,160,90"},
	} {
		a := s.ask(t, "GET", "/play/"+id+"/"+name, "", "Accept-Encoding: identity")
		if a.Header.Get("Content-Type") != want[0] || !strings.Contains(a.text, want[1]) {
			t.Errorf("%s: %q %v", name, a.text, a.Header)
		}
	}
	part := s.ask(t, "GET", "/"+initBlob.Key, "", "Range: bytes=2-4")
	part.wants(t, 206)
	if part.text != "234" || part.Header.Get("Content-Type") != "video/mp4" ||
		!strings.Contains(part.Header.Get("Cache-Control"), "immutable") ||
		part.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("part %q %v", part.text, part.Header)
	}
	many := s.ask(t, "GET", "/"+initBlob.Key, "", "Range: bytes="+strings.Repeat("0-0,", 1000)+"1-1")
	if many.StatusCode != 200 || many.text != "0123456789" {
		t.Errorf("many ranges: %d, %d bytes", many.StatusCode, len(many.text))
	}
	s.ask(t, "GET", "/"+initBlob.Key, "", "Range: bytes=99-").wantsStatus(t, 416)
	s.ask(t, "GET", "/sources/"+id+"/x.mp4", "").wants(t, 404)
	s.ask(t, "GET", "/media/sources/"+id+"/x.mp4", "").wants(t, 404)

	p.PlaybackPolicy = domain.PlaybackSigned
	s.playbacks[id] = p
	s.ask(t, "GET", "/play/"+id+"/master.m3u8", "").wants(t, 403)
	s.ask(t, "GET", "/play/"+id+"/manifest.mpd", "").wants(t, 403)
}

func (a answer) wantsStatus(t *testing.T, status int) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d", a.StatusCode, status)
	}
}

// Every route is in the OpenAPI document, but for the page's own files.
func TestDocumentHasAllRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	doc := s.ask(t, "GET", "/openapi.json", "")
	doc.wants(t, 200)
	paths := doc.json["paths"].(map[string]any)
	routes, ok := s.Config.Handler.(chi.Routes)
	if !ok {
		t.Fatal("the handler tells no routes")
	}
	count := 0
	err := chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if slices.Contains([]string{"/", "/ui/*", "/docs", "/favicon.ico", "/openapi.json"}, route) {
			return nil
		}
		count++
		path, _ := paths[strings.ReplaceAll(route, "/*", "/{key}")].(map[string]any)
		if path[strings.ToLower(method)] == nil {
			t.Errorf("%s %s is not in the document", method, route)
		}
		return nil
	})
	if err != nil || count < 18 {
		t.Errorf("%d routes, %v", count, err)
	}
	schemas := doc.text
	for _, field := range []string{`"put_url"`, `"playback_policy"`, `"Cinelog-Min-Position"`, `"Idempotency-Key"`, `"If-Match"`} {
		if !strings.Contains(schemas, field) {
			t.Errorf("the document does not name %s", field)
		}
	}
	created := doc.json["components"].(map[string]any)["schemas"].(map[string]any)["CreatedAnswer"].(map[string]any)
	if created["properties"].(map[string]any)["title"] == nil {
		t.Error("what a create answers is not documented as a video")
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for path, kind := range map[string]string{
		"/": "text/html", "/docs": "text/html", "/ui/app.js": "text/javascript", "/ui/style.css": "text/css",
		"/ui/vendor/hls/hls.min.js": "text/javascript", "/ui/docs/swagger-ui-bundle.js": "text/javascript",
		"/ui/icon.svg": "image/svg+xml",
	} {
		a := s.ask(t, "GET", path, "")
		if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), kind) || len(a.text) < 100 {
			t.Errorf("%s: %d %s, %d bytes", path, a.StatusCode, a.Header.Get("Content-Type"), len(a.text))
		}
		if kind == "text/html" {
			if strings.Contains(a.text, "://") {
				t.Errorf("%s loads something from elsewhere", path)
			}
			if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") {
				t.Errorf("%s: policy %q", path, csp)
			}
		}
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(w *web.Server) { w.Hosts = []string{"films.example:8080"} })
	for host, want := range map[string]int{
		"localhost": 200, "localhost:1": 200, "127.0.0.2": 200, "[::1]:80": 200, "films.example": 200,
		"FILMS.example.": 200, "10.0.0.1": 421, "localhost.evil.example": 421, "evilfilms.example": 421,
	} {
		s.ask(t, "GET", "/v1/videos", "", "Host: "+host).wants(t, want)
	}
	everywhere := newSite(t, func(w *web.Server) { w.Hosts = []string{"[::]:8080"} })
	everywhere.ask(t, "GET", "/v1/videos", "", "Host: 10.0.0.1:8080").wants(t, 200)
	everywhere.ask(t, "GET", "/v1/videos", "", "Host: evil.example").wants(t, 421)
}

// A fault of ours tells nothing of itself, a panic is answered, and what is away for now may be tried again.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		panic bool
		want  int
	}{
		"internal":    {err: errors.New("password hunter2"), want: 500},
		"panic":       {panic: true, want: 500},
		"unavailable": {err: fmt.Errorf("disk hunter2: %w", domain.ErrUnavailable), want: 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(w *web.Server) { w.Analytics = faulty{c.err, c.panic} })
			a := s.ask(t, "GET", "/v1/analytics/totals", "")
			a.wants(t, c.want)
			if strings.Contains(a.text, "hunter2") {
				t.Errorf("tells too much: %s", a.text)
			}
			if retry, _ := strconv.Atoi(a.Header.Get("Retry-After")); (retry > 0) != (c.want == 503) {
				t.Errorf("Retry-After %d", retry)
			}
		})
	}
}

type faulty struct {
	err   error
	panic bool
}

func (f faulty) Each(context.Context, time.Time, time.Time, func(projections.CountedFact) error) error {
	if f.panic {
		panic("hunter2")
	}
	return f.err
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(w *web.Server) {
		w.Ready = func(context.Context) error { return domain.ErrUnavailable }
	})
	s.ask(t, "GET", "/healthz", "", "Host: probe.example").wants(t, 200)
	s.ask(t, "GET", "/readyz", "").wants(t, 503)
}

// TestPositionsEverywhere checks that every command on videos says where the log stands with it, and that every query of a
// read model can be asked to have got there.
func TestPositionsEverywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	paths := s.ask(t, "GET", "/openapi.json", "").json["paths"].(map[string]any)
	commands, queries := 0, 0
	for path, operations := range paths {
		for method, operation := range operations.(map[string]any) {
			text := fmt.Sprint(operation)
			switch of, isVideo := strings.CutPrefix(path, "/v1/videos"); {
			case of == "/{id}/events": // the log itself
			case isVideo && method != "get":
				commands++
				if !strings.Contains(text, "Cinelog-Position:") {
					t.Errorf("%s %s does not say where the log stands", method, path)
				}
			case isVideo, strings.HasPrefix(path, "/play/"), strings.HasPrefix(path, "/v1/analytics"):
				queries++
				if method == "get" && !strings.Contains(text, "name:Cinelog-Min-Position") {
					t.Errorf("%s %s cannot be asked for a position", method, path)
				}
			}
		}
	}
	if commands < 7 || queries < 14 {
		t.Errorf("only %d commands and %d queries", commands, queries)
	}
}
