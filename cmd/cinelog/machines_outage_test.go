package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/backends"
)

// outage is how long a server is away, and how many videos may be uploaded meanwhile: each must be encoded afterwards.
func outage() (lasts time.Duration, uploads int) {
	if os.Getenv("CINELOG_LONG") != "" {
		return time.Minute, 1000
	}
	return 20 * time.Second, 6
}

// meanwhile does something again and again until an outage has lasted long enough.
func meanwhile(do func()) {
	lasts, _ := outage()
	for began := time.Now(); time.Since(began) < lasts; time.Sleep(100 * time.Millisecond) { // those who ask need their CPUs too
		do()
	}
}

// messagesAway stops SNS and SQS: whoever writes does not notice, whoever reads hardly does, and what was to be done
// is done after.
func messagesAway(t *testing.T, binary string) {
	t.Helper()
	server, at := backends.StartAWS(t), sharedServers(t)
	at.aws = server.URL
	m := newMachines(t, binary, at)
	m.mustRun("provision")
	w := m.witness()
	one, two := &client{server: m.start("api").address(t)}, &client{server: m.start("api").address(t)}
	m.start("relay,projector,analytics")
	worker := m.start("transcoder")
	small := m.clip(5, "320x180")
	ids := []string{m.send(one, m.clip(20, "640x360"))}
	eventually(t, time.Minute, func() string {
		for piece := range inWorkOf(t, worker) {
			if strings.HasSuffix(piece, "piece 1") {
				return ""
			}
		}
		return "nobody encodes piece 1"
	})
	server.Stop(t)
	var slowest time.Duration
	var id string
	round := 0
	_, uploads := outage()
	meanwhile(func() {
		if round++; round <= uploads {
			id = m.send(one, small)
			ids = append(ids, id)
		}
		title := fmt.Sprintf("Number %d", round)
		if err := one.call(t.Context(), http.MethodPatch, "/v1/videos/"+id, map[string]any{"title": title}, nil); err != nil {
			t.Fatal(err)
		}
		written := time.Now()
		two.position = one.position
		eventually(t, time.Minute, func() string {
			var v answer
			if err := two.call(t.Context(), http.MethodGet, "/v1/videos/"+id, nil, &v); err != nil {
				return err.Error()
			}
			if v.Title != title {
				t.Errorf("a query after position %s finds %+v", two.position, v)
			}
			return ""
		})
		slowest = max(slowest, time.Since(written))
	})
	server.Start(t)
	for _, id := range ids {
		if _, err := one.wait(t.Context(), id, true, func(float64) {}); err != nil {
			t.Fatal(err)
		}
	}
	w.settled(time.Minute)
	w.check()
	m.allRun()
	t.Logf("%d uploads without messages; what they wrote could be read after %s at most", len(ids)-1, slowest.Round(time.Millisecond))
}

// storageAway stops S3 while a source comes in, while another one is encoded, and before a third is sent.
func storageAway(t *testing.T, binary string) {
	t.Helper()
	at := sharedServers(t)
	var server *backends.Server
	server, at.access, at.secret = backends.StartS3(t)
	at.s3 = server.URL
	m := newMachines(t, binary, at)
	m.mustRun("provision")
	w := m.witness()
	cl := &client{server: m.start("api").address(t)}
	m.start("relay,projector,analytics")
	worker := m.start("transcoder")
	encoding := m.send(cl, m.clip(20, "640x360"))
	small := m.clip(5, "320x180")
	refused, cut := m.create(cl, "Refused"), m.create(cl, "Cut")

	// More than a part of it is stored when storage goes away.
	half := bytes.Repeat([]byte("cinelog "), 20<<20/8)
	reached, goOn := make(chan struct{}), make(chan struct{})
	body := io.MultiReader(bytes.NewReader(half), &gate{reached, goOn}, bytes.NewReader(half))
	answers := make(chan reply, 1)
	go func() {
		answers <- m.ask(http.MethodPut, cl.server+"/v1/videos/"+cut+"/source", body, int64(2*len(half)))
	}()
	<-reached
	eventually(t, time.Minute, func() string {
		for piece := range inWorkOf(t, worker) {
			if strings.HasSuffix(piece, "piece 1") {
				return ""
			}
		}
		return "nobody encodes piece 1"
	})
	server.Stop(t)
	close(goOn)
	(<-answers).mustBeAway(t)
	meanwhile(func() {
		clip, err := os.ReadFile(small)
		if err != nil {
			t.Fatal(err)
		}
		m.ask(http.MethodPut, cl.server+"/v1/videos/"+refused+"/source", bytes.NewReader(clip), int64(len(clip))).mustBeAway(t)
		for _, id := range []string{refused, cut} {
			var v answer
			if err := cl.call(t.Context(), http.MethodGet, "/v1/videos/"+id, nil, &v); err != nil || v.Status != "waiting" {
				t.Errorf("a video whose upload was refused: %+v, %v", v, err)
			}
		}
	})
	server.Start(t)
	for _, id := range []string{refused, cut} {
		eventually(t, time.Minute, func() string {
			if err := m.put(cl, id, small); err != nil {
				return err.Error()
			}
			return ""
		})
	}
	for _, id := range []string{encoding, refused, cut} {
		v, err := cl.wait(t.Context(), id, true, func(float64) {})
		if err != nil {
			t.Fatal(err)
		}
		m.mustPlayFromS3(cl.server, v)
	}
	w.settled(time.Minute)
	w.check()
	for _, r := range w.events() {
		if _, failed := r.Event.(domain.TranscodeFailed); failed {
			t.Errorf("an attempt failed: %+v", r)
		}
	}
	m.allRun()
}

