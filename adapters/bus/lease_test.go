package bus_test

import (
	"errors"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/messaging"
)

// A handler that was frozen for longer than its lease has lost the message: what it says afterwards does not count.
func TestALateAnswerDoesNotCount(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	q := open(t, openDB(t, filepath.Join(t.TempDir(), "bus.db")), fast(bus.Options{
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	}))
	declare(t, q, "topic", "group")
	if err := q.Publisher().Publish("topic", message.NewMessage("work", nil)); err != nil {
		t.Fatal(err)
	}
	subscribe := func() <-chan *message.Message {
		msgs, err := q.Subscriber("group").Subscribe(t.Context(), "topic")
		if err != nil {
			t.Fatal(err)
		}
		return msgs
	}
	zombie := wait(t, subscribe())
	ahead.Store(int64(time.Hour))
	msgs := subscribe()
	second := wait(t, msgs)
	zombie.Ack()
	<-zombie.Context().Done()
	second.Nack()
	third := wait(t, msgs)
	if got := third.Metadata.Get(messaging.MetaReceiveCount); got != "3" {
		t.Errorf("receive count %s, want 3", got)
	}
	third.Ack()
	<-third.Context().Done()
}

func TestBacklogs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	q := queues(t, bus.Options{Now: func() time.Time { return now }})
	declare(t, q, "topic", "busy", "idle")
	var work []*message.Message
	for _, uuid := range []string{"reject", "retry", "hold", "leave"} {
		work = append(work, message.NewMessage(uuid, nil))
	}
	if err := q.Publisher().Publish("topic", work...); err != nil {
		t.Fatal(err)
	}
	sub := q.Subscriber("busy")
	msgs, err := sub.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	m := wait(t, msgs)
	messaging.Reject(m, errors.New("never"))
	m.Nack()
	wait(t, msgs).Nack()
	wait(t, msgs)
	got, err := q.Backlogs(t.Context())
	want := []messaging.Backlog{
		{Topic: "topic", Group: "busy", Ready: 1, InWork: 1, Delayed: 1, Dead: 1, Oldest: now},
		{Topic: "topic", Group: "idle", Ready: 4, Oldest: now},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("backlogs %+v, %v", got, err)
	}
}

// A clock that is set back by a day delays no retry for a day.
func TestAClockThatIsSetBackDelaysNoRetry(t *testing.T) {
	t.Parallel()
	var back atomic.Int64
	q := open(t, openDB(t, filepath.Join(t.TempDir(), "bus.db")), bus.Options{
		Now:     func() time.Time { return time.Now().Add(-time.Duration(back.Load())) },
		Backoff: func(int) time.Duration { return time.Second },
	})
	declare(t, q, "topic", "group")
	if err := q.Publisher().Publish("topic", message.NewMessage("work", nil)); err != nil {
		t.Fatal(err)
	}
	msgs, err := q.Subscriber("group").Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	first := wait(t, msgs)
	first.Nack()
	<-first.Context().Done()
	back.Store(int64(24 * time.Hour))
	again := wait(t, msgs)
	if got := again.Metadata.Get(messaging.MetaReceiveCount); got != "2" {
		t.Errorf("receive count %s, want 2", got)
	}
	again.Ack()
	<-again.Context().Done()
}
