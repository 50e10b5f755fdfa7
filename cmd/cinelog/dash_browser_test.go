package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cinelog/cinelog/test/players"
)

// playerPages show a video by its manifest, whose address is the query. Errors go where nothingWentWrong looks.
var playerPages = map[string]struct{ script, start string }{
	"dash.js": {players.DashJS, `
		window.player = dashjs.MediaPlayer().create();
		player.updateSettings({streaming: {abr: {autoSwitchBitrate: {video: false}}}});
		player.on('error', (e) => playerErrors.push(JSON.stringify(e.error)));
		player.on('playbackError', (e) => playerErrors.push(JSON.stringify(e.error)));
		player.on('streamInitialized', () => window.heights = player.getRepresentationsByType('video').map((r) => r.height));
		window.texts = () => player.getTracksFor('text').map((t) => t.lang);
		window.choose = (height) => player.setRepresentationForTypeById('video', player.getRepresentationsByType('video').find((r) => r.height === height).id, true);
		player.initialize(video, new URL(location.search.slice(1), location).href, true);`},
	"Shaka Player": {players.Shaka, `
		shaka.polyfill.installAll();
		window.player = new shaka.Player();
		player.configure({abr: {enabled: false}});
		player.addEventListener('error', (e) => playerErrors.push(JSON.stringify(e.detail)));
		window.texts = () => player.getTextTracks().map((t) => t.language);
		window.choose = (height) => player.selectVariantTrack(player.getVariantTracks().find((t) => t.height === height), true);
		player.attach(video).then(() => player.load(location.search.slice(1))).then(() => {
			window.heights = player.getVariantTracks().map((t) => t.height);
			return video.play();
		}).catch((e) => playerErrors.push(String(e)));`},
}

// serveBeside serves the players' pages at the same origin as a server of ours.
func serveBeside(t *testing.T, server string) string {
	t.Helper()
	dir, err := players.Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	behind, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", httputil.NewSingleHostReverseProxy(behind))
	mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for name, page := range playerPages {
		name := strings.ReplaceAll(strings.ToLower(name), " ", "-")
		mux.HandleFunc("/players/"+name+".js", func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.Join(dir, page.script))
		})
		mux.HandleFunc("/players/"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = fmt.Fprintf(w, `<!doctype html><video id="video" muted controls width="640"></video>
				<script>window.playerErrors = []; const video = document.querySelector('video')</script>
				<script src="/players/%s.js"></script><script>%s</script>`, name, page.start)
		})
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// TestDASHPlaysInTheBrowser: both players begin at 0, change the quality, seek back, and come to the end.
func TestDASHPlaysInTheBrowser(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	a := serveForTest(t, filepath.Join(dir, "data"))
	srt, captioned := filepath.Join(dir, "a.srt"), filepath.Join(dir, "captioned.mkv")
	if err := os.WriteFile(srt, []byte("1\n00:00:00,000 --> 00:00:05,000\nGrüße\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	convert(t, "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=9", "-f", "lavfi", "-i", "sine=d=9", "-i", "file:"+srt, "-map", "0", "-map", "1", "-map", "2",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", "-c:s", "subrip",
		"-metadata:s:s:0", "language=ger", "file:"+captioned)
	cl := &client{server: a.url()}
	v, err := cl.upload(ctx, &console{out: t.Output(), err: t.Output()}, captioned, "DASH", nil, true)
	var there struct {
		Playback struct {
			Captions []any `json:"captions"`
		} `json:"playback"`
	}
	for err == nil && len(there.Playback.Captions) == 0 { // nothing waits for them
		time.Sleep(50 * time.Millisecond)
		err = cl.call(ctx, http.MethodGet, "/v1/videos/"+v.ID, nil, &there)
	}
	if err != nil {
		t.Fatal(err)
	}
	address := serveBeside(t, a.url())
	browser := startChromium(t)
	for name := range playerPages {
		t.Run(name, func(t *testing.T) {
			b := open(t, browser, address, "/players/"+strings.ReplaceAll(strings.ToLower(name), " ", "-")+"?"+v.Playback.DASH)
			b.mustPlay()
			heights := wait[[]int](b, "window.heights")
			if len(heights) != len(v.Renditions) {
				t.Errorf("it offers %v of %d renditions", heights, len(v.Renditions))
			}
			if languages := wait[[]string](b, "texts()"); len(languages) != 1 || languages[0] != "de" {
				t.Errorf("it offers captions in %v", languages)
			}
			for _, height := range []int{240, 360} { // the lowest, the highest
				b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("choose(%d), undefined", height)))
				b.waitFor(fmt.Sprintf("video.videoHeight === %d", height))
			}
			b.do(chromedp.Evaluate[chromedp.Void]("video.currentTime = 0.5, video.playbackRate = 4, undefined"))
			b.waitFor("video.ended")
			if at := evaluate[float64](b, "video.currentTime"); at < 8.9 || at > 9.1 {
				t.Errorf("it ended at %g s", at)
			}
			if dropped := evaluate[int](b, "video.getVideoPlaybackQuality().corruptedVideoFrames"); dropped > 0 {
				t.Errorf("%d corrupted frames", dropped)
			}
			if asked := b.asked(http.MethodGet, "/media/"); len(asked) == 0 {
				t.Error("it played without the media")
			}
		})
	}
}