// gate is a place in a body where the sender waits.
type gate struct{ reached, goOn chan struct{} }

func (g *gate) Read([]byte) (int, error) {
	close(g.reached)
	<-g.goOn
	return 0, io.EOF
}

// databaseAway stops MongoDB: everything says so, nothing ends, and all goes on by itself when it is back.
func databaseAway(t *testing.T, binary string) {
	t.Helper()
	at := sharedServers(t)
	server := backends.StartMongo(t)
	at.mongo = server.URL
	m := newMachines(t, binary, at)
	m.mustRun("provision")
	w := m.witness()
	cl := &client{server: m.start("api").address(t)}
	m.start("relay,projector,analytics")
	worker := m.start("transcoder")
	encoding := m.send(cl, m.clip(20, "640x360"))
	waiting := m.create(cl, "Waiting")
	eventually(t, time.Minute, func() string {
		for piece := range inWorkOf(t, worker) {
			if strings.HasSuffix(piece, "piece 1") {
				return ""
			}
		}
		return "nobody encodes piece 1"
	})
	m.ask(http.MethodGet, cl.server+"/readyz", nil, 0).must(t, http.StatusOK)
	server.Stop(t)
	meanwhile(func() {
		m.ask(http.MethodPost, cl.server+"/v1/videos", strings.NewReader(`{"title":"Nobody"}`), 18).mustBeAway(t)
		m.ask(http.MethodPut, cl.server+"/v1/videos/"+waiting+"/source", strings.NewReader("abc"), 3).mustBeAway(t)
		m.ask(http.MethodGet, cl.server+"/v1/videos?q=clip", nil, 0).mustBeAway(t)
		m.ask(http.MethodGet, cl.server+"/v1/videos/"+waiting, nil, 0).mustBeAway(t)
		m.ask(http.MethodGet, cl.server+"/v1/analytics/totals", nil, 0).mustBeAway(t)
		m.ask(http.MethodGet, cl.server+"/readyz", nil, 0).must(t, http.StatusServiceUnavailable)
		m.ask(http.MethodGet, cl.server+"/healthz", nil, 0).must(t, http.StatusOK)
	})
	server.Start(t)
	eventually(t, time.Minute, func() string {
		if r := m.ask(http.MethodGet, cl.server+"/readyz", nil, 0); r.status != http.StatusOK {
			return fmt.Sprintf("not ready: %+v", r)
		}
		return ""
	})
	if err := m.put(cl, waiting, m.clip(5, "320x180")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{encoding, waiting} {
		if _, err := cl.wait(t.Context(), id, true, func(float64) {}); err != nil {
			t.Fatal(err)
		}
	}
	w.settled(2 * time.Minute)
	w.check()
	m.allRun()
}

// reply is what a server answered.
type reply struct {
	request string
	status  int
	header  http.Header
	body    string
	err     error
}

func (m *machines) ask(method, at string, body io.Reader, size int64) reply {
	r := reply{request: method + " " + at}
	req, err := http.NewRequestWithContext(m.t.Context(), method, at, body)
	if err != nil {
		r.err = err
		return r
	}
	req.ContentLength = size
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.err = err
		return r
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	r.status, r.header, r.body, r.err = res.StatusCode, res.Header, string(text), err
	return r
}

func (r reply) must(t testing.TB, status int) {
	t.Helper()
	if r.err != nil || r.status != status {
		t.Errorf("%s: %d %.500s, %v", r.request, r.status, r.body, r.err)
	}
}

// mustBeAway says that the client shall try again, and nothing about why.
func (r reply) mustBeAway(t testing.TB) {
	t.Helper()
	r.must(t, http.StatusServiceUnavailable)
	if r.header.Get("Retry-After") == "" || strings.Contains(r.body, "127.0.0.1") {
		t.Errorf("%s: %v %s", r.request, r.header, r.body)
	}
}

// allRun says which processes have ended.
func (m *machines) allRun() {
	m.t.Helper()
	for _, p := range m.processes {
		select {
		case <-p.ended:
			m.t.Errorf("a process has ended: %v %v", p.cmd.Args, p.state)
		default:
		}
	}
}
