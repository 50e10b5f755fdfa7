package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hostileTitle would be a program if a title were taken for HTML.
const hostileTitle = `Kubernetes für <img src=x onerror=alert(1)> Anfänger`

// TestThePage goes the ways of a person with a browser. All share one browser and one server, one after the other: the
// machine has enough to do with one.
func TestThePage(t *testing.T) {
	dir := t.TempDir()
	sample := filepath.Join(dir, "sample.mp4")
	if err := makeSample(t.Context(), sample, 6); err != nil {
		t.Fatal(err)
	}
	// A small picture is encoded quickly; so often repeated, it takes longer than somebody looks. Browsers do not play
	// MPEG-4 part 2, so all of the long one must be encoded.
	clip, long, asItIs := filepath.Join(dir, hostileTitle+".mp4"), filepath.Join(dir, "A long one.mp4"), filepath.Join(dir, "As it is.mp4")
	convert(t, "-i", "file:"+sample, "-vf", "scale=640:360", "-preset", "ultrafast", "-g", "60", "file:"+clip)
	short := filepath.Join(dir, "short.mp4")
	convert(t, "-i", "file:"+clip, "-c:v", "mpeg4", "-q:v", "8", "-c:a", "copy", "file:"+short)
	convert(t, "-stream_loop", "99", "-i", "file:"+short, "-c", "copy", "file:"+long)
	convert(t, "-stream_loop", "14", "-i", "file:"+clip, "-c", "copy", "file:"+asItIs)
	browser := startChromium(t)
	server := serveForTest(t, filepath.Join(dir, "data")).url()

	visit := func(name, path string, walk func(*tab)) {
		t.Run(name, func(t *testing.T) { walk(open(t, browser, server, path)) })
	}
	visit("a chosen file is uploaded, encoded, played and found", "/", func(b *tab) { b.chooseAndWatch(clip) })
	visit("its scenes are shown, and gone to", "/", (*tab).seeScenes)
	visit("playback that stopped can be tried again", "/", (*tab).retryPlayback)
	visit("a file that is no video is explained", "/", (*tab).explainRefusal)
	visit("an upload that broke can be tried again", "/", (*tab).retryUpload)
	visit("an upload can be cancelled, or made up for", "/", (*tab).cancelUpload)
	visit("it fits a narrow screen", "/", (*tab).fitNarrowScreen)
	visit("everything can be done by keyboard", "/", (*tab).useKeyboard)
	visit("the documentation of the API is there", "/docs", (*tab).readDocs)
	visit("a source plays as it is, and can be had smaller later", "/", func(b *tab) { b.watchAsItIs(asItIs) })
	visit("captions of the file are shown", "/", func(b *tab) { b.readCaptions(clip) })
	visit("another language can be chosen", "/", func(b *tab) { b.chooseLanguage(clip) })
	visit("a dropped file plays while it is encoded", "/", func(b *tab) { b.watchWhileEncoding(long) })
	deleteAll(t, server)
	visit("it asks nothing while nothing is in work", "/", (*tab).restWhenIdle)

	server = servePlaces(t, places{Data: filepath.Join(dir, "idle")}, roleAPI, roleRelay, roleProjector).url() // where videos stay in work
	inWork := &realClient{t: t, client: &client{server: server}}
	inWork.upload(inWork.create("In work"), clip)
	visit("it asks once a second, and never unseen", "/", (*tab).askGently)
}

