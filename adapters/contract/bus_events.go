package contract

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// EventsTo is a log of that many events, for relays. All are small but the one at LongEvent, whose data no queue takes.
type EventsTo domain.Position

// LongEvent is the position of the event of EventsTo that is long.
const LongEvent = 7

var _ projections.Log = EventsTo(0)

// Head implements projections.Log.
func (l EventsTo) Head(context.Context) (domain.Position, error) { return domain.Position(l), nil }

// ReadAfter implements projections.Log.
func (l EventsTo) ReadAfter(_ context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	events := make([]domain.Recorded, min(limit, int(domain.Position(l)-after)))
	for i := range events {
		p := after + 1 + domain.Position(i)
		events[i] = domain.Recorded{
			Position: p, Stream: "0197a000-0000-7000-8000-000000000000", Version: int(p), Time: time.Unix(int64(p), 0).UTC(),
			Meta:  domain.Meta{Actor: "local", Correlation: "c"},
			Event: domain.CaptionAdded{Language: strconv.Itoa(int(p))},
		}
		if p == LongEvent {
			events[i].Event = domain.CaptionAdded{Language: strings.Repeat("long", 300_000)}
		}
	}
	return events, nil
}

// Checkpoints keeps checkpoints in memory.
type Checkpoints struct {
	// CrashEvery is how often the process dies after a publication, before its checkpoint is saved: every n-th time, never
	// when 0.
	CrashEvery int

	mu    sync.Mutex
	at    map[string]domain.Position
	saves int
}

var (
	_ messaging.Checkpoints = (*Checkpoints)(nil)

	errCrash = errors.New("crash")
)

// LoadCheckpoint implements messaging.Checkpoints.
func (c *Checkpoints) LoadCheckpoint(_ context.Context, name string) (domain.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[name], nil
}

// SaveCheckpoint implements messaging.Checkpoints.
func (c *Checkpoints) SaveCheckpoint(_ context.Context, name string, p domain.Position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.saves++; c.CrashEvery > 0 && c.saves%c.CrashEvery == 0 {
		return errCrash
	}
	if c.at == nil {
		c.at = map[string]domain.Position{}
	}
	c.at[name] = p
	return nil
}

func relayLosesNothing(t *testing.T, f BusFeatures, start startBus) {
	if f.OneGroup {
		t.Skip("events are no work")
	}
	const n = 100
	b := start(t, f.options())
	declareAt(t, b, messaging.TopicEvents, "a")
	relay := messaging.NewRelay("relay", b.Publisher, &Checkpoints{CrashEvery: 2})
	crashes := 0
	for {
		at, err := projections.CatchUp(t.Context(), EventsTo(n), relay, projections.CatchUpOptions{Batch: 20})
		if err == nil && at == n {
			break
		}
		if !errors.Is(err, errCrash) {
			t.Fatal(at, err)
		}
		crashes++
	}
	seen, all := map[domain.Recorded]bool{}, make(chan struct{})
	var mu sync.Mutex
	consumeEvents(t, b, EventsTo(n), func(_ context.Context, e domain.Recorded) error {
		mu.Lock()
		defer mu.Unlock()
		if !seen[e] {
			if seen[e] = true; len(seen) == n {
				close(all)
			}
		}
		return nil
	})
	awaitSoon(t, all)
	if crashes == 0 {
		t.Error("nothing crashed")
	}
	want, err := EventsTo(n).ReadAfter(t.Context(), 0, n)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, e := range want {
		if !seen[e] {
			t.Errorf("event %d did not come as it was", e.Position)
		}
	}
}

// eventsOfTheFuture, and what is no event, are dead letters at once; one whose handler fails comes again.
func eventsOfTheFuture(t *testing.T, f BusFeatures, start startBus) {
	if f.OneGroup {
		t.Skip("events are no work")
	}
	b := start(t, f.options())
	declareAt(t, b, messaging.TopicEvents, "a")
	for _, body := range []string{
		"{", `{"specversion":"1.0","type":"video.from_the_future.v9","subject":"v","position":1,"version":1}`,
	} {
		if err := b.Publisher.Publish(messaging.TopicEvents, message.NewMessage(watermill.NewUUID(), []byte(body))); err != nil {
			t.Fatal(err)
		}
	}
	relay := messaging.NewRelay("relay", b.Publisher, &Checkpoints{})
	if _, err := projections.CatchUp(t.Context(), EventsTo(1), relay, projections.CatchUpOptions{}); err != nil {
		t.Fatal(err)
	}
	tries, twice := 0, make(chan struct{})
	consumeEvents(t, b, EventsTo(1), func(context.Context, domain.Recorded) error {
		if tries++; tries == 1 {
			return errors.New("not yet")
		}
		close(twice)
		return nil
	})
	awaitSoon(t, twice)
	unknown := 0
	for _, l := range waitForDead(t, b, 2) {
		if l.Attempts != 1 || l.Topic != messaging.TopicEvents || l.Group != "a" {
			t.Errorf("dead letter %+v", l)
		}
		if strings.Contains(l.Reason, domain.ErrUnknownEvent.Error()) {
			unknown++
		}
	}
	if unknown != 1 {
		t.Errorf("%d dead letters say that an event is unknown, want 1", unknown)
	}
}

// consumeEvents runs a consumer until the test ends, one message at a time.
func consumeEvents(t *testing.T, b *Bus, log messaging.EventReader, handle func(context.Context, domain.Recorded) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- messaging.ConsumeEvents(ctx, messaging.Consumer{Subscriber: b.Subscriber("a")}, log, handle)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func awaitSoon(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(soon):
		t.Fatal("waited in vain")
	}
}
