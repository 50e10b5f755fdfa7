package contract

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

type startBus = func(*testing.T, BusOptions) *Bus

func fanOut(t *testing.T, f BusFeatures, start startBus) {
	if f.OneGroup {
		t.Skip("this bus has one group")
	}
	b := start(t, f.options())
	declare(t, b, "a", "b")
	publish(t, b, payloads10()...)
	expect(t, collect(t, subscribe(t, b, "a"), 10), payloads10()...)
	expect(t, collect(t, subscribe(t, b, "b"), 10), payloads10()...)
}

func keptWhileAway(t *testing.T, f BusFeatures, start startBus) {
	b := start(t, f.options())
	declare(t, b, "a")
	publish(t, b, "before")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = start(t, f.options())
	publish(t, b, "between") // nobody has subscribed in this process yet
	expect(t, collect(t, subscribe(t, b, "a"), 2), "before", "between")
}

func leaseExtended(t *testing.T, f BusFeatures, start startBus) {
	o := f.options()
	o.Lease = f.MinLease
	b := start(t, o)
	declare(t, b, "a")
	publish(t, b, "slow")
	m := receive(t, subscribe(t, b, "a"))
	quiet(t, subscribe(t, b, "a"), 3*o.Lease)
	if err := m.Context().Err(); err != nil {
		t.Errorf("the handler was told to stop: %v", err)
	}
	m.Ack()
	<-m.Context().Done() // the acknowledgement was taken
}

func deadProcess(t *testing.T, f BusFeatures, start startBus) {
	o := f.options()
	o.Lease = f.MinLease
	dying := start(t, o)
	declare(t, dying, "a")
	publish(t, dying, "work")
	first := receive(t, subscribe(t, dying, "a"))
	began := time.Now() //nolint:forbidigo // the suite measures
	second := receive(t, subscribe(t, start(t, o), "a"))
	if took := time.Since(began); took > o.Lease+max(f.ReturnAfter, time.Second) {
		t.Errorf("it took %s", took)
	}
	if first.UUID != second.UUID {
		t.Errorf("got %s, want %s again", second.UUID, first.UUID)
	}
	if n := second.Metadata.Get(messaging.MetaReceiveCount); n != "2" {
		t.Errorf("receive count %q, want 2", n)
	}
	second.Ack()
}

func nackDelays(t *testing.T, f BusFeatures, start startBus) {
	o := f.options()
	o.Backoff = max(300*time.Millisecond, f.MinLease)
	b := start(t, o)
	declare(t, b, "a")
	publish(t, b, "again")
	msgs := subscribe(t, b, "a")
	m := receive(t, msgs)
	began := time.Now() //nolint:forbidigo // the suite measures
	m.Nack()
	publish(t, b, "other") // is not held up, though it comes later
	if other := receive(t, msgs); string(other.Payload) != "other" || !other.Ack() {
		t.Errorf("got %q, want the other", other.Payload)
	}
	again := receive(t, msgs)
	again.Ack()
	if took := time.Since(began); string(again.Payload) != "again" || took < o.Backoff-20*time.Millisecond {
		t.Errorf("%q came after %s, want a delay of %s", again.Payload, took, o.Backoff)
	}
}

