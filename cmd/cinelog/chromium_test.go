package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for one thing to happen in the browser: long, since the machine may be busy with
// FFmpeg. Nothing takes that long where all is well.
const patience = 2 * time.Minute

// startChromium starts a browser with a fresh profile; it ends with the test.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Fatal("this test plays in a real browser, and Chromium is not installed: `make test` installs it when run as root; " +
			"else type: sudo apt-get update && sudo apt-get install -y chromium")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.Headless, chromedp.NoFirstRun, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), // containers have little of it
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // with its sandbox Chromium refuses to start as root
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("the browser did not end well: %v", err)
		}
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return ctx
}

// tab is a page in the browser, with what it asked for and what went wrong in it.
type tab struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // chromedp keeps the tab in it
	server *url.URL

	mu       sync.Mutex
	wrong    []string
	requests []request
	byID     map[network.RequestID]string
	forgiven []string // parts of what is expected to go wrong
	dialogs  []string // what the page asked; the answer is always yes
}

// request is one that the page made; its path has the query.
type request struct{ method, path string }

// watchPlayer runs in every page before its own scripts: it keeps the player for the test to look at, and takes down
// each of its errors, also those that it mends itself. Two are none: that it waited for more, since the encode may be slower
// than the playback, and that it broke off a request of its own, since it was told to load something else.
const watchPlayer = `(() => {
	window.playerErrors = [];
	window.playerUpdates = [];
	let own;
	Object.defineProperty(window, 'Hls', {configurable: true, get: () => own, set: (Hls) => {
		const attach = Hls.prototype.attachMedia;
		Hls.prototype.attachMedia = function (...args) {
			window.player = this;
			this.on(Hls.Events.ERROR, (_, e) => {
				if (e.fatal || !['bufferStalledError', 'aborted'].includes(e.details)) window.playerErrors.push(e.type + ' ' + e.details + (e.fatal ? ', fatal' : ''));
			});
			this.on(Hls.Events.LEVEL_UPDATED, (_, e) => window.playerUpdates.push(e.details.live ? 'growing' : 'complete'));
			return attach.apply(this, args);
		};
		own = Hls;
	}});
})()`

// open opens a page of the server in a tab of its own. When the test ends, whatever went wrong in it is an error.
func open(t *testing.T, browser context.Context, server, path string) *tab {
	t.Helper()
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	b := &tab{t: t, server: address, byID: map[network.RequestID]string{}}
	var cancel context.CancelFunc
	b.ctx, cancel = chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	t.Cleanup(func() {
		b.nothingWentWrong()
		cancel()
	})
	if err := chromedp.Do(b.ctx); err != nil { // a tab lives as long as the context of its first action
		t.Fatalf("open a tab: %v", err)
	}
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watchPlayer})
	b.do(chromedp.Navigate(server + path))
	return b
}

// listen takes down what happens in the page.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	complain := func(format string, args ...any) { b.wrong = append(b.wrong, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		complain("page error: %s", text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text, _ := json.Marshal(e.Args)
			complain("console %s: %s", e.Type, text)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			complain("browser %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		b.dialogs = append(b.dialogs, e.Message)
		go func() { // not here: the answer to a command comes by way of this function
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}()
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || (u.Host != b.server.Host && u.Scheme != "blob" && u.Scheme != "data") {
			complain("request to another host: %s", e.Request.URL)
			return
		}
		b.byID[e.RequestID] = e.Request.Method + " " + e.Request.URL
		b.requests = append(b.requests, request{e.Request.Method, u.RequestURI()})
	case *network.EventLoadingFailed:
		if !e.Canceled {
			complain("request failed: %s: %s %s", b.byID[e.RequestID], e.ErrorText, e.BlockedReason)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			complain("request failed: %s: %d", b.byID[e.RequestID], e.Response.Status)
		}
	}
}

// nothingWentWrong fails the test with all that did.
func (b *tab) nothingWentWrong() {
	b.t.Helper()
	player := evaluate[[]string](b, "window.playerErrors || []")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range player {
		b.wrong = append(b.wrong, "hls.js: "+e)
	}
	for _, w := range b.wrong {
		if !slices.ContainsFunc(b.forgiven, func(part string) bool { return strings.Contains(w, part) }) {
			b.t.Error(w)
		}
	}
}

// forgive says that complaints with this in them are what the test wants to see.
func (b *tab) forgive(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgiven = append(b.forgiven, part)
}

// asking returns what the page has asked the person.
func (b *tab) asking() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.dialogs)
}

// asked returns the requests made so far for paths that begin so.
func (b *tab) asked(method, prefix string) []request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.requests), func(r request) bool {
		return r.method != method || !strings.HasPrefix(r.path, prefix)
	})
}

// do runs actions, or ends the test.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.text())
	}
}

// wait waits until a JavaScript expression holds and returns its value.
func wait[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Poll[T](expression, chromedp.WithPollingTimeout(0)))
	if err != nil {
		b.t.Fatalf("wait for %s: %v\nthe page says:\n%s", expression, err, b.text())
	}
	return v
}

// waitFor waits until a JavaScript expression holds.
func (b *tab) waitFor(expression string) {
	b.t.Helper()
	wait[bool](b, "Boolean("+expression+")")
}

func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

// call sends a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	var answer R
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) {
		answer, err = cdp.Call(ctx, target, command, params)
		return err
	}))
	return answer
}

// text is what a person reads on the page, for messages.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}
