package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// shoppingList is a file that calls itself a video, of a megabyte.
func shoppingList(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Shopping list.mp4")
	if err := os.WriteFile(file, bytes.Repeat([]byte("milk, bread, a film\n"), 50_000), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (b *tab) explainRefusal() {
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{shoppingList(b.t)}))
	b.waitFor(`document.querySelector('#uploads li').dataset.look === 'failed'`)
	row := evaluate[string](b, `document.querySelector('#uploads').innerText`)
	for _, want := range []string{"This is not a video", "Choose a video file: MP4"} {
		if !strings.Contains(row, want) {
			b.t.Errorf("the upload says %q, want %q in it", row, want)
		}
	}
	if told := evaluate[string](b, `document.querySelector('#announce').textContent`); !strings.Contains(told, "This is not a video") {
		b.t.Errorf("screen readers are told %q", told)
	}
	// Its page says so too.
	b.waitFor(`document.querySelector('#videos [data-status=failed]')`)
	b.do(chromedp.Click(chromedp.CSS("[data-status=failed] a")))
	b.waitFor(`document.querySelector('.stage')?.innerText.includes('Choose a video file: MP4')`)
	if shown := evaluate[[]string](b, `[...document.querySelector('.stage').childNodes].map((n) => n.nodeName)`); !slices.Equal(shown, []string{"H2", "P", "P"}) {
		b.t.Errorf("the page of a refused video has %q", shown)
	}
	b.do(chromedp.NavigateBack())
	b.do(chromedp.Click(chromedp.CSS("#uploads button"))) // Remove
	b.waitFor(`!document.querySelector('#uploads li') && !document.querySelector('#videos [data-status=failed]')`)
}

func (b *tab) retryUpload() {
	b.forgive("ERR_INTERNET_DISCONNECTED")
	b.waitFor(`document.querySelector('#videos li')`)
	advice := `document.querySelector('#uploads .why')?.innerText.includes('Check that the server runs, then try again')`
	b.cut("")
	b.do(chromedp.KeyEvent("/kub"))
	b.waitFor(`document.querySelector('#list-message').textContent.startsWith('The list could not be loaded')`)
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{shoppingList(b.t)}))
	b.waitFor(advice)
	b.waitFor(`document.querySelector('#away').checkVisibility()`)
	b.cut(b.server.String() + "/v1/videos/*/source")
	b.do(chromedp.Click(chromedp.CSS("#uploads button"))) // Try again
	b.waitFor(`!document.querySelector('#away').checkVisibility() && ` + advice)
	b.waitFor(`document.querySelector('#list-message').textContent === '1 found.'`) // the list has asked again by itself
	b.cut()
	b.do(chromedp.Click(chromedp.CSS("#uploads button")))                        // Try again
	b.waitFor(`document.querySelector('#uploads li').dataset.look === 'failed'`) // it arrived, and is no video
	if created := len(b.asked("POST", "/v1/videos")); created != 2 {
		b.t.Errorf("%d requests to create a video, want one that did not arrive and one", created)
	}
	b.do(chromedp.Click(chromedp.CSS("#uploads button"))) // Remove
	b.waitFor(`!document.querySelector('#uploads li') && document.querySelectorAll('#videos li').length === 1`)
}

// cancelUpload stops an upload by its button, and breaks another off by leaving the page.
func (b *tab) cancelUpload() {
	b.waitFor(`document.querySelector('#videos li')`)
	b.slow(b.server.String()+"/v1/videos/*/source", 1000)
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{shoppingList(b.t)}))
	b.waitFor(`document.querySelector('#uploads li').dataset.look === 'sending'`)
	b.do(chromedp.Click(chromedp.CSS("#uploads button"))) // Cancel
	b.waitFor(`!document.querySelector('#uploads li')`)
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{shoppingList(b.t)}))
	b.waitFor(`document.querySelector('#uploads li').dataset.look === 'sending'`)
	b.do(chromedp.Reload())
	if want := []string{""}; !slices.Equal(b.asking(), want) {
		b.t.Errorf("before it leaves, the page asks %q, want the browser's own question", b.asking())
	}
	b.cut()
	b.waitFor(`document.querySelectorAll('#videos li').length === 2`) // the cancelled one is gone
	b.do(chromedp.Click(chromedp.CSS("[data-status=waiting] a")))
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#its-file"), []string{shoppingList(b.t)}))
	b.waitFor(`document.querySelector('#uploads li').dataset.look === 'failed'`) // it arrived
	b.waitFor(`!document.querySelector('[data-status=waiting]')`)
	b.do(chromedp.Click(chromedp.CSS("#uploads button"))) // Remove
	b.waitFor(`!document.querySelector('#uploads li') && document.querySelectorAll('#videos li').length === 1`)
}

// cut takes the network from requests to these addresses ("" is all), and gives it back to all others.
func (b *tab) cut(addresses ...string) {
	b.t.Helper()
	rules := make([]*network.Conditions, len(addresses))
	for i, a := range addresses {
		rules[i] = &network.Conditions{URLPattern: a, Offline: true, DownloadThroughput: -1, UploadThroughput: -1}
	}
	call(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: rules})
}

// slow lets so many bytes a second through to an address.
func (b *tab) slow(address string, rate float64) {
	b.t.Helper()
	call(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{URLPattern: address, DownloadThroughput: -1, UploadThroughput: rate}},
	})
}
