package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/web"
)

// realClient is a client that fails the test, and that reads every answer for what it must not say.
type realClient struct {
	*client

	t       *testing.T
	secrets []string
}

func (cl *realClient) create(title string) (id string) {
	cl.t.Helper()
	var v answer
	if err := cl.call(cl.t.Context(), http.MethodPost, "/v1/videos", map[string]any{"title": title}, &v); err != nil {
		cl.t.Fatal(err)
	}
	return v.ID
}

func (cl *realClient) upload(id, file string) {
	cl.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		cl.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		cl.t.Fatal(err)
	}
	if err := cl.put(cl.t.Context(), id, filepath.Base(file), f, info.Size()); err != nil {
		cl.t.Errorf("upload %s: %v", file, err)
	}
}

func (cl *realClient) get(address string) []byte {
	cl.t.Helper()
	req, err := http.NewRequestWithContext(cl.t.Context(), http.MethodGet, cl.server+address, nil)
	if err != nil {
		cl.t.Fatal(err)
	}
	if cl.position != "" {
		req.Header.Set("Cinelog-Min-Position", cl.position)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		cl.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		cl.t.Errorf("GET %s: %s, %v: %.300s", address, res.Status, err, body)
	}
	for _, secret := range cl.secrets {
		if bytes.Contains(body, []byte(secret)) {
			cl.t.Errorf("GET %s tells %q", address, secret)
		}
	}
	return body
}

func (cl *realClient) video(id string) (v web.VideoAnswer) {
	cl.t.Helper()
	if err := json.Unmarshal(cl.get("/v1/videos/"+id), &v); err != nil {
		cl.t.Fatal(err)
	}
	return v
}

// pending says what a video still has to become.
func (cl *realClient) pending(id string) string {
	v := cl.video(id)
	if v.Status == "ready" || v.Status == "failed" {
		return ""
	}
	return fmt.Sprintf("%s is %s", v.Title, v.Status)
}

// playable follows every playlist to its segments: they must be there and last as long as the video. The playlists come
// from another read model than the status, which may be a moment ahead.
func (cl *realClient) playable(v web.VideoAnswer) (wrong []string) {
	cl.t.Helper()
	for range 1200 { // a minute
		if wrong = cl.playlists(v); len(wrong) == 0 {
			break
		}
		select {
		case <-cl.t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return wrong
}

func (cl *realClient) playlists(v web.VideoAnswer) (wrong []string) {
	cl.t.Helper()
	master := string(cl.get(v.Playback.HLS))
	playlists := regexp.MustCompile(`(?m)^[^#\n].*$|URI="[^"]+"`).FindAllString(master, -1)
	if len(playlists) < len(v.Renditions) {
		return []string{fmt.Sprintf("playlists: expected %d or more, got %v", len(v.Renditions), playlists)}
	}
	for _, name := range playlists {
		name = strings.TrimSuffix(strings.TrimPrefix(name, `URI="`), `"`)
		at := cl.resolve(v.Playback.HLS, name)
		text := string(cl.get(at))
		if strings.Contains(text, "#EXT-X-I-FRAMES-ONLY") {
			continue // the same segments, by byte range
		}
		seconds := 0.0
		for _, m := range regexp.MustCompile(`#EXTINF:([0-9.]+)`).FindAllStringSubmatch(text, -1) {
			s, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				cl.t.Fatal(err)
			}
			seconds += s
		}
		if math.Abs(seconds-v.Duration) > 0.1 || !strings.Contains(text, "#EXT-X-ENDLIST") {
			wrong = append(wrong, fmt.Sprintf("%s: expected %.3f s and an end, got %.3f s", name, v.Duration, seconds))
		}
		for _, segment := range regexp.MustCompile(`(?m)^[^#\n].*$`).FindAllString(text, -1) {
			if len(cl.get(cl.resolve(at, segment))) == 0 {
				wrong = append(wrong, segment+": expected bytes, got none")
			}
		}
	}
	return wrong
}

func (cl *realClient) resolve(base, name string) string {
	cl.t.Helper()
	u, err := url.Parse(name)
	if err != nil || u.Host != "" {
		cl.t.Fatalf("the playlist %s names %q: %v", base, name, err)
	}
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(base), name)
}

// aliveAndClean checks what must hold after any input: the server works, nothing is left running, nothing was told.
func (cl *realClient) aliveAndClean(t *testing.T, data string, watched *canaries) {
	t.Helper()
	cl.get("/healthz")
	sample := filepath.Join(t.TempDir(), "sample.mp4")
	if err := makeSample(t.Context(), sample, 2); err != nil {
		t.Fatal(err)
	}
	id := cl.create("after all that")
	cl.upload(id, sample)
	eventually(t, time.Minute, func() string { return cl.pending(id) })
	if v := cl.video(id); v.Status != "ready" {
		t.Errorf("a good video afterwards is %s: %+v", v.Status, v.Error)
	}
	cl.get("/v1/videos?limit=100&facets=tag,status")
	settled(t, data, time.Minute)
	if found := verifyFinds(t.Context(), data); found != "" {
		t.Errorf("verify: %s", found)
	}
	eventually(t, time.Minute, func() string {
		if left := descendants(t, os.Getpid()); len(left) > 0 {
			return fmt.Sprintf("left running: %v", left)
		}
		return ""
	})
	if names := watched.told(data); len(names) > 0 {
		t.Errorf("the secret came into %s", strings.Join(names, ", "))
	}
}