func closingReturns(t *testing.T, f BusFeatures, start startBus) {
	b := start(t, f.options())
	declare(t, b, "a")
	publish(t, b, payloads10()...)
	sub := b.Subscriber("a")
	for range 3 { // three messages wait for a consumer that never takes them
		if _, err := sub.Subscribe(t.Context(), "topic"); err != nil {
			t.Fatal(err)
		}
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now() //nolint:forbidigo // the suite measures
	expect(t, collect(t, subscribe(t, b, "a"), 10), payloads10()...)
	if took := time.Since(began); took > f.options().Lease/2 {
		t.Errorf("the messages came after %s: by the end of their leases", took)
	}
}

func priorities(t *testing.T, f BusFeatures, start startBus) {
	if f.Priorities == nil {
		t.Skip("this bus has no priorities")
	}
	b := start(t, f.options())
	declare(t, b, "a")
	var want []string
	for _, p := range f.Priorities {
		want = append(want, slices.Repeat([]string{strconv.Itoa(p)}, 5)...)
	}
	for _, p := range slices.Repeat(slices.Sorted(slices.Values(f.Priorities)), 5) {
		m := message.NewMessage(watermill.NewUUID(), []byte(strconv.Itoa(p)))
		m.Metadata.Set(messaging.MetaPriority, strconv.Itoa(p))
		if err := b.Publisher.Publish("topic", m); err != nil {
			t.Fatal(err)
		}
	}
	msgs := subscribe(t, b, "a")
	var got []string
	for range want {
		m := receive(t, msgs)
		m.Ack()
		got = append(got, string(m.Payload))
	}
	expect(t, got, want...)
}

func poisonDoesNotBlock(t *testing.T, f BusFeatures, start startBus) {
	o := f.options()
	o.MaxReceive = 3
	b := start(t, o)
	declare(t, b, "a")
	publish(t, b, "poison")
	publish(t, b, payloads10()...)
	msgs := subscribe(t, b, "a")
	handled := 0
	for tries := 0; handled < 10 || tries < 3; {
		m := receive(t, msgs)
		if string(m.Payload) != "poison" {
			handled++
			m.Ack()
			continue
		}
		tries++
		m.Nack()
	}
	quiet(t, msgs, 10*o.Backoff)
}

// A message that was put off more often than it may fail is as good as a new one.
func postponed(t *testing.T, f BusFeatures, start startBus) {
	o := f.options()
	o.MaxReceive = 2
	b := start(t, o)
	declare(t, b, "a")
	publish(t, b, "later")
	msgs := subscribe(t, b, "a")
	next := func() *message.Message {
		m := receive(t, msgs)
		if n := m.Metadata.Get(messaging.MetaReceiveCount); n != "1" || string(m.Payload) != "later" {
			t.Errorf("got %q for the %s. time", m.Payload, n)
		}
		return m
	}
	uuid := ""
	for range 3 {
		m := next()
		uuid = m.UUID
		messaging.Postpone(m, time.Millisecond, errors.New("not yet"))
		m.Nack()
	}
	m := next()
	if m.UUID != uuid {
		t.Errorf("got %s, want %s again", m.UUID, uuid)
	}
	messaging.Fail(m, errors.New("a reason"))
	m.Nack()
	receive(t, msgs).Ack()
	quiet(t, msgs, 10*o.Backoff)
	waitForDead(t, b, 0)
}

func deadLetters(t *testing.T, f BusFeatures, start startBus) {
	o := f.options()
	o.MaxReceive = 2
	b := start(t, o)
	declare(t, b, "a")
	if !f.OneGroup {
		declare(t, b, "b")
	}
	publish(t, b, "letter")
	msgs := subscribe(t, b, "a")
	var uuid string
	for i := range 2 {
		m := receive(t, msgs)
		uuid = m.UUID
		messaging.Fail(m, errors.New("reason "+strconv.Itoa(i+1)))
		m.Nack()
	}
	dead := waitForDead(t, b, 1)
	if dead[0].UUID != uuid || dead[0].Attempts != 2 || dead[0].Reason != "reason 2" || dead[0].First.Reason != "reason 1" ||
		dead[0].First.Time.IsZero() || dead[0].First.Time.After(dead[0].Died) {
		t.Errorf("dead letter %+v", dead[0])
	}
	if !f.OneGroup {
		expect(t, collect(t, subscribe(t, b, "b"), 1), "letter") // the other group's message is another one
	}
	if err := b.Redrive(t.Context(), dead[0].ID); err != nil {
		t.Fatal(err)
	}
	m := receive(t, msgs)
	if m.UUID != uuid {
		t.Errorf("got %s, want %s again", m.UUID, uuid)
	}
	if n := m.Metadata.Get(messaging.MetaReceiveCount); n != "1" {
		t.Errorf("receive count %s after redrive, want 1", n)
	}
	m.Ack()
	waitForDead(t, b, 0)
	for _, id := range []string{dead[0].ID, "no id of a dead letter"} {
		if err := b.Redrive(t.Context(), id); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("redrive of a letter that is not there: %v", err)
		}
		if err := b.Drop(t.Context(), id); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("drop of a letter that is not there: %v", err)
		}
	}
}

func waitForDead(t *testing.T, b *Bus, n int) []messaging.DeadLetter {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond) // nobody tells when a message has died
	defer tick.Stop()
	for {
		dead, err := b.DeadLetters(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(dead) == n {
			return dead
		}
		<-tick.C
	}
}

func wakingUp(t *testing.T, f BusFeatures, start startBus) {
	if f.WakeUp == 0 {
		t.Skip("this bus polls")
	}
	b := start(t, f.options())
	msgs := subscribe(t, b, "a")
	quiet(t, msgs, 50*time.Millisecond) // so that it sleeps
	best := time.Hour
	for range 20 {
		began := time.Now() //nolint:forbidigo // the suite measures
		publish(t, b, "now")
		receive(t, msgs).Ack()
		best = min(best, time.Since(began))
	}
	if best > f.WakeUp {
		t.Errorf("from publish to receipt %s at best, want at most %s", best, f.WakeUp)
	}
}

func competing(t *testing.T, f BusFeatures, start startBus) {
	b := start(t, f.options())
	declare(t, b, "a")
	all := make(chan *message.Message)
	for range 4 {
		msgs := subscribe(t, b, "a")
		go func() {
			for m := range msgs {
				select {
				case all <- m:
				case <-t.Context().Done():
				}
			}
		}()
	}
	publish(t, b, payloads10()...)
	seen := map[string]bool{}
	for range 10 {
		m := receive(t, all)
		if seen[m.UUID] {
			t.Errorf("%q came to two consumers", m.Payload)
		}
		seen[m.UUID] = true
		m.Ack()
	}
	quiet(t, all, 50*time.Millisecond)
}
