package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// useKeyboard finds, watches and leaves the one video that is there, without a mouse, and deletes it.
func (b *tab) useKeyboard() {
	b.waitFor(`document.querySelector('#videos a')`)
	for _, want := range []string{".skip", ".brand", "#q", ".quiet", "#file", "#videos a"} {
		b.press(kb.Tab)
		b.mustFocus(want)
	}
	b.mustHaveNames()
	b.press("/")
	b.mustFocus("#q")
	b.press("kub")
	b.waitFor(`document.querySelector('#list-message').textContent === '1 found.'`)
	b.press(kb.Tab + kb.Tab + kb.Tab)
	b.mustFocus("#videos a")
	b.press(kb.Enter)
	b.waitFor(`document.activeElement.matches('#player-view h1')`) // so a screen reader says what this is
	b.mustPlay()
	b.mustHaveNames()
	b.do(chromedp.NavigateBack())
	b.waitFor(`document.activeElement.matches('#videos a')`) // where one was
	b.press(kb.Enter)
	b.waitFor(`document.activeElement.matches('#player-view h1')`)
	for range 20 { // browsers differ in how many controls a player has
		if evaluate[bool](b, `document.activeElement.textContent === 'Delete'`) {
			break
		}
		b.press(kb.Tab)
	}
	b.mustFocus(".tools button:last-child")
	b.press(kb.Enter)
	b.waitFor(`document.querySelector('#list-message').textContent === 'No videos yet. Choose one above, or drop it anywhere on this page.'`)
	if want := []string{"Delete “" + hostileTitle + "” for ever?"}; !slices.Equal(b.asking(), want) {
		b.t.Errorf("the page asked %q, want %q", b.asking(), want)
	}
}

func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// mustFocus says that an element has the focus, and that one sees it: at it, or at the label of a hidden one.
func (b *tab) mustFocus(selector string) {
	b.t.Helper()
	b.waitFor(`document.hasFocus()`)
	state := evaluate[string](b, fmt.Sprintf(`(e => !e.matches(%q) ? 'not focused, but ' + e.outerHTML.slice(0, 100)
		: [e, ...(e.labels || [])].some((n) => getComputedStyle(n).outlineStyle === 'solid' && parseFloat(getComputedStyle(n).outlineWidth) > 1) ? '' : 'focused without an outline'
	)(document.activeElement)`, selector))
	if state != "" {
		b.t.Fatalf("%s is %s", selector, state)
	}
}

// mustHaveNames says that a screen reader has a name for everything that can be used.
func (b *tab) mustHaveNames() {
	b.t.Helper()
	used := 0
	for _, node := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		role, name := axText(node.Role), axText(node.Name)
		if node.Ignored || !slices.Contains([]string{"button", "link", "searchbox", "textbox", "combobox", "progressbar", "Video", "image", "list"}, role) {
			continue
		}
		used++
		if name == "" && role != "list" {
			b.t.Errorf("a %s has no name: %s", role, evaluate[string](b, `document.body.innerText`))
		}
	}
	if used < 5 {
		b.t.Errorf("%d elements can be used", used)
	}
}

func axText(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	_ = json.Unmarshal(v.Value, &s) // not all values are texts
	return s
}

// fitNarrowScreen looks for what sticks out at the width of a telephone.
// fitNarrowScreen lets nothing stick out but the scenes, whose strip is there to be scrolled.
func (b *tab) fitNarrowScreen() {
	b.do(chromedp.EmulateViewport(400, 800))
	fits := func(view string) {
		b.t.Helper()
		if wide := evaluate[[]string](b, `[...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && !e.closest('.hidden, .skip, .strip > *')
			&& e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML.slice(0, 80))`); len(wide) > 0 {
			b.t.Errorf("at 400 px these stick out of the %s: %q", view, wide)
		}
	}
	b.waitFor(`document.querySelector('#videos a')`)
	fits("list")
	b.do(chromedp.Click(chromedp.CSS("#videos a")))
	b.waitFor(`document.querySelector('.timeline li') && document.querySelector('video')?.readyState > 0`)
	fits("player")
}

// askGently counts requests while videos are in work.
func (b *tab) askGently() {
	b.waitFor(`document.querySelector('#videos [data-status=processing]')`)
	b.waitFor(`document.readyState === 'complete'`)
	window := call(b, browser.GetWindowForTarget, browser.GetWindowForTargetParams{}).WindowID
	look := func(state browser.WindowState, visibility string) {
		b.t.Helper()
		call(b, browser.SetWindowBounds, browser.SetWindowBoundsParams{WindowID: window, Bounds: &browser.Bounds{WindowState: state}})
		b.waitFor(fmt.Sprintf(`document.visibilityState === %q`, visibility))
	}
	if n := b.minute(); n < 30 || n > 61 {
		b.t.Errorf("%d requests in a minute with videos in work, want at most one a second", n)
	}
	look(browser.WindowStateMinimized, "hidden")
	if n := b.minute(); n > 0 {
		b.t.Errorf("%d requests in a minute that nobody looked at the page", n)
	}
	look(browser.WindowStateNormal, "visible")
	if n := b.minute(); n < 30 || n > 61 {
		b.t.Errorf("%d requests in a minute after the page was seen again", n)
	}
}

// restWhenIdle counts requests while no video is in work.
func (b *tab) restWhenIdle() {
	b.waitFor(`document.querySelector('#list-message').textContent.startsWith('No videos yet')`)
	b.waitFor(`document.readyState === 'complete'`)
	if n := b.minute(); n > 0 {
		b.t.Errorf("%d requests in a minute without a video in work", n)
	}
}

// minute lets a minute pass on the page's clock, which the browser winds on, and returns how often it asked the server
// for news in it. The browser may ask for its own reasons, for the icon of the page.
func (b *tab) minute() int {
	b.t.Helper()
	before := len(b.asked("GET", "/v1/"))
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	expired := chromedp.Events(ctx, emulation.VirtualTimeBudgetExpired)
	call(b, emulation.SetVirtualTimePolicy, emulation.SetVirtualTimePolicyParams{
		Policy: emulation.VirtualTimePolicyPauseIfNetworkFetchesPending, Budget: new(float64(time.Minute.Milliseconds())),
	})
	for _, err := range expired {
		if err != nil {
			b.t.Fatalf("wind the clock on: %v", err)
		}
		break
	}
	return len(b.asked("GET", "/v1/")) - before
}

func deleteAll(t *testing.T, server string) {
	t.Helper()
	cl := &client{server: server}
	var all struct {
		Items []answer `json:"items"`
	}
	if err := cl.call(t.Context(), "GET", "/v1/videos", nil, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all.Items {
		if err := cl.call(t.Context(), "DELETE", "/v1/videos/"+v.ID, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
}
