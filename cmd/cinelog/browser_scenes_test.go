package main

import (
	"os"
	"path/filepath"

	"github.com/chromedp/chromedp"
)

// seeScenes points at the first video of the list, opens it and goes to its last scene.
func (b *tab) seeScenes() {
	b.waitFor(`(fetch('/v1/videos').then((r) => r.json()).then((d) => { window.preview = d.items[0].playback.preview; }), window.preview)`)
	b.do(chromedp.Reload())
	b.waitFor(`document.querySelector('#videos img')?.naturalWidth > 0`)
	still := evaluate[string](b, `document.querySelector('#videos img').getAttribute('src')`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.thumb').dispatchEvent(new PointerEvent('pointerenter')), undefined`))
	b.waitFor(`(i => i.src.endsWith('/preview.webp') && i.complete && i.naturalWidth === 320)(document.querySelector('#videos img'))`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.thumb').dispatchEvent(new PointerEvent('pointerleave')), undefined`))
	if src := evaluate[string](b, `document.querySelector('#videos img').getAttribute('src')`); src != still {
		b.t.Errorf("%s stays in the list", src)
	}
	b.do(chromedp.Click(chromedp.CSS("#videos a")))
	b.waitFor(`document.querySelectorAll('.strip button').length === 3 && document.querySelector('.strip img').naturalWidth === 480`)
	b.waitFor(`document.querySelector('video').currentTime > 0.5`)
	b.do(chromedp.Click(chromedp.CSS(".strip button:last-child")))
	b.waitFor(`document.querySelector('video').currentTime >= 4 && document.querySelector('.strip [aria-current]') === document.querySelector('.strip button:last-child')`)
}

// readCaptions gives a clip captions, uploads it and reads them in the player.
func (b *tab) readCaptions(clip string) {
	dir := b.t.TempDir()
	srt, captioned := filepath.Join(dir, "a.srt"), filepath.Join(dir, "Captioned.mkv")
	if err := os.WriteFile(srt, []byte("1\n00:00:00,000 --> 00:00:05,000\n<i>Grüße</i> & more\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	convert(b.t, "-i", "file:"+clip, "-i", "file:"+srt, "-map", "0", "-map", "1", "-c:v", "copy", "-c:a", "copy", "-c:s", "subrip",
		"-metadata:s:s:0", "language=ger", "file:"+captioned)
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{captioned}))
	b.waitFor(`document.querySelector('#uploads li').dataset.look === 'ready'`)
	b.waitFor(`(fetch('/v1/videos').then((r) => r.json()).then((d) => { window.captions = d.items[0]?.playback?.captions; }), window.captions?.length === 1)`)
	b.do(chromedp.Click(chromedp.CSS("#uploads a")))
	b.waitFor(`document.querySelector('video')?.textTracks.length === 1`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('video').textTracks[0].mode = 'showing', undefined`))
	b.waitFor(`document.querySelector('video').textTracks[0].activeCues?.length === 1`)
	cue := evaluate[string](b, `(c => c.getCueAsHTML().textContent + ' ' + c.startTime.toFixed(1) + ' ' + c.endTime.toFixed(1))(document.querySelector('video').textTracks[0].activeCues[0])`)
	if cue != "Grüße & more 0.0 5.0" {
		b.t.Errorf("the cue is %q", cue)
	}
}

// chooseLanguage gives a clip a second track of sound, uploads it and hears that one in the player.
func (b *tab) chooseLanguage(clip string) {
	dubbed := filepath.Join(b.t.TempDir(), "Dubbed.mkv")
	convert(b.t, "-i", "file:"+clip, "-f", "lavfi", "-i", "sine=f=440:d=5", "-map", "0:v", "-map", "0:a", "-map", "1", "-c:v", "copy", "-c:a", "aac",
		"-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger", "file:"+dubbed)
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{dubbed}))
	b.waitFor(`document.querySelector('#uploads li').dataset.look === 'ready'`)
	b.do(chromedp.Click(chromedp.CSS("#uploads a")))
	b.waitFor(`document.querySelector('video')?.currentTime > 0.5`)
	b.waitFor(`document.querySelector('#sound').options.length === 2 && !document.querySelector('#sound').parentElement.hidden`)
	if got := evaluate[string](b, `[...document.querySelector('#sound').options].map((o) => o.text).join(', ') + ': ' + document.querySelector('#sound').value`); got != "English, German: 0" {
		b.t.Errorf("there is to choose %q", got)
	}
	heard := func() bool {
		return evaluate[bool](b, `performance.getEntriesByType('resource').some((r) => /audio-2-[^/]*\/audio-2\/\d+\.m4s/.test(r.name))`)
	}
	if heard() {
		b.t.Error("the other language was loaded before it was chosen")
	}
	b.do(chromedp.Evaluate[chromedp.Void](`(s => { s.value = '1'; s.dispatchEvent(new Event('change')); document.querySelector('video').currentTime = 1; })(document.querySelector('#sound')), undefined`))
	b.waitFor(`performance.getEntriesByType('resource').some((r) => /audio-2-[^/]*\/audio-2\/\d+\.m4s/.test(r.name))`)
	b.waitFor(`document.querySelector('video').currentTime > 2 && document.querySelector('#sound').value === '1'`)
	if evaluate[bool](b, `!document.querySelector('.trouble').hidden`) {
		b.t.Error("playback stopped")
	}
}
