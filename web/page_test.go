package web_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestThePageIsSentOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	seen := map[string]string{}
	for _, address := range []string{"/", "/docs", "/ui/app.js", "/ui/vendor/hls/hls.min.js"} {
		first := s.ask(t, "GET", address, "")
		first.wantsStatus(t, 200)
		tag := first.Header.Get("Etag")
		if tag == "" || seen[tag] != "" {
			t.Errorf("%s has the ETag %q, like %q", address, tag, seen[tag])
		}
		seen[tag] = address
		s.ask(t, "GET", address, "", "If-None-Match: "+tag).wantsStatus(t, 304)
		if policy := first.Header.Get("Cache-Control"); policy != "no-cache" {
			t.Errorf("%s has Cache-Control %q: a browser would not see a new version", address, policy)
		}
	}
}

// TestThePageNeedsNothingElse follows what the pages load: all of it is here, and none of it needs what their policy
// forbids.
func TestThePageNeedsNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	loads := regexp.MustCompile(`(?:src|href)="([^"]+)"|(?:from|import) '([^']+)'|url\(([^)]+)\)`)
	inline := regexp.MustCompile(`<script>|<style|\sstyle=|\son[a-z]+=`)
	asHTML := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function`)
	var done []string
	var follow func(address string)
	follow = func(address string) {
		if slices.Contains(done, address) {
			return
		}
		done = append(done, address)
		file := s.ask(t, "GET", address, "")
		file.wantsStatus(t, 200)
		own := !strings.HasPrefix(address, "/ui/vendor/") && !strings.Contains(address, "swagger") && address != "/openapi.json"
		if !own {
			return
		}
		isHTML := strings.HasPrefix(file.Header.Get("Content-Type"), "text/html")
		if found := inline.FindString(file.text); isHTML && found != "" {
			t.Errorf("%s has %q, which its policy forbids", address, found)
		}
		if found := asHTML.FindString(file.text); found != "" {
			t.Errorf("%s has %q: texts must go into the page as texts", address, found)
		}
		for _, m := range loads.FindAllStringSubmatch(file.text, -1) {
			to := m[1] + m[2] + m[3]
			if strings.HasPrefix(to, "#") {
				continue
			}
			if !strings.HasPrefix(to, "/") {
				to = path.Join(path.Dir(address), to)
			}
			follow(to)
		}
	}
	follow("/")
	follow("/docs")
	for _, want := range []string{"/ui/player.js", "/ui/vendor/hls/hls.min.js", "/ui/docs/swagger-ui.css"} {
		if !slices.Contains(done, want) {
			t.Errorf("%s was not come upon: %q", want, done)
		}
	}
}
