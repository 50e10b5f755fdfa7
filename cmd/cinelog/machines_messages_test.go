package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
)

// messagesShuffled is the relay itself: it publishes every event twice, in any order, and when all is done everything
// once more.
func messagesShuffled(t *testing.T, binary string) {
	t.Helper()
	m := newMachines(t, binary, sharedServers(t))
	m.mustRun("provision")
	w := m.witness()
	cl := &client{server: m.start("api").address(t)}
	m.start("projector,analytics")
	m.start("transcoder")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	relay := &badRelay{witness: w, rand: rand.New(rand.NewPCG(seed, 0)), stop: make(chan struct{})}
	var relaying sync.WaitGroup
	relaying.Go(relay.run)
	t.Cleanup(func() { relay.end(); relaying.Wait() })

	sound, deleted, text := m.send(cl, m.clip(9, "320x180")), m.send(cl, m.clip(5, "320x180")), m.create(cl, "A text")
	m.ask(http.MethodPut, cl.server+"/v1/videos/"+text+"/source", strings.NewReader("no video"), 8).must(t, http.StatusAccepted)
	for _, id := range []string{sound, deleted} {
		if _, err := cl.wait(t.Context(), id, true, func(float64) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.call(t.Context(), http.MethodDelete, "/v1/videos/"+deleted, nil, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string {
		var v answer
		if err := cl.call(t.Context(), http.MethodGet, "/v1/videos/"+text, nil, &v); err != nil || v.Status != "failed" {
			return fmt.Sprintf("the text: %+v, %v", v, err)
		}
		return ""
	})
	relay.end()
	relaying.Wait()
	w.drained(time.Minute)
	events := w.events()
	w.check()

	// All that was ever sent comes again.
	relay.publish(slices.Concat(events, events))
	var tasks []commands.Task
	for _, r := range events {
		if e, ok := r.Event.(domain.TranscodePlanned); ok {
			for chunk := range e.Plan.Chunks {
				tasks = append(tasks, commands.Task{Kind: commands.TaskChunk, Video: r.VideoID(), Attempt: e.Attempt, Chunk: chunk})
			}
			tasks = append(tasks, commands.Task{Kind: commands.TaskAudio, Video: r.VideoID(), Attempt: e.Attempt},
				commands.Task{Kind: commands.TaskInspect, Video: r.VideoID(), Attempt: e.Attempt})
		}
	}
	if err := messaging.NewTasks(w.publisher()).Send(t.Context(), slices.Concat(tasks, tasks)...); err != nil {
		t.Fatal(err)
	}
	w.drained(time.Minute)
	if after := w.events(); len(after) != len(events) {
		t.Errorf("old messages led to %+v", after[len(events):])
	}
	w.check()
	if out := m.mustRun("dlq", "ls"); !strings.Contains(out, "No dead letters") {
		t.Errorf("dead letters:\n%s", out)
	}
	t.Logf("%d events published %d times", len(events), relay.published)
}

// badRelay publishes what a relay does, but badly.
type badRelay struct {
	*witness

	rand      *rand.Rand
	published int
	once      sync.Once
	stop      chan struct{}
}

func (r *badRelay) end() { r.once.Do(func() { close(r.stop) }) }

// run keeps some events back for a while, publishes some twice at once and some again later, and all before it ends.
func (r *badRelay) run() {
	var after domain.Position
	var later []domain.Recorded
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for stopped := false; !stopped; {
		select {
		case <-r.stop:
			stopped = true
		case <-tick.C:
		}
		events, err := r.log.ReadAfter(r.t.Context(), after, 1000)
		if err != nil {
			r.t.Errorf("read the log: %v", err)
			return
		}
		if len(events) > 0 {
			after = events[len(events)-1].Position
		}
		var now, again []domain.Recorded
		for _, e := range slices.Concat(later, events) {
			goes := stopped || r.rand.IntN(3) > 0
			if goes {
				now = append(now, slices.Repeat([]domain.Recorded{e}, 1+r.rand.IntN(2))...)
			}
			if !goes || r.rand.IntN(3) == 0 {
				again = append(again, e)
			}
		}
		later = again
		r.publish(now)
	}
}

func (r *badRelay) publish(events []domain.Recorded) {
	msgs := make([]*message.Message, len(events))
	for i, e := range events {
		body, err := domain.MarshalShortCloudEvent(e)
		if err != nil {
			r.t.Error(err)
		}
		msgs[i] = message.NewMessage(watermill.NewUUID(), body)
		msgs[i].Metadata.Set(messaging.MetaType, domain.EventType(e.Event))
		msgs[i].Metadata.Set(messaging.MetaVideo, e.Stream)
		msgs[i].Metadata.Set(messaging.MetaPosition, strconv.FormatInt(int64(e.Position), 10))
	}
	r.rand.Shuffle(len(msgs), func(i, j int) { msgs[i], msgs[j] = msgs[j], msgs[i] })
	if len(msgs) == 0 {
		return
	}
	if err := r.publisher().Publish(messaging.TopicEvents, msgs...); err != nil {
		r.t.Errorf("publish: %v", err)
	}
	r.published += len(msgs)
}

func (w *witness) publisher() message.Publisher {
	pub, err := w.bus.Publisher()
	if err != nil {
		w.t.Fatal(err)
	}
	return pub
}

// poisonMessages sends what nobody can handle. It ends with the dead letters, each with the reason, and all else goes
// on.
func poisonMessages(t *testing.T, binary string) {
	t.Helper()
	m := newMachines(t, binary, sharedServers(t))
	m.mustRun("provision")
	w := m.witness()
	cl := &client{server: m.start("api").address(t)}
	m.start("relay,projector,analytics")
	m.start("transcoder", "--tries", "3")
	send := func(topic, eventType, body string) {
		msg := message.NewMessage(watermill.NewUUID(), []byte(body))
		msg.Metadata.Set(messaging.MetaType, eventType)
		if err := w.publisher().Publish(topic, msg); err != nil {
			t.Fatal(err)
		}
	}
	send(messaging.TopicEvents, "video.uploaded.v1", `no event at all`)
	send(messaging.TopicEvents, "video.sung.v7", `{"specversion":"1.0","id":"x","source":"x","type":"video.sung.v7","subject":"x","data":{}}`)
	send(messaging.TopicTasks, "dance", `{"kind":"dance","video":"0198c0de-0000-7000-8000-000000000000"}`)
	send(messaging.TopicTasks, "chunk", `no task at all`)
	if _, err := cl.wait(t.Context(), m.send(cl, m.clip(5, "320x180")), true, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	var dance web.DeadLetter
	eventually(t, time.Minute, func() string {
		letters := m.letters()
		got := map[string]int{} // tries
		for _, l := range letters {
			got[l.Group+" "+l.Payload[:min(8, len(l.Payload))]] = l.Attempts
			if l.Reason == "" || l.Died.IsZero() {
				t.Errorf("it does not say why or when: %+v", l)
			}
			if strings.Contains(l.Payload, "dance") {
				dance = l
			}
		}
		want := map[string]int{
			"transcoding no event": 1, "projector no event": 1, "analytics no event": 1, // all of them want uploads
			`projector {"specve`: 1, // who wants everything gets what this program is too old to know
			`workers {"kind":`:   3, "workers no task ": 1,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || len(letters) != len(want) {
			return fmt.Sprintf("dead letters: %v instead of %v", got, want)
		}
		return ""
	})
	if !strings.Contains(dance.Reason, `"dance"`) {
		t.Errorf("the reason is %q", dance.Reason)
	}
	if out := m.mustRun("dlq", "ls"); !strings.Contains(out, dance.ID+"  tasks/workers  3 tries") || !strings.Contains(out, dance.Reason) {
		t.Errorf("the list lacks %s:\n%s", dance.ID, out)
	}

	m.mustRun("dlq", "redrive", dance.ID)
	if out, err := m.run("dlq", "redrive", dance.ID); err == nil {
		t.Errorf("redriven twice: %s", out)
	}
	eventually(t, time.Minute, func() string {
		for _, l := range m.letters() {
			if l.Group == groupWorkers && l.Payload == dance.Payload && l.ID != dance.ID && l.Died.After(dance.Died) && l.Attempts == 3 {
				return ""
			}
		}
		return "the redriven task is not tried and given up on again"
	})
	for _, l := range m.letters() {
		m.mustRun("dlq", "drop", l.ID)
	}
	if out := m.mustRun("dlq", "ls"); !strings.Contains(out, "No dead letters") {
		t.Errorf("dead letters after all were dropped:\n%s", out)
	}
	w.settled(time.Minute)
	w.check()
	m.allRun()
}

// letters are the dead letters as "cinelog dlq ls" gives them to programs.
func (m *machines) letters() (letters []web.DeadLetter) {
	m.t.Helper()
	for line := range strings.Lines(m.mustRun("--json", "dlq", "ls")) {
		var l web.DeadLetter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			m.t.Fatalf("%s: %v", line, err)
		}
		letters = append(letters, l)
	}
	return letters
}

// twoOfEach runs two relays and two projectors under load: every event reaches every group, and the read models are
// what the log gives.
func twoOfEach(t *testing.T, binary string) {
	t.Helper()
	m := newMachines(t, binary, sharedServers(t))
	m.mustRun("provision")
	w := m.witness()
	const everybody = "witness"
	group := m.openAWS([]aws.Topic{{Name: messaging.TopicEvents, Groups: []aws.Group{{Name: everybody}}}})
	reached := make(chan domain.Position, 1000)
	go func() {
		_ = messaging.ConsumeEvents(t.Context(), messaging.Consumer{Subscriber: group.Subscriber(everybody), Concurrency: 4}, w.log,
			func(ctx context.Context, e domain.Recorded) error {
				select {
				case reached <- e.Position:
				case <-ctx.Done():
				}
				return ctx.Err()
			})
	}()
	apis := []string{m.start("api").address(t), m.start("api").address(t)}
	for range 2 {
		m.start("relay")
		m.start("projector,analytics")
	}
	acknowledged := m.writeAtOnce(apis)
	events := w.events()
	for position, id := range acknowledged {
		if position > domain.Position(len(events)) || events[position-1].Stream != id {
			t.Errorf("what was acknowledged for video %s at %d is not there", id, position)
		}
	}
	times := map[domain.Position]int{}
	for limit := time.After(time.Minute); len(times) < len(events); {
		select {
		case p := <-reached:
			times[p]++
		case <-limit:
			t.Fatalf("%d of %d events have reached a group after a minute", len(times), len(events))
		}
	}
	eventually(t, time.Minute, func() string {
		backlogs, err := w.bus.Backlogs(t.Context())
		if err != nil {
			return err.Error()
		}
		for _, b := range backlogs {
			if (b.Group == groupProjector || b.Group == groupAnalytics) && b.Ready+b.InWork > 0 {
				return fmt.Sprintf("%+v", b)
			}
		}
		return ""
	})
	w.check()
	m.allRun()
	again := 0
	for _, n := range times {
		again += n - 1
	}
	t.Logf("%d events, which came %d times more than once", len(events), again)
}

// writeAtOnce creates 50 videos, changes and uploads each, and changes one video from many sides, all at once through
// all API servers. It returns the videos by the positions that were acknowledged.
func (m *machines) writeAtOnce(apis []string) map[domain.Position]string {
	t := m.t
	t.Helper()
	const videos, several = 50, 10
	var mu sync.Mutex
	acknowledged := map[domain.Position]string{}
	// write insists where a server says that it could not now.
	write := func(cl *client, id, method, path string, in any) (v answer) {
		for try := range 10 {
			err := cl.call(t.Context(), method, path, in, &v)
			if errors.Is(err, domain.ErrUnavailable) {
				continue
			}
			at, parseErr := strconv.ParseInt(cl.position, 10, 64)
			if err != nil || parseErr != nil {
				t.Errorf("%s %s: %v, %v", method, path, err, parseErr)
			}
			mu.Lock()
			defer mu.Unlock()
			if acknowledged[domain.Position(at)] != "" && try == 0 { // a try before may have been stored
				t.Errorf("%s %s: position %d was acknowledged for something else", method, path, at)
			}
			acknowledged[domain.Position(at)] = cmp.Or(id, v.ID)
			return v
		}
		t.Errorf("%s %s: ten times 503", method, path)
		return v
	}
	shared := m.create(&client{server: apis[0]}, "Shared")
	var writing sync.WaitGroup
	for i := range videos {
		writing.Go(func() {
			one, other := &client{server: apis[i%len(apis)]}, &client{server: apis[(i+1)%len(apis)]}
			title := map[string]any{"title": fmt.Sprintf("Number %d", i)}
			id := write(one, "", http.MethodPost, "/v1/videos", map[string]any{"title": "New"}).ID
			write(other, id, http.MethodPatch, "/v1/videos/"+id, title)
			if i < several {
				write(one, shared, http.MethodPatch, "/v1/videos/"+shared, title)
			}
			for try := range 10 {
				r := m.ask(http.MethodPut, other.server+"/v1/videos/"+id+"/source", strings.NewReader("no video"), 8)
				if r.status == http.StatusServiceUnavailable {
					continue
				}
				if r.status != http.StatusConflict || try == 0 {
					r.must(t, http.StatusAccepted)
				}
				break
			}
		})
	}
	writing.Wait()
	return acknowledged
}
