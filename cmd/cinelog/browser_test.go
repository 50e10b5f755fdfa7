package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A file name that would be a program if a title were taken for HTML.
const hostileTitle = `Kubernetes für <img src=x onerror=alert(1)>`

func TestThePageFromUploadToPlayback(t *testing.T) {
	dir := t.TempDir()
	clip := filepath.Join(dir, hostileTitle+".mp4")
	if err := makeSample(t.Context(), clip, 9); err != nil {
		t.Fatal(err)
	}
	a := serveForTest(t, filepath.Join(dir, "data"))
	b := open(t, startChromium(t), a.url(), "/")
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{clip}))
	b.waitFor(`document.querySelector('#uploads a')`)
	address := evaluate[string](b, `document.querySelector('#uploads a').href`)
	if !strings.HasPrefix(address, a.url()+"/#/v/") {
		t.Fatalf("the link to the player is %q", address)
	}
	b.do(chromedp.Click(chromedp.CSS("#uploads a")))
	b.waitFor(`document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames > 30`)
	b.waitFor(`document.querySelector('video').currentTime > 5`)
}
