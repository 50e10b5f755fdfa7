package aws_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/test/backends"
)

// A handler that was frozen for longer than its lease has lost the message: what it says afterwards does not count,
// whether it has heard of it or not.
func TestALateAnswerDoesNotCount(t *testing.T) {
	t.Parallel()
	for name, heard := range map[string]bool{"heard": true, "not heard": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			b := open(t, aws.Options{
				Topics: topic("topic", "g"), Lease: 2 * time.Second, Prefetch: -1,
				Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
			})
			publish(t, b, "topic", text("work"))
			msgs := subscribe(t, b, "g", "topic")
			zombie := wait(t, msgs)
			ahead.Store(int64(time.Hour))
			if heard {
				wait(t, zombie.Context().Done())
			}
			zombie.Ack()
			again := wait(t, msgs)
			if again.UUID != zombie.UUID || again.Metadata.Get(messaging.MetaReceiveCount) != "2" {
				t.Errorf("got %s for time %s", again.UUID, again.Metadata.Get(messaging.MetaReceiveCount))
			}
			again.Ack()
		})
	}
}

// A handler stops before somebody else can have its message, when SQS cannot be told that it still works.
func TestAHandlerStopsInTimeWhenSQSIsAway(t *testing.T) {
	t.Parallel()
	name := prefix()
	const lease = 6 * time.Second
	b, cut := mortal(t, aws.Options{Prefix: name, Topics: topic("topic", "g"), Lease: lease, Prefetch: -1})
	publish(t, b, "topic", text("work"))
	m := wait(t, subscribe(t, b, "g", "topic"))
	other := subscribe(t, open(t, aws.Options{Prefix: name, Topics: topic("topic", "g"), Lease: lease}), "g", "topic")
	cut()
	select {
	case <-m.Context().Done():
	case <-other:
		t.Error("two had the message")
	}
	if again := wait(t, other); again.UUID != m.UUID {
		t.Errorf("got %s, want %s again", again.UUID, m.UUID)
	}
}

// A worker that is told to stop gives its task back at once, not when its lease ends.
func TestStoppingGivesTheMessageBack(t *testing.T) {
	t.Parallel()
	extended := make(chan string, 100)
	o := aws.Options{Prefix: prefix(), Topics: topic("topic", "g"), Lease: 10 * time.Minute}
	o.Config = account(t, backends.AWS(t))
	o.Config.HTTPClient = &http.Client{Transport: &recorded{asked: map[string]bool{}, tell: extended}}
	b := open(t, o)
	publish(t, b, "topic", text("in work"), text("held ready"))
	sub := b.Subscriber("g")
	msgs, err := sub.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	m := wait(t, msgs)
	for wait(t, extended) != "sqs:ChangeMessageVisibility" { // the first lease is short; now they have the whole
	}
	go func() {
		<-m.Context().Done()
		m.Nack() // what a handler does whose context ends
	}()
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	o.Config = account(t, backends.AWS(t))
	msgs = subscribe(t, open(t, o), "g", "topic")
	for range 2 {
		wait(t, msgs).Ack()
	}
}

// One who is busy does not sit on work that another could do, though it had asked for some when its own came.
func TestWorkGoesToWhomeverIsFree(t *testing.T) {
	t.Parallel()
	name := prefix()
	o := aws.Options{
		Prefix: name, Wait: 5 * time.Second, Grace: 6 * time.Second, Lease: 10 * time.Minute,
		Topics: []aws.Topic{{Name: "work", Work: true, Groups: []aws.Group{{Name: "g"}}}},
	}
	busy := open(t, o)
	first := subscribe(t, busy, "g", "work")
	publish(t, busy, "work", text("long"))
	long := wait(t, first) // while requests for both priorities are under way
	free := subscribe(t, open(t, o), "g", "work")
	urgent := text("urgent")
	urgent.Metadata.Set(messaging.MetaPriority, "10")
	publish(t, busy, "work", urgent, text("other"))
	for range 2 {
		wait(t, free).Ack()
	}
	long.Ack()
}

// What waits for its turn is left where another process can take it, and is not counted as received.
func TestTheRestIsNotTouchedWhileThereIsUrgentWork(t *testing.T) {
	t.Parallel()
	b := open(t, aws.Options{Topics: []aws.Topic{{Name: "work", Work: true, Groups: []aws.Group{{Name: "g"}}}}})
	for _, priority := range []string{"0", "10"} {
		for range 10 {
			m := text(priority)
			m.Metadata.Set(messaging.MetaPriority, priority)
			publish(t, b, "work", m)
		}
	}
	msgs := subscribe(t, b, "g", "work")
	for i := range 20 {
		m := wait(t, msgs)
		m.Ack()
		if n := m.Metadata.Get(messaging.MetaReceiveCount); n != "1" || (string(m.Payload) == "10") != (i < 10) {
			t.Errorf("message %d has priority %s and came for time %s", i, m.Payload, n)
		}
	}
}
