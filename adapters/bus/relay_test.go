package bus_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func TestRelayIntoQueuesPublishesOnce(t *testing.T) {
	t.Parallel()
	const n = 25
	q := queues(t, bus.Options{})
	declare(t, q, messaging.TopicEvents, "group")
	for range 2 {
		at, err := projections.CatchUp(t.Context(), contract.EventsTo(n), q.Relay("relay"), projections.CatchUpOptions{Batch: 10})
		if err != nil || at != n {
			t.Fatal(at, err)
		}
	}
	msgs, err := q.Subscriber("group").Subscribe(t.Context(), messaging.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	events, err := contract.EventsTo(n).ReadAfter(t.Context(), 0, n)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range events {
		m := wait(t, msgs)
		m.Ack()
		if got, err := messaging.ReadEvent(t.Context(), contract.EventsTo(n), m.Payload); err != nil || got != want {
			t.Errorf("message %d is %+v, %v, want %+v", i, got, err, want)
		}
		if m.Metadata.Get(messaging.MetaVideo) != want.Stream || m.Metadata.Get(messaging.MetaType) != domain.EventType(want.Event) {
			t.Errorf("metadata %v", m.Metadata)
		}
	}
	if p, err := q.LoadCheckpoint(t.Context(), "relay"); p != n || err != nil {
		t.Errorf("checkpoint %d, %v", p, err)
	}
}