func (b *tab) chooseAndWatch(clip string) {
	b.waitFor(`document.body.innerText.includes('No videos yet')`)
	b.do(chromedp.Evaluate[chromedp.Void](`
		window.said = [];
		new MutationObserver(() => said.push(document.querySelector('#uploads .soft').textContent))
			.observe(document.querySelector('#uploads'), {subtree: true, childList: true, characterData: true}), undefined`))
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{clip}))
	b.waitFor(`document.querySelector('#uploads li').dataset.look === 'ready'`)
	said := strings.Join(evaluate[[]string](b, "said"), "\n")
	for _, want := range []string{"Uploading 0 %", "Uploading 100 %", "Uploaded", "Ready"} {
		if !strings.Contains(said, want) {
			b.t.Errorf("the upload never said %q, but:\n%s", want, said)
		}
	}
	if name := evaluate[string](b, `document.querySelector('#uploads strong').textContent`); name != filepath.Base(clip) {
		b.t.Errorf("the upload is called %q", name)
	}

	b.waitFor(`document.querySelector('#videos img')?.naturalWidth > 0`) // the poster
	if title := evaluate[string](b, `document.querySelector('#videos h2').textContent`); title != hostileTitle {
		b.t.Errorf("the title in the list is %q", title)
	}
	if length := evaluate[string](b, `document.querySelector('#videos .length').textContent`); length != "0:06" {
		b.t.Errorf("the length in the list is %q", length)
	}
	b.do(chromedp.Click(chromedp.CSS("#uploads a")))
	b.mustPlay()
	if title := evaluate[string](b, `document.querySelector('#player-view h1').textContent`); title != hostileTitle {
		b.t.Errorf("the title of the player is %q", title)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('video').playbackRate = 4, undefined`))
	b.waitFor(`document.querySelector('video').ended`)
	if ranges := evaluate[string](b, `(v => v.buffered.length + ' ' + v.currentTime.toFixed(1))(document.querySelector('video'))`); ranges != "1 6.0" {
		b.t.Errorf("ranges in the buffer and time at the end: %s, want 1 6.0", ranges)
	}
	b.mustBeCounted()
	happened := wait[string](b, `document.querySelector('.timeline')?.innerText`)
	for _, event := range []string{"created", "uploaded", "source_inspected", "transcode_planned", "chunk_transcoded", "rendition_produced", "published"} {
		if !strings.Contains(happened, "video."+event+".v1") {
			b.t.Errorf("%s is not in the timeline:\n%s", event, happened)
		}
	}

	for query, found := range map[string]int{"kub": 1, "anfan kub": 1, "nothing": 0} {
		b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#q').select(), undefined`), chromedp.KeyEvent(query))
		b.waitFor(fmt.Sprintf(`document.querySelector('#list-title').textContent === 'Results for “%s”' &&
			document.querySelectorAll('#videos li').length === %d`, query, found))
	}
}

// mustBeCounted waits until the server knows of the view that has ended, from the page's own beacons.
func (b *tab) mustBeCounted() {
	b.t.Helper()
	eventually(b.t, 20*time.Second, func() string {
		var got struct {
			Items []struct {
				Video             string
				Views, Viewers    int
				Ended, Completed  int
				WatchSeconds      float64        `json:"watch_seconds"`
				StartupSecondsP50 float64        `json:"startup_seconds_p50"`
				PlayErrors        map[string]int `json:"play_errors"`
			}
		}
		api := &client{server: b.server.String()}
		if err := api.call(b.t.Context(), "GET", "/v1/analytics/top", nil, &got); err != nil {
			return err.Error()
		}
		if len(got.Items) != 1 || got.Items[0].Ended == 0 {
			return fmt.Sprintf("not counted yet: %+v", got.Items)
		}
		// It was played at four times its speed, from about a second on.
		if v := got.Items[0]; v.Views != 1 || v.Viewers != 1 || v.Completed != 1 || v.WatchSeconds < 1 || v.WatchSeconds > 7 || v.StartupSecondsP50 <= 0 || len(v.PlayErrors) > 0 {
			b.t.Errorf("the view is counted as %+v", v)
		}
		var of struct {
			Curve      []int
			Renditions []struct {
				Group string
				Views int
			}
		}
		if err := api.call(b.t.Context(), "GET", "/v1/analytics/videos/"+got.Items[0].Video, nil, &of); err != nil {
			return err.Error()
		}
		if slices.Min(of.Curve) != 1 || slices.Max(of.Curve) != 1 || len(of.Renditions) == 0 || of.Renditions[0].Group == "" {
			b.t.Errorf("its curve is %v, its renditions are %+v", of.Curve, of.Renditions)
		}
		return ""
	})
}

// mustPlay waits until moving pictures are seen, and looks at one.
func (b *tab) mustPlay() {
	b.t.Helper()
	b.waitFor(`document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames > 5`)
	before := evaluate[[]float64](b, `(v => [v.currentTime, v.getVideoPlaybackQuality().totalVideoFrames])(document.querySelector('video'))`)
	b.waitFor(fmt.Sprintf(`(v => v.currentTime > %f && v.getVideoPlaybackQuality().totalVideoFrames > %f)(document.querySelector('video'))`,
		before[0]+0.5, before[1]+10))
	colours := evaluate[int](b, `(() => {
		const canvas = new OffscreenCanvas(64, 36).getContext('2d');
		canvas.drawImage(document.querySelector('video'), 0, 0, 64, 36);
		return new Set(new Uint32Array(canvas.getImageData(0, 0, 64, 36).data.buffer)).size;
	})()`)
	if colours < 20 {
		b.t.Errorf("the picture has %d colours, want a test pattern", colours)
	}
}

