package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

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
			Position: p, Stream: "video", Version: int(p), Time: time.Unix(int64(p), 0).UTC(),
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

// crashing is a store of checkpoints that fails every other time: the process died after the publication.
type crashing struct {
	bus.Checkpoints
	times int
}

var errCrash = errors.New("crash")

func (c *crashing) SaveCheckpoint(ctx context.Context, name string, p domain.Position) error {
	if c.times++; c.times%2 == 1 {
		return errCrash
	}
	return c.Checkpoints.SaveCheckpoint(ctx, name, p)
}

func TestRelayLosesNothingWhereItCrashes(t *testing.T) {
	t.Parallel()
	const n = 100
	q := queues(t, bus.Options{})
	declare(t, q, bus.TopicEvents, "group")
	relay := bus.NewRelay("relay", q.Publisher(), &crashing{Checkpoints: q})
	crashes := 0
	for {
		at, err := projections.CatchUp(t.Context(), eventLog(n), relay, projections.CatchUpOptions{Batch: 10})
		if err == nil && at == n {
			break
		}
		if !errors.Is(err, errCrash) {
			t.Fatal(at, err)
		}
		crashes++
	}
	msgs, err := q.Subscriber("group").Subscribe(t.Context(), bus.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[domain.Position]int{}
	for range n + 10*crashes {
		seen[receiveEvent(t, msgs).Position]++
	}
	if len(seen) != n || crashes == 0 {
		t.Errorf("%d of %d events, %d crashes", len(seen), n, crashes)
	}
}

func TestRelayIntoQueuesPublishesOnce(t *testing.T) {
	t.Parallel()
	const n = 25
	q := queues(t, bus.Options{})
	declare(t, q, bus.TopicEvents, "group")
	for range 2 {
		at, err := projections.CatchUp(t.Context(), eventLog(n), q.Relay("relay"), projections.CatchUpOptions{Batch: 10})
		if err != nil || at != n {
			t.Fatal(at, err)
		}
	}
	msgs, err := q.Subscriber("group").Subscribe(t.Context(), bus.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range events(1, n) {
		if got := receiveEvent(t, msgs); got != want {
			t.Errorf("message %d is %+v, want %+v", i, got, want)
		}
	}
	if p, err := q.LoadCheckpoint(t.Context(), "relay"); p != n || err != nil {
		t.Errorf("checkpoint %d, %v", p, err)
	}
}

func receiveEvent(t *testing.T, msgs <-chan *message.Message) domain.Recorded {
	t.Helper()
	m := wait(t, msgs)
	m.Ack()
	e, err := domain.UnmarshalCloudEvent(m.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if m.Metadata.Get(bus.MetaVideo) != e.Stream || m.Metadata.Get(bus.MetaType) != domain.EventType(e.Event) {
		t.Errorf("metadata %v", m.Metadata)
	}
	return e
}
