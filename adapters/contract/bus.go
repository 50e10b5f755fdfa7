package contract

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/messaging"
)

// Bus is a message bus as one process has it.
type Bus struct {
	Publisher   message.Publisher
	Subscriber  func(group string) message.Subscriber
	DeadLetters func(ctx context.Context) ([]messaging.DeadLetter, error)
	Redrive     func(ctx context.Context, id string) error
	Drop        func(ctx context.Context, id string) error
	Close       func() error
}

// BusOptions are what a test wants of a bus.
type BusOptions struct {
	Lease      time.Duration
	MaxReceive int
	Backoff    time.Duration // between a nack and the next try
}

// BusFeatures says what holds for a bus beyond what holds for all.
type BusFeatures struct {
	// Priorities are some that are told apart, falling; none where the bus hands out in no such order.
	Priorities []int
	// OneGroup says that all messages go to one group: a queue of work.
	OneGroup    bool
	MinLease    time.Duration // the shortest lease that the bus can do
	WakeUp      time.Duration // from publish to receipt on an idle bus, at most; 0 not to check
	ReturnAfter time.Duration // from a process's end to the return of its message, beyond the lease
}

// MessageBus checks a bus. create makes an empty one; start is a process that uses it, and starting another one means that
// the one before has died without a word.
func MessageBus(
	t *testing.T, f BusFeatures, create func(t *testing.T) (start func(t *testing.T, o BusOptions) *Bus),
) {
	for name, test := range map[string]func(*testing.T, BusFeatures, func(*testing.T, BusOptions) *Bus){
		"every group gets every message": fanOut,
		"a group is kept while away":     keptWhileAway,
		"a lease is extended":            leaseExtended,
		"a dead process's message":       deadProcess,
		"a nack delays":                  nackDelays,
		"closing returns messages":       closingReturns,
		"priorities":                     priorities,
		"poison does not block":          poisonDoesNotBlock,
		"dead letters and redrive":       deadLetters,
		"what is put off has not failed": postponed,
		"waking up":                      wakingUp,
		"competing consumers":            competing,
		"the relay loses nothing":        relayLosesNothing,
		"events of the future":           eventsOfTheFuture,
		"events in order":                eventsInOrder,
		"later events wait":              laterEventsWait,
		"order outlives processes":       orderOutlivesProcesses,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, f, create(t))
		})
	}
}

// soon is when a test gives up.
const soon = time.Minute

func (f BusFeatures) options() BusOptions {
	return BusOptions{Lease: 30 * time.Second, MaxReceive: 10, Backoff: 10 * time.Millisecond}
}

func subscribe(t *testing.T, b *Bus, group string) <-chan *message.Message {
	t.Helper()
	msgs, err := b.Subscriber(group).Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	return msgs
}

// declare makes the bus keep messages for the group, without receiving any.
func declare(t *testing.T, b *Bus, groups ...string) {
	t.Helper()
	declareAt(t, b, "topic", groups...)
}

func declareAt(t *testing.T, b *Bus, topic string, groups ...string) {
	t.Helper()
	for _, group := range groups {
		sub := b.Subscriber(group)
		if i, ok := sub.(message.SubscribeInitializer); ok {
			if err := i.SubscribeInitialize(topic); err != nil {
				t.Fatal(err)
			}
		}
		if err := sub.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func publish(t *testing.T, b *Bus, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := b.Publisher.Publish("topic", message.NewMessage(watermill.NewUUID(), []byte(p))); err != nil {
			t.Fatal(err)
		}
	}
}

func receive(t *testing.T, msgs <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, ok := <-msgs:
		if !ok {
			t.Fatal("the subscription ended")
		}
		return m
	case <-time.After(soon):
		t.Fatal("no message came")
	}
	return nil
}

// collect acknowledges n messages and returns their payloads, sorted, each once.
func collect(t *testing.T, msgs <-chan *message.Message, n int) []string {
	t.Helper()
	var got []string
	for len(got) < n {
		m := receive(t, msgs)
		m.Ack()
		if p := string(m.Payload); !slices.Contains(got, p) {
			got = append(got, p)
		}
	}
	slices.Sort(got)
	return got
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// quiet fails if a message comes within d: that nothing happens can only be seen by waiting.
func quiet(t *testing.T, msgs <-chan *message.Message, d time.Duration) {
	t.Helper()
	select {
	case m := <-msgs:
		t.Fatalf("%q came", m.Payload)
	case <-time.After(d):
	}
}

func payloads10() []string {
	var p []string
	for i := range 10 {
		p = append(p, fmt.Sprintf("m%d", i))
	}
	return p
}
