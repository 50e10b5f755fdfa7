package aws_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/test/backends"
)

// SQS counts leases and delays in whole seconds, and its requests that wait cannot be called back: MinLease, WakeUp and
// ReturnAfter are about that.
func features() contract.BusFeatures {
	return contract.BusFeatures{
		MinLease: 5 * time.Second, WakeUp: 500 * time.Millisecond, ReturnAfter: 3 * time.Second,
	}
}

func TestTopicContract(t *testing.T) {
	t.Parallel()
	contract.MessageBus(t, features(), func(t *testing.T) func(*testing.T, contract.BusOptions) *contract.Bus {
		t.Helper()
		return processes(t, nil)
	})
}

// A topic of work has one group, and two priorities: a queue for what somebody waits for, and one for the rest.
func TestWorkContract(t *testing.T) {
	t.Parallel()
	f := features()
	f.OneGroup, f.Priorities = true, []int{10, 0}
	contract.MessageBus(t, f, func(t *testing.T) func(*testing.T, contract.BusOptions) *contract.Bus {
		t.Helper()
		return processes(t, []aws.Topic{{Name: "topic", Work: true, Groups: []aws.Group{{Name: "a"}}}})
	})
}

// processes starts processes, one after the death of the other.
func processes(t *testing.T, topics []aws.Topic) func(*testing.T, contract.BusOptions) *contract.Bus {
	t.Helper()
	o := aws.Options{Config: account(t, backends.AWS(t)), Prefix: prefix(), Topics: topics}
	var last *network
	return func(t *testing.T, c contract.BusOptions) *contract.Bus {
		t.Helper()
		if last != nil {
			last.cut.Store(true)
		}
		last = &network{}
		o := o
		o.Config.HTTPClient = &http.Client{Transport: last}
		o.Lease, o.MaxReceive, o.Prefetch = c.Lease, c.MaxReceive, -1
		o.Backoff = func(int) time.Duration { return c.Backoff }
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
		return forContract(t, open(t, o))
	}
}

func forContract(tb testing.TB, b *aws.Bus) *contract.Bus {
	tb.Helper()
	return &contract.Bus{
		Publisher: publisher(tb, b), Subscriber: b.Subscriber,
		DeadLetters: b.DeadLetters, Redrive: b.Redrive, Drop: b.Drop, Close: b.Close,
	}
}

// Watermill's own suite. What holds, and what does not:
//   - ConsumerGroups, Persistent: yes.
//   - GuaranteedOrder: no; SQS has none. ExactlyOnceDelivery: no.
//   - NewSubscriberReceivesOldMessages: no; a message is kept for the groups declared before it was published.
func TestWatermillSuite(t *testing.T) {
	t.Parallel()
	features := tests.Features{
		ConsumerGroups: true, Persistent: true, ForceShort: true, // 5000 messages one by one tell no more than 100
		GenerateTopicFunc: func(c tests.TestContext) string { return string(c.TestID[:8]) }, // names of queues are short
	}
	b := open(t, aws.Options{MaxReceive: 1000, Grace: 1500 * time.Millisecond})
	inGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		t.Helper()
		pub, err := b.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		return pub, b.Subscriber(group)
	}
	everybody := func(t *testing.T) (message.Publisher, message.Subscriber) {
		t.Helper()
		return inGroup(t, "all")
	}
	t.Run("all", func(t *testing.T) { tests.TestPubSub(t, features, everybody, inGroup) })
}
