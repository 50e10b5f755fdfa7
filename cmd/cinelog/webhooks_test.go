package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/cinelog/cinelog/domain"
)

// receiver is somebody who is told of events, and fails at every fifth one first.
type receiver struct {
	*httptest.Server

	t      *testing.T
	mu     sync.Mutex
	secret string
	tried  map[string]bool
	got    map[domain.Position]string
	newest map[string]domain.Position // of each video
	called chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{
		t: t, tried: map[string]bool{}, got: map[domain.Position]string{}, newest: map[string]domain.Position{}, called: make(chan struct{}, 1),
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // the server was killed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer signalTo(r.called)
	hook, err := standardwebhooks.NewWebhook(r.secret)
	if err == nil {
		err = hook.Verify(body, q.Header)
	}
	e, unread := domain.UnmarshalCloudEvent(body)
	if err != nil || unread != nil {
		r.t.Errorf("%v, %v", err, unread)
		return
	}
	id := q.Header.Get("Webhook-Id")
	if first := !r.tried[id]; first && e.Position%5 == 0 {
		r.tried[id] = true
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	before, again := r.got[e.Position]
	switch {
	case again && before != id:
		r.t.Errorf("event %d came as %s and as %s", e.Position, before, id)
	case !again && e.Position < r.newest[e.Stream]:
		r.t.Errorf("event %d of %s came after %d", e.Position, e.Stream, r.newest[e.Stream])
	}
	r.got[e.Position] = id
	r.newest[e.Stream] = max(r.newest[e.Stream], e.Position)
}

// have waits until so many events have come.
func (r *receiver) have(n int) {
	r.t.Helper()
	timeout := time.After(time.Minute)
	for {
		r.mu.Lock()
		have := len(r.got)
		r.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-r.called:
		case <-timeout:
			r.t.Fatalf("%d of %d events have come", have, n)
		}
	}
}

func askAPI(t *testing.T, method, url, body string, answer any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && answer != nil {
		err = json.NewDecoder(bytes.NewReader(text)).Decode(answer)
	}
	if err != nil || resp.StatusCode > 299 {
		t.Fatalf("%s %s: %v, %d %s", method, url, err, resp.StatusCode, text)
	}
}

// TestWebhooksSurviveKills kills the server while it delivers: every event arrives, a video's in order, each signed.
func TestWebhooksSurviveKills(t *testing.T) {
	t.Parallel()
	dir, binary := t.TempDir(), buildBinary(t)
	r := newReceiver(t)
	events := 0
	const kills = 4
	for run := range kills + 1 {
		p := startProcess(t, nil, binary, filepath.Join(dir, "data"), filepath.Join(dir, fmt.Sprint(run, ".log")), "--webhooks-private")
		api := p.address(t)
		if run == 0 {
			var created struct{ Secret string }
			askAPI(t, "POST", api+"/v1/webhooks", `{"url":"`+r.URL+`/hook","from":1}`, &created)
			r.mu.Lock()
			r.secret = created.Secret
			r.mu.Unlock()
		}
		for n := range 5 {
			var v struct{ ID string }
			askAPI(t, "POST", api+"/v1/videos", `{"title":"A"}`, &v)
			askAPI(t, "PATCH", api+"/v1/videos/"+v.ID, `{"title":"B"}`, nil)
			askAPI(t, "PATCH", api+"/v1/videos/"+v.ID, `{"title":"C"}`, nil)
			events += 3
			if n == run {
				r.have(events / 2)
			}
		}
		if run < kills {
			p.kill()
			continue
		}
		r.have(events)
		var list struct{ Items []struct{ ID string } }
		askAPI(t, "GET", api+"/v1/webhooks", "", &list)
		eventually(t, time.Minute, func() string { // what is acknowledged is about to be written down
			var pending struct{ Items []any }
			askAPI(t, "GET", api+"/v1/webhooks/"+list.Items[0].ID+"/deliveries?status=pending", "", &pending)
			if len(pending.Items) > 0 {
				return fmt.Sprint(len(pending.Items), " deliveries are pending")
			}
			return ""
		})
		p.kill()
	}
}

// TestWebhooksCommand adds an endpoint, tests it, sees what it was told, and has it told again, as people do.
func TestWebhooksCommand(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), newReceiver(t)
	p := startProcess(t, nil, buildBinary(t), filepath.Join(dir, "data"), filepath.Join(dir, "log"), "--webhooks-private")
	defer p.kill()
	api := p.address(t)
	webhooks := func(status int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(append([]string{"webhooks", "--server", api}, args...), &out, &errs); code != status {
			t.Errorf("webhooks %v: exit %d\n%s%s", args, code, &out, &errs)
		}
		return out.String() + errs.String()
	}
	if out := webhooks(exitDone, "ls"); out != "No endpoints.\n" {
		t.Errorf("ls: %q", out)
	}
	added := strings.Fields(webhooks(exitDone, "add", r.URL+"/hook", "--type", "video.created.v1", "--type", "video.del*"))
	id, secret := added[0], added[2]
	type arrived struct {
		http.Header

		body []byte
	}
	tests := make(chan arrived, 1)
	tested := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		tests <- arrived{q.Header, body}
		if strings.HasSuffix(q.URL.Path, "bad") {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer tested.Close()
	for path, status := range map[string]int{"/good": exitDone, "/bad": exitFailed} {
		other := strings.Fields(webhooks(exitDone, "add", tested.URL+path))
		webhooks(exitDone, "disable", other[0])
		if out := webhooks(status, "test", other[0]); !strings.Contains(out, map[int]string{exitDone: "taken: 200", exitFailed: "answered 418"}[status]) {
			t.Errorf("test: %s", out)
		}
		got := <-tests
		hook, err := standardwebhooks.NewWebhook(other[2])
		if err == nil {
			err = hook.Verify(got.body, got.Header)
		}
		if err != nil || !strings.Contains(string(got.body), `"type":"webhook.test.v1"`) {
			t.Errorf("a test arrived as %s: %v", got.body, err)
		}
		webhooks(exitDone, "rm", other[0])
	}
	r.mu.Lock()
	r.secret = secret
	r.mu.Unlock()
	var v struct{ ID string }
	askAPI(t, "POST", api+"/v1/videos", `{"title":"A"}`, &v)
	askAPI(t, "PATCH", api+"/v1/videos/"+v.ID, `{"title":"B"}`, nil)
	askAPI(t, "DELETE", api+"/v1/videos/"+v.ID, ``, nil)
	r.have(2)
	eventually(t, time.Minute, func() string {
		if out := webhooks(exitDone, "deliveries", id, "--status", "delivered"); strings.Count(out, "delivered") != 2 ||
			!strings.Contains(out, id+"-3") || !strings.Contains(out, "video.deleted.v1") {
			return out
		}
		return ""
	})
	r.mu.Lock()
	clear(r.got)
	clear(r.newest)
	r.mu.Unlock()
	webhooks(exitDone, "redeliver", id, "--delivery", id+"-1")
	r.have(1)
	webhooks(exitDone, "redeliver", id, "--from", "1")
	r.have(2)
	if out := webhooks(exitDone, "ls", "--json"); !strings.Contains(out, id) || strings.Contains(out, secret) {
		t.Errorf("ls: %s", out)
	}
	if out := webhooks(exitDone, "rotate", id); !strings.HasPrefix(out, "secret whsec_") || strings.Contains(out, secret) {
		t.Errorf("rotate: %s", out)
	}
	webhooks(exitUsage, "redeliver", id)
	webhooks(exitFailed, "test", "none")
}
