package contract

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// videosLog is a log of videos that get their events by turns.
type videosLog struct{ videos, each int }

func (l videosLog) video(n int) string { return fmt.Sprintf("019a0000-0000-7000-8000-%012d", n) }

func (l videosLog) at(p int) domain.Recorded {
	return domain.Recorded{
		Position: domain.Position(p), Stream: l.video((p - 1) % l.videos), Version: (p-1)/l.videos + 1, Time: time.Unix(int64(p), 0).UTC(),
		Event: domain.CaptionAdded{Language: "x"},
	}
}

// ReadAfter implements messaging.EventReader.
func (l videosLog) ReadAfter(_ context.Context, after domain.Position, limit int) (events []domain.Recorded, _ error) {
	for p := int(after) + 1; p <= l.videos*l.each && len(events) < limit; p++ {
		events = append(events, l.at(p))
	}
	return events, nil
}

// ReadStream implements messaging.StreamReader.
func (l videosLog) ReadStream(_ context.Context, stream string, after int) (events []domain.Recorded, _ error) {
	for p := 1; p <= l.videos*l.each; p++ {
		if e := l.at(p); e.Stream == stream && e.Version > after {
			events = append(events, e)
		}
	}
	return events, nil
}

// publish publishes events as a relay that went mad: each several times, shuffled.
func (l videosLog) publish(t *testing.T, b *Bus, from, to, times int) {
	t.Helper()
	var events []domain.Recorded
	for p := from; p <= to; p++ {
		events = append(events, slices.Repeat([]domain.Recorded{l.at(p)}, times)...)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	if err := messaging.PublishAgain(t.Context(), b.Publisher, events...); err != nil {
		t.Fatal(err)
	}
}

// witnessed is what a consumer was given of each video.
type witnessed struct {
	mu     sync.Mutex
	by     map[string][]int // versions
	fail   map[string]int   // the version of a video that cannot be handled now
	panics bool
}

func (w *witnessed) handle(_ context.Context, e domain.Recorded) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail[e.Stream] == e.Version {
		if w.panics {
			panic("a bug")
		}
		return messaging.Permanent(errors.New("too bad"))
	}
	w.by[e.Stream] = append(w.by[e.Stream], e.Version)
	return nil
}

func (w *witnessed) of(video string) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.by[video])
}

func upTo(n int, but ...int) (versions []int) {
	for v := 1; v <= n; v++ {
		if !slices.Contains(but, v) {
			versions = append(versions, v)
		}
	}
	return versions
}

// until waits for what a consumer was given of a video.
func (w *witnessed) until(t *testing.T, video string, want []int) {
	t.Helper()
	deadline := time.After(soon)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !slices.Equal(w.of(video), want) {
		select {
		case <-deadline:
			t.Fatalf("of video %s came %v, want %v", video, w.of(video), want)
		case <-tick.C:
		}
	}
}

// inOrder runs a consumer that asks for order, until the test ends or stop is called.
func (w *witnessed) inOrder(t *testing.T, b *Bus, log videosLog, places messaging.Places) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- messaging.ConsumeInOrder(ctx, messaging.Consumer{Subscriber: b.Subscriber("a"), Concurrency: 4},
			messaging.Order{Group: "a", Places: places, Log: log}, w.handle)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// eventsInOrder has every message come several times and in no order, and the consumer restart.
func eventsInOrder(t *testing.T, f BusFeatures, start startBus) {
	if f.OneGroup {
		t.Skip("events are no work")
	}
	log, places := videosLog{videos: 3, each: 20}, &PlacesInMemory{}
	b := start(t, f.options())
	declareAt(t, b, messaging.TopicEvents, "a")
	w := &witnessed{by: map[string][]int{}}
	stop := w.inOrder(t, b, log, places)
	log.publish(t, b, 1, 30, 3)
	stop()
	w.inOrder(t, b, log, places)
	log.publish(t, b, 31, 60, 3)
	for v := range log.videos {
		w.until(t, log.video(v), upTo(log.each))
	}
}

// laterEventsWait parks the events of a video behind one that cannot be handled; a redrive goes on with it, a drop behind it.
func laterEventsWait(t *testing.T, f BusFeatures, start startBus) {
	if f.OneGroup {
		t.Skip("events are no work")
	}
	log, places := videosLog{videos: 3, each: 8}, &PlacesInMemory{}
	o := f.options()
	o.MaxReceive = 2
	b := start(t, o)
	declareAt(t, b, messaging.TopicEvents, "a")
	bad, worse, good := log.video(0), log.video(1), log.video(2)
	w := &witnessed{by: map[string][]int{}, fail: map[string]int{bad: 3, worse: 5}, panics: true}
	stop := w.inOrder(t, b, log, places)
	log.publish(t, b, 1, 12, 1) // versions 1 to 4
	w.until(t, good, upTo(8))   // which the log has, whatever the messages bring
	letters := waitForDead(t, b, 2)
	w.until(t, bad, upTo(2))
	w.until(t, worse, upTo(4))
	stop() // a restart changes nothing: it is stored what waits
	w.panics = false
	w.inOrder(t, b, log, places)
	log.publish(t, b, 13, 24, 2)
	w.until(t, bad, upTo(2))
	w.until(t, worse, upTo(4))

	byVideo := map[string]string{}
	for _, l := range letters {
		byVideo[l.Metadata[messaging.MetaVideo]] = l.ID
		if l.Attempts != 2 || !l.HasPlace() {
			t.Errorf("letter %+v", l)
		}
	}
	if len(messaging.Letters{Video: bad}.Of(letters)) != 1 {
		t.Errorf("letters %+v", letters)
	}
	if err := b.Redrive(t.Context(), byVideo[bad]); err != nil { // to no avail yet
		t.Fatal(err)
	}
	var second string
	for second == "" {
		for _, l := range waitForDead(t, b, 2) {
			if l.Metadata[messaging.MetaVideo] == bad && l.ID != byVideo[bad] {
				second = l.ID
			}
		}
	}
	w.until(t, bad, upTo(2))
	w.mu.Lock()
	w.fail = nil
	w.mu.Unlock()
	if err := b.Redrive(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	w.until(t, bad, upTo(8))
	if err := b.Drop(t.Context(), byVideo[worse]); err != nil {
		t.Fatal(err)
	}
	w.until(t, worse, upTo(8, 5))
	waitForDead(t, b, 0)
}

// orderOutlivesProcesses has a process die with an event in its hands: its successor goes on there.
func orderOutlivesProcesses(t *testing.T, f BusFeatures, start startBus) {
	if f.OneGroup {
		t.Skip("events are no work")
	}
	log := videosLog{videos: 1, each: 6}
	places := &PlacesInMemory{}
	o := f.options()
	o.Lease = f.MinLease
	dying := start(t, o)
	declareAt(t, dying, messaging.TopicEvents, "a")
	log.publish(t, dying, 1, 6, 1)
	msgs, err := dying.Subscriber("a").Subscribe(t.Context(), messaging.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	receive(t, msgs) // it has handled three events because of this message, and answers no more
	if err := places.Move(t.Context(), "a", log.video(0), messaging.Place{}, messaging.Place{Version: 3}); err != nil {
		t.Fatal(err)
	}
	w := &witnessed{by: map[string][]int{}}
	w.inOrder(t, start(t, o), log, places)
	w.until(t, log.video(0), []int{4, 5, 6})
}
