package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
)

// followed is a site and the log behind it, to which a test appends.
type followed struct {
	*site

	log      *memory.Log
	versions map[string]int
	bell     chan struct{}
}

func newFollowed(t *testing.T, change func(*web.Server)) *followed {
	t.Helper()
	f := &followed{log: memory.NewLog(), versions: map[string]int{}, bell: make(chan struct{}, 1)}
	f.site = newSite(t, func(s *web.Server) {
		s.Events, s.Appended, s.EventsTick = f.log, f.bell, time.Hour
		s.Commands = &commands.Service{Log: f.log, Now: time.Now}
		if change != nil {
			change(s)
		}
	})
	return f
}

// append puts an event into a video's stream. The clock goes back with each of them: the order is that of the positions.
func (f *followed) append(t *testing.T, video string, e domain.Event) {
	t.Helper()
	f.appendAt(t, video, e, time.Unix(int64(1_000_000-f.versions[video]), 0))
}

func (f *followed) appendAt(t *testing.T, video string, e domain.Event, at time.Time) {
	t.Helper()
	_, err := f.log.Append(t.Context(), domain.Commit{
		ID: uuid.NewString(), Stream: video, Expected: f.versions[video], Time: at, Events: []domain.Event{e},
	})
	if err != nil {
		t.Error(err)
	}
	f.versions[video]++
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

// follower is a client of the feed.
type follower struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Reader
	stop context.CancelFunc
}

func (f *followed) follow(t *testing.T, query, lastID string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", f.URL+"/v1/events?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, ct)
	}
	return &follower{t, resp, bufio.NewReader(resp.Body), cancel}
}

// message is what stands between two blank lines, with names and values of its lines.
type message map[string]string

func (f *follower) next() (message, error) {
	m := message{}
	for {
		line, err := f.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			return m, nil
		}
		name, value, _ := strings.Cut(line, ":")
		m[name] = strings.TrimPrefix(value, " ")
	}
}

// event reads up to the next event, past heartbeats.
func (f *follower) event() message {
	f.t.Helper()
	for {
		m, err := f.next()
		if err != nil {
			f.t.Fatal(err)
		}
		if m["data"] != "" {
			return m
		}
	}
}

const (
	videoOne = "019a0000-0000-7000-8000-000000000001"
	videoTwo = "019a0000-0000-7000-8000-000000000002"
)

func TestFollowersGetEveryEventOnceInOrder(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, nil)
	const events = 6000 // more than are kept in memory
	appending := make(chan struct{})
	go func() {
		defer close(appending)
		for i := range events {
			f.append(t, videoOne, domain.VideoDetailsChanged{Details: domain.Details{Title: strconv.Itoa(i)}})
		}
	}()
	for n := range 4 {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			last, connections := 0, 0
			for last < events {
				from := strconv.Itoa(last)
				if connections == 0 {
					from = ""
				}
				client := f.follow(t, "after=0", from)
				connections++
				for range (last*(n+3))%700 + 1 {
					if last == events {
						break
					}
					m := client.event()
					r, err := domain.UnmarshalCloudEvent([]byte(m["data"]))
					if err != nil || m["id"] != strconv.Itoa(last+1) || int(r.Position) != last+1 || m["event"] != "video.details_changed.v1" {
						t.Fatalf("after %d came %v (%v)", last, m, err)
					}
					last++
				}
				client.stop()
			}
			if connections < 5 {
				t.Errorf("only %d connections", connections)
			}
		})
	}
	<-appending
}

func TestFollowersChoose(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, func(s *web.Server) { s.Heartbeat = 10 * time.Millisecond })
	f.append(t, videoOne, domain.VideoCreated{})
	f.append(t, videoOne, domain.CaptionAdded{})
	f.append(t, videoTwo, domain.VideoCreated{})
	f.append(t, videoOne, domain.CaptionRemoved{})
	f.append(t, videoTwo, domain.VideoDeleted{})
	for query, want := range map[string][]string{
		"after=0":                       {"1", "2", "3", "4", "5"},
		"after=3":                       {"4", "5"},
		"after=0&type=video.created.v1": {"1", "3"},
		"after=0&type=video.caption_*":  {"2", "4"},
		"after=0&video=" + videoTwo:     {"3", "5"},
		"":                              nil,
		"type=video.*":                  nil,
		"after=1&type=video.deleted.v1&type=video.created.*": {"3", "5"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			client := f.follow(t, query, "")
			for _, id := range want {
				if m := client.event(); m["id"] != id {
					t.Errorf("got %v, want event %s", m, id)
				}
			}
			for { // what matches nothing goes on all the same, so that nobody reads it again
				m, err := client.next()
				if err != nil || m["data"] != "" {
					t.Fatalf("%v, %v", m, err)
				}
				if m["id"] == "5" {
					break
				}
			}
		})
	}
}

