package web_test

import (
	"net/http"
	"strings"
	"testing"
)

// The rows of bad input that concern HTTP: every one has its status and a problem document, and none is a 500.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	id := s.newVideo(t)
	unknown := "/v1/videos/01890000-0000-7000-8000-000000000000"
	video := "/v1/videos/" + id
	const title = `{"title":"x"}`
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}{
		{"empty body", "POST", "/v1/videos", "", []string{asJSON}, 400},
		{"null", "POST", "/v1/videos", "null", []string{asJSON}, 400},
		{"array", "POST", "/v1/videos", "[]", []string{asJSON}, 400},
		{"malformed", "POST", "/v1/videos", `{"title":`, []string{asJSON}, 400},
		{"second document", "POST", "/v1/videos", title + title, []string{asJSON}, 400},
		{"trailing text", "POST", "/v1/videos", title + "x", []string{asJSON}, 400},
		{"member twice", "POST", "/v1/videos", `{"title":"a","title":"b"}`, []string{asJSON}, 400},
		{"unknown field", "POST", "/v1/videos", `{"title":"x","owner":"me"}`, []string{asJSON}, 422},
		{"status set", "PATCH", video, `{"status":"ready"}`, []string{asJSON}, 422},
		{"other case", "POST", "/v1/videos", `{"Title":"x"}`, []string{asJSON}, 422},
		{"folded letter", "PATCH", video, "{\"viſibility\":\"public\"}", []string{asJSON}, 422},
		{"deep", "POST", "/v1/videos", `{"title":` + strings.Repeat("[", 10_001), []string{asJSON}, 400},
		{"deep and large", "POST", "/v1/videos", strings.Repeat("[", 1_000_000), []string{asJSON}, 400},
		{"too large", "POST", "/v1/videos", `{"title":"` + strings.Repeat("x", 2<<20), []string{asJSON}, 413},
		{"no type", "POST", "/v1/videos", title, nil, 415},
		{"form", "POST", "/v1/videos", "title=x", []string{"Content-Type: application/x-www-form-urlencoded"}, 415},
		{"XML", "PATCH", video, "<a/>", []string{"Content-Type: application/xml"}, 415},
		{"no title", "POST", "/v1/videos", `{}`, []string{asJSON}, 422},
		{"empty title", "POST", "/v1/videos", `{"title":""}`, []string{asJSON}, 422},
		{"blank title", "POST", "/v1/videos", `{"title":" \t "}`, []string{asJSON}, 422},
		{"long title", "POST", "/v1/videos", `{"title":"` + strings.Repeat("é", 201) + `"}`, []string{asJSON}, 422},
		{"title of another type", "POST", "/v1/videos", `{"title":{"$ne":null}}`, []string{asJSON}, 422},
		{"not UTF-8", "POST", "/v1/videos", "{\"title\":\"\xff\"}", []string{asJSON}, 400},
		{"half a pair", "POST", "/v1/videos", `{"title":"\ud800"}`, []string{asJSON}, 400},
		{"halves swapped", "POST", "/v1/videos", `{"title":"\udc00\ud800"}`, []string{asJSON}, 400},
		{"NUL", "POST", "/v1/videos", `{"title":"a\u0000b"}`, []string{asJSON}, 422},
		{"line break in a title", "POST", "/v1/videos", `{"title":"a\r\nb"}`, []string{asJSON}, 422},
		{"many tags", "POST", "/v1/videos", `{"title":"x","tags":["a"` + strings.Repeat(`,"a"`, 9_999) + `]}`, []string{asJSON}, 422},
		{"long tag", "POST", "/v1/videos", `{"title":"x","tags":["` + strings.Repeat("x", 900_000) + `"]}`, []string{asJSON}, 422},
		{"unknown visibility", "POST", "/v1/videos", `{"title":"x","visibility":"secret"}`, []string{asJSON}, 422},
		{"metadata of numbers", "POST", "/v1/videos", `{"title":"x","metadata":{"a":1}}`, []string{asJSON}, 422},
		{"unknown id", "GET", unknown, "", nil, 404},
		{"unknown id, PATCH", "PATCH", unknown, title, []string{asJSON}, 404},
		{"unknown id, DELETE", "DELETE", unknown, "", nil, 404},
		{"unknown id, PUT", "PUT", unknown + "/source", "x", nil, 404},
		{"unknown id, publish", "POST", unknown + "/publish", "", nil, 404},
		{"unknown id, history", "GET", unknown + "/events", "", nil, 404},
		{"upper-case id", "GET", strings.Replace(video, id, strings.ToUpper(id), 1), "", nil, 404},
		{"id in braces", "GET", "/v1/videos/%7B" + id + "%7D", "", nil, 404},
		{"id of a path", "GET", "/v1/videos/..%2f..%2fetc", "", nil, 404},
		{"no route", "GET", "/v2/videos", "", nil, 404},
		{"wrong method", "PUT", "/v1/videos", title, []string{asJSON}, 405},
		{"TRACE", "TRACE", video, "", nil, 405},
		{"invented method", "BREW", video, "", nil, 405},
		{"method override", "POST", video, "", []string{"X-HTTP-Method-Override: DELETE"}, 405},
		{"foreign host", "GET", video, "", []string{"Host: evil.example"}, 421},
		{"foreign origin", "POST", "/v1/videos", title, []string{asJSON, "Origin: https://evil.example"}, 403},
		{"origin null", "DELETE", video, "", []string{"Origin: null"}, 403},
		{"cross-site fetch", "PATCH", video, title, []string{asJSON, "Sec-Fetch-Site: cross-site"}, 403},
		{"long key", "POST", "/v1/videos", title, []string{asJSON, "Idempotency-Key: " + strings.Repeat("k", 256)}, 400},
		{"stale", "PATCH", video, title, []string{asJSON, `If-Match: "99"`}, 412},
		{"weak", "PATCH", video, title, []string{asJSON, `If-Match: W/"1"`}, 412},
		{"garbage If-Match", "PATCH", video, title, []string{asJSON, `If-Match: 1`}, 400},
		{"limit 0", "GET", "/v1/videos?limit=0", "", nil, 422},
		{"limit -1", "GET", "/v1/videos?limit=-1", "", nil, 422},
		{"limit 1e9", "GET", "/v1/videos?limit=1000000000", "", nil, 422},
		{"limit text", "GET", "/v1/videos?limit=ten", "", nil, 422},
		{"limit twice", "GET", "/v1/videos?limit=1&limit=2", "", nil, 422},
		{"unknown sort", "GET", "/v1/videos?sort=__proto__", "", nil, 422},
		{"relevance of nothing", "GET", "/v1/videos?sort=relevance", "", nil, 422},
		{"unknown filter", "GET", "/v1/videos?%24where=1", "", nil, 422},
		{"operator", "GET", "/v1/videos?title%5B%24regex%5D=a", "", nil, 422},
		{"unknown facet", "GET", "/v1/videos?facets=owner", "", nil, 422},
		{"bad time", "GET", "/v1/videos?created_after=yesterday", "", nil, 422},
		{"NaN", "GET", "/v1/videos?min_duration=NaN", "", nil, 422},
		{"bad cursor", "GET", "/v1/videos?cursor=bad", "", nil, 422},
		{"long query", "GET", "/v1/videos?q=" + strings.Repeat("x", 201), "", nil, 422},
		{"query not UTF-8", "GET", "/v1/videos?q=%ff", "", nil, 400},
		{"query not decodable", "GET", "/v1/videos?q=%zz", "", nil, 400},
		{"query with NUL", "GET", "/v1/videos?q=%00", "", nil, 400},
		{"bad position", "GET", video, "", []string{"Cinelog-Min-Position: x"}, 422},
		{"digest malformed", "PUT", video + "/source", "x", []string{"Content-Digest: sha-256=x"}, 400},
		{"digest wrong", "PUT", video + "/source", "x", []string{"Content-Digest: sha-256=:" + strings.Repeat("A", 43) + "=:"}, 422},
		{"source zipped", "PUT", video + "/source", "x", []string{"Content-Encoding: gzip"}, 415},
		{"source in parts", "PUT", video + "/source", "x", []string{"Content-Range: bytes 0-0/2"}, 400},
		{"source announced too large", "PUT", video + "/source", strings.Repeat("x", 2<<20+1), nil, 413},
		{"source too large", "PUT", video + "/source", strings.Repeat("x", 1<<20+1), nil, 413},
		{"publish too early", "POST", video + "/publish", "", nil, 409},
		{"transcode nothing", "POST", video + "/transcode", "", nil, 409},
		{"transcode to an unknown profile", "POST", video + "/transcode", `{"profile":"best"}`, []string{asJSON}, 422},
		{"transcode to what few devices play", "POST", video + "/transcode", `{"codecs":["hevc"]}`, []string{asJSON}, 422},
		{"create for an unknown codec", "POST", "/v1/videos", `{"title":"t","encoding":{"codecs":["avc","vp6"]}}`, []string{asJSON}, 422},
		{"play nothing", "GET", "/play/" + id + "/master.m3u8", "", nil, 404},
		{"media climbing", "GET", "/media/%2e%2e/sources/x.mp4", "", nil, 404},
		{"media dots", "GET", "/media/../sources/x.mp4", "", nil, 404},
		{"media hidden", "GET", "/media/.git/x.mp4", "", nil, 404},
		{"media listing", "GET", "/media/", "", nil, 404},
		{"media of another kind", "GET", "/media/a/x.html", "", nil, 404},
		{"page listing", "GET", "/ui/", "", nil, 404},
		{"page climbing", "GET", "/ui/..%2f..%2fpage.go", "", nil, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := s.ask(t, c.method, c.path, c.body, c.headers...)
			a.wants(t, c.want)
			if len(a.text) > 4096 {
				t.Errorf("an answer of %d bytes gives the input back", len(a.text))
			}
			if c.want == http.StatusMethodNotAllowed && a.Header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
}
