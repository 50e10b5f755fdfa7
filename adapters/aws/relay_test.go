package aws_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// events returns the events from a position on.
func events(from domain.Position, n int) []domain.Recorded {
	out := make([]domain.Recorded, n)
	for i := range out {
		p := from + domain.Position(i)
		out[i] = domain.Recorded{
			Position: p, Stream: "0197a000-0000-7000-8000-000000000000", Version: int(p), Time: time.Unix(int64(p), 0).UTC(),
			Meta:  domain.Meta{Actor: "local", Correlation: "c"},
			Event: domain.CaptionAdded{Language: fmt.Sprint(p)},
		}
	}
	return out
}

// eventLog is a log of n events.
type eventLog int

func (l eventLog) Head(context.Context) (domain.Position, error) { return domain.Position(l), nil }

func (l eventLog) ReadAfter(_ context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	return events(after+1, min(limit, int(l)-int(after))), nil
}

// checkpoints are kept in memory, and fail every so often: the process died after the publication.
type checkpoints struct {
	crashEvery int

	mu    sync.Mutex
	at    map[string]domain.Position
	saves int
}

var errCrash = errors.New("crash")

func (c *checkpoints) LoadCheckpoint(_ context.Context, name string) (domain.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[name], nil
}

func (c *checkpoints) SaveCheckpoint(_ context.Context, name string, p domain.Position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.saves++; c.crashEvery > 0 && c.saves%c.crashEvery == 0 {
		return errCrash
	}
	if c.at == nil {
		c.at = map[string]domain.Position{}
	}
	c.at[name] = p
	return nil
}

// The relay and the consumers of this program work over any transport; here they have this one.
func TestRelayLosesNothingWhereItCrashes(t *testing.T) {
	t.Parallel()
	const n = 250
	b := open(t, aws.Options{Topics: topic(bus.TopicEvents, "g")})
	relay := bus.NewRelay("relay", publisher(t, b), &checkpoints{crashEvery: 2})
	crashes := 0
	for {
		at, err := projections.CatchUp(t.Context(), eventLog(n), relay, projections.CatchUpOptions{Batch: 50})
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
	consume(t, b, "g", func(_ context.Context, e domain.Recorded) error {
		mu.Lock()
		defer mu.Unlock()
		if seen[e] = true; len(seen) == n {
			close(all)
		}
		return nil
	})
	wait(t, all)
	if crashes == 0 {
		t.Error("nothing crashed")
	}
	for _, e := range events(1, n) {
		if !seen[e] {
			t.Errorf("event %d did not come as it was", e.Position)
		}
	}
}

// An event that nobody here knows is a dead letter at once; one whose handler fails comes again.
func TestEventsOfTheFutureDieAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	b := open(t, aws.Options{Topics: topic(bus.TopicEvents, "g"), MaxReceive: 3})
	publish(t, b, bus.TopicEvents, text(`{"specversion":"1.0","type":"video.from_the_future.v9","subject":"v","position":1,"version":1}`))
	relay := bus.NewRelay("relay", publisher(t, b), &checkpoints{})
	if err := relay.Apply(t.Context(), events(1, 1)); err != nil {
		t.Fatal(err)
	}
	tries := make(chan domain.Position, 3)
	consume(t, b, "g", func(_ context.Context, e domain.Recorded) error {
		if tries <- e.Position; len(tries) < 2 {
			return errors.New("not yet")
		}
		return nil
	})
	dead := letters(t, b, 1)[0]
	if dead.Attempts != 1 || !strings.Contains(dead.Reason, domain.ErrUnknownEvent.Error()) {
		t.Errorf("dead letter %+v", dead)
	}
	for range 2 {
		wait(t, tries)
	}
}

// consume runs a consumer until the test ends.
func consume(t *testing.T, b *aws.Bus, group string, handle func(context.Context, domain.Recorded) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- bus.ConsumeEvents(ctx, bus.Consumer{Subscriber: b.Subscriber(group), Concurrency: 2}, handle)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
