package main

import "github.com/chromedp/chromedp"

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