func TestFollowingStartsWithNowAndGoesOnAfterTheLastID(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, nil)
	f.append(t, videoOne, domain.VideoCreated{})
	client := f.follow(t, "", "")
	first, err := client.next()
	if err != nil || first["id"] != "1" || first["retry"] == "" || first["data"] != "" {
		t.Fatalf("the stream begins with %v, %v", first, err)
	}
	f.append(t, videoOne, domain.VideoPublished{})
	if m := client.event(); m["id"] != "2" || m["event"] != "video.published.v1" {
		t.Errorf("got %v", m)
	}
	if m := f.follow(t, "after=1", "0").event(); m["id"] != "1" { // the header wins
		t.Errorf("got %v", m)
	}
	if h := client.resp.Header; h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", h)
	}
	f.ask(t, "HEAD", "/v1/events", "").wants(t, 200)
	for _, bad := range []string{"x", "-1", "1.5", "3", "99999999999999999999"} {
		f.ask(t, "GET", "/v1/events", "", "Last-Event-ID: "+bad).wants(t, 400)
	}
	f.ask(t, "GET", "/v1/events?after=3", "").wants(t, 400)
	for _, bad := range []string{"after=-2", "after=x", "type=video.none.v1", "type=x*", "video=1", "video=" + strings.ToUpper("019a0000-0000-7000-8000-00000000000a")} {
		f.ask(t, "GET", "/v1/events?"+bad, "").wants(t, 422)
	}
}

func TestTooManyFollowers(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, func(s *web.Server) { s.MaxFollowers = 2 })
	one := f.follow(t, "", "")
	f.follow(t, "", "")
	a := f.ask(t, "GET", "/v1/events", "")
	a.wants(t, 503)
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	one.stop()
	f.untilThereIsRoom(t)
}

// untilThereIsRoom asks until the server has noticed that somebody left.
func (f *followed) untilThereIsRoom(t *testing.T) {
	t.Helper()
	for {
		r, err := http.DefaultClient.Get(f.URL + "/v1/events")
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode == 200 {
			return
		}
	}
}

// unread is a client that asks for the feed and reads nothing for now.
func (f *followed) unread(t *testing.T) *net.TCPConn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	conn := c.(*net.TCPConn)
	if err := conn.SetReadBuffer(256 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// bulky fills what the machine keeps for a connection.
func (f *followed) bulky(t *testing.T) (events int) {
	t.Helper()
	const count = 400
	for range count {
		f.append(t, videoOne, domain.CaptionAdded{Label: strings.Repeat("x", 40<<10)})
	}
	return count
}

func TestASlowFollowerIsCutOffAndMissesNothing(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, func(s *web.Server) {
		s.Now = func() time.Time { return time.Now().Add(-22 * time.Second) } // of the 30 s that it gets: the quick one may have to wait for a CPU
		s.MaxFollowers = 2
	})
	slow, quick := f.unread(t), f.follow(t, "after=0", "")
	events := f.bulky(t)
	for i := range events {
		if m := quick.event(); m["id"] != strconv.Itoa(i+1) {
			t.Fatalf("beside a slow one came %v, not %d", m["id"], i+1)
		}
	}
	f.untilThereIsRoom(t)
	resp, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	client := &follower{t: t, in: bufio.NewReader(resp.Body)}
	last := "0"
	for {
		m, err := client.next()
		if err != nil {
			break
		}
		last = m["id"]
	}
	n, _ := strconv.Atoi(last)
	if n >= events {
		t.Fatalf("it got all %d events before it read any", n)
	}
	rest := f.follow(t, "", last)
	for i := n + 1; i <= events; i++ {
		if m := rest.event(); m["id"] != strconv.Itoa(i) {
			t.Fatalf("after %s came %v", last, m["id"])
		}
	}
}

func TestFollowersDoNotHoldUpTheEndOfTheServer(t *testing.T) {
	t.Parallel()
	log, stopping := memory.NewLog(), make(chan struct{})
	f := &followed{log: log, versions: map[string]int{}}
	count := f.bulky(t)
	server := web.NewHTTPServer("", web.New(web.Server{
		Events: log, Stopping: stopping, Now: time.Now, Log: slog.New(slog.DiscardHandler), Hosts: []string{"*"},
	}))
	server.RegisterOnShutdown(func() { close(stopping) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	f.site = &site{Server: &httptest.Server{URL: "http://" + l.Addr().String(), Listener: l}}
	idle, stuck := f.follow(t, "", ""), f.unread(t)
	if _, err := bufio.NewReader(stuck).ReadString('\n'); err != nil { // it is being served
		t.Fatal(err)
	}
	if m, err := idle.next(); err != nil || m["id"] != strconv.Itoa(count) {
		t.Fatal(m, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // half of what a slow client gets
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("the server does not end: %v", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if _, err := idle.next(); !errors.Is(err, io.EOF) {
		t.Errorf("a follower was left with %v", err)
	}
}