func (b *tab) retryPlayback() {
	b.forgive("manifestLoadError")
	b.forgive("ERR_INTERNET_DISCONNECTED")
	b.waitFor(`document.querySelector('#videos a')`)
	b.cut(b.server.String() + "/play/*/master.m3u8")
	b.do(chromedp.Click(chromedp.CSS("#videos a")))
	b.waitFor(`document.querySelector('.trouble')?.innerText.startsWith('Playback stopped: the video could not be loaded.')`)
	b.cut()
	b.do(chromedp.Click(chromedp.CSS(".trouble button")))
	b.mustPlay()
	if evaluate[bool](b, `document.querySelector('.trouble').checkVisibility()`) {
		b.t.Error("the message stays when the video plays")
	}
}

func (b *tab) watchWhileEncoding(long string) {
	drag := func(kind input.DispatchDragEventType) {
		call(b, input.DispatchDragEvent, input.DispatchDragEventParams{
			Type: kind, X: 600, Y: 500, Data: &input.DragData{Items: []*input.DragDataItem{}, Files: []string{long}, DragOperationsMask: 1},
		})
	}
	drag(input.DispatchDragEventTypeDragEnter)
	b.waitFor(`document.body.classList.contains('dropping')`)
	drag(input.DispatchDragEventTypeDragOver)
	drag(input.DispatchDragEventTypeDrop)
	b.waitFor(`/^Can be watched, encoding \d+ %$/.test(document.querySelector('#uploads .soft')?.textContent)`)
	b.do(chromedp.Focus(chromedp.CSS("#uploads a")), chromedp.KeyEvent(kb.Enter))
	b.mustPlay()
	facts := evaluate[string](b, `document.querySelector('#player-view .soft').textContent`)
	if !strings.HasPrefix(facts, "Encoding ") {
		b.t.Fatalf("the encode ended before the playback began (%s): make the clip longer", facts)
	}
	// Over the end of the first chunk (at 4 s) into what was not there when it began, in another quality.
	lowest := evaluate[string](b, `(q => {
		q.selectedIndex = q.length - 1;
		q.dispatchEvent(new Event('change'));
		document.querySelector('video').playbackRate = 4;
		return q.selectedOptions[0].textContent;
	})(document.querySelector('#quality'))`)
	b.waitFor(`document.querySelector('video').currentTime > 8`)
	if now := evaluate[string](b, `player.levels[player.currentLevel].height + 'p'`); now != lowest {
		b.t.Errorf("%s was chosen, and %s plays", lowest, now)
	}
	if updates := evaluate[int](b, `playerUpdates.filter((u) => u === 'growing').length`); updates < 2 {
		b.t.Errorf("the playlist was seen growing %d times", updates)
	}
	b.mustPlay()
}

func (b *tab) watchAsItIs(clip string) {
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{clip}))
	b.waitFor(`/^Can be watched, encoding \d+ %$/.test(document.querySelector('#uploads .soft')?.textContent)`)
	b.do(chromedp.Focus(chromedp.CSS("#uploads a")), chromedp.KeyEvent(kb.Enter))
	b.mustPlay()
	choices := func() string {
		return evaluate[string](b, `[...document.querySelector('#quality').options].slice(1).map(o => o.textContent).join(' ')`)
	}
	if got := choices(); got != "source" {
		b.t.Fatalf("one can choose among %q while the rest is encoded", got)
	}
	b.waitFor(`!document.querySelector('#player-view .soft').textContent.startsWith('Encoding ')`)
	before := evaluate[float64](b, `document.querySelector('video').currentTime`)
	b.do(chromedp.Focus(chromedp.CSS("#quality")))
	b.waitFor(`document.querySelector('#quality').options.length > 2`)
	if got := choices(); !strings.HasPrefix(got, "source ") || !strings.HasSuffix(got, " 240p") {
		b.t.Errorf("one can choose among %q when all is encoded", got)
	}
	b.waitFor(fmt.Sprintf(`document.querySelector('video').currentTime > %f`, before+1))
	b.mustPlay()
	b.waitFor(`document.querySelectorAll('.strip:not([hidden]) button').length > 1`) // which are made after everything else
}

func (b *tab) readDocs() {
	var api struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := (&client{server: b.server.String()}).call(b.t.Context(), "GET", "/openapi.json", nil, &api); err != nil {
		b.t.Fatal(err)
	}
	operations := 0
	for _, path := range api.Paths {
		operations += len(path)
	}
	if operations < 10 {
		b.t.Fatalf("the API has %d operations", operations)
	}
	b.waitFor(fmt.Sprintf(`document.querySelectorAll('.opblock').length === %d`, operations))
	b.do(chromedp.Click(chromedp.CSS(".opblock-summary-control")))
	b.waitFor(`document.querySelector('.opblock.is-open .responses-table')`)
}

func convert(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"-nostdin", "-v", "error"}, args...)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %q: %v: %s", args, err, out)
	}
}
