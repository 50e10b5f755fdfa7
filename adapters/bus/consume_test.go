package bus_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/commands"
)

// running runs a consumer until the test ends, and fails the test if the consumer fails.
func running(t *testing.T, consume func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- consume(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("consume: %v", err)
		}
	})
}

func fast(o bus.Options) bus.Options {
	o.Backoff, o.Grace = func(int) time.Duration { return time.Millisecond }, 10*time.Millisecond
	return o
}

func queues(t *testing.T, o bus.Options) *bus.Queues {
	t.Helper()
	return open(t, openDB(t, filepath.Join(t.TempDir(), "bus.db")), fast(o))
}

func declare(t *testing.T, q *bus.Queues, topic string, groups ...string) {
	t.Helper()
	for _, g := range groups {
		if err := q.DeclareGroup(t.Context(), topic, g); err != nil {
			t.Fatal(err)
		}
	}
}

func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

func TestTasksComeByPriorityAndAgainAfterAnError(t *testing.T) {
	t.Parallel()
	q := queues(t, bus.Options{MaxReceive: 2})
	declare(t, q, messaging.TopicTasks, "transcoder")
	later := commands.Task{Kind: commands.TaskChunk, Video: "v", Attempt: 3, Chunk: 7, Priority: -3}
	first := commands.Task{Kind: commands.TaskSweep, Video: "v", Attempt: 3, Priority: commands.PriorityRest}
	if err := messaging.NewTasks(q.Publisher()).Send(t.Context(), later, first); err != nil {
		t.Fatal(err)
	}
	tries := make(chan commands.Task)
	running(t, func(ctx context.Context) error {
		return messaging.ConsumeTasks(ctx, messaging.Consumer{Subscriber: q.Subscriber("transcoder"), Topic: messaging.TopicTasks},
			func(_ context.Context, task commands.Task) error {
				tries <- task
				if task.Kind == commands.TaskSweep {
					return errors.New("not yet")
				}
				return nil
			})
	})
	if head := wait(t, tries); head != first {
		t.Errorf("first came %+v", head)
	}
	got := map[commands.Task]int{wait(t, tries): 1}
	got[wait(t, tries)]++
	if got[first] != 1 || got[later] != 1 {
		t.Errorf("then came %+v", got)
	}
	// The second error was the last: the task is told of as a dead letter, now and after every start.
	for range 2 {
		letters := make(chan messaging.DeadLetter)
		running(t, func(ctx context.Context) error {
			return q.WatchDeadLetters(ctx, messaging.TopicTasks, "transcoder", func(_ context.Context, l messaging.DeadLetter) error {
				letters <- l
				return nil
			})
		})
		l := wait(t, letters)
		if task, ok := messaging.DecodeTask(l.Payload); !ok || task != first || l.Attempts != 2 || l.Reason != "not yet" {
			t.Errorf("dead letter %+v", l)
		}
	}
}

// Each step of the priority is worth a minute of waiting, and no more.
func TestNoPriorityWaitsForEver(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	q := queues(t, bus.Options{Now: func() time.Time { return now }})
	declare(t, q, messaging.TopicTasks, "transcoder")
	tasks := messaging.NewTasks(q.Publisher())
	send := func(chunk, priority int) {
		err := tasks.Send(t.Context(), commands.Task{Kind: commands.TaskChunk, Video: "v", Chunk: chunk, Priority: priority})
		if err != nil {
			t.Fatal(err)
		}
	}
	send(1, -2)
	now = now.Add(119 * time.Second)
	send(2, 0) // 1 s before the other one's two minutes are over
	now = now.Add(2 * time.Second)
	send(3, 0)
	came := make(chan commands.Task)
	running(t, func(ctx context.Context) error {
		return messaging.ConsumeTasks(ctx, messaging.Consumer{Subscriber: q.Subscriber("transcoder"), Topic: messaging.TopicTasks},
			func(_ context.Context, task commands.Task) error {
				came <- task
				return nil
			})
	})
	if got := []int{wait(t, came).Chunk, wait(t, came).Chunk, wait(t, came).Chunk}; !slices.Equal(got, []int{2, 1, 3}) {
		t.Errorf("they came in the order %v", got)
	}
}

// A process that dies with a message in its hands, at the last try, cannot say so any more.
func TestDeadLettersOfACrashAreWatched(t *testing.T) {
	t.Parallel()
	db := openDB(t, filepath.Join(t.TempDir(), "bus.db"))
	crashed := open(t, db, bus.Options{MaxReceive: 1})
	declare(t, crashed, "topic", "group")
	if err := crashed.Publisher().Publish("topic", message.NewMessage("killer", nil)); err != nil {
		t.Fatal(err)
	}
	msgs, err := crashed.Subscriber("group").Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, msgs)
	q := open(t, db, bus.Options{MaxReceive: 1}) // in the crashed one's place, whose lease it takes away
	letters := make(chan messaging.DeadLetter)
	running(t, func(ctx context.Context) error {
		return q.WatchDeadLetters(ctx, "topic", "group", func(_ context.Context, l messaging.DeadLetter) error {
			letters <- l
			return nil
		})
	})
	if l := wait(t, letters); l.UUID != "killer" || l.Attempts != 1 {
		t.Errorf("dead letter %+v", l)
	}
}

func TestAPanicIsAFailureWithItsReason(t *testing.T) {
	t.Parallel()
	q := queues(t, bus.Options{MaxReceive: 2})
	declare(t, q, "topic", "group")
	if err := q.Publisher().Publish("topic", message.NewMessage("bad", nil), message.NewMessage("good", nil)); err != nil {
		t.Fatal(err)
	}
	good := make(chan string, 1)
	running(t, func(ctx context.Context) error {
		return messaging.Consume(ctx, messaging.Consumer{Subscriber: q.Subscriber("group"), Topic: "topic", Concurrency: 2},
			func(_ context.Context, msg *message.Message) error {
				if msg.UUID == "bad" {
					panic("a bug in a handler")
				}
				good <- msg.UUID
				return nil
			})
	})
	wait(t, good)
	letters := waitForLetters(t, q)
	if len(letters) != 1 || letters[0].Attempts != 2 || !strings.Contains(letters[0].Reason, "a bug in a handler") {
		t.Errorf("dead letters %+v", letters)
	}
}

func waitForLetters(t *testing.T, q *bus.Queues) []messaging.DeadLetter {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		letters, err := q.DeadLetters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(letters) > 0 {
			return letters
		}
		<-tick.C
	}
	return nil
}

// A worker that is told to stop gives its task back: at once, and without a mark against it.
func TestStoppingGivesTheMessageBackUncounted(t *testing.T) {
	t.Parallel()
	q := queues(t, bus.Options{MaxReceive: 1})
	declare(t, q, "topic", "group")
	if err := q.Publisher().Publish("topic", message.NewMessage("work", nil)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ctx, stop := context.WithCancel(t.Context())
		err := messaging.Consume(ctx, messaging.Consumer{Subscriber: q.Subscriber("group"), Topic: "topic"},
			func(ctx context.Context, msg *message.Message) error {
				if got := msg.Metadata.Get(messaging.MetaReceiveCount); got != "1" {
					t.Errorf("receive count %s", got)
				}
				stop()
				<-ctx.Done()
				return ctx.Err()
			})
		stop()
		if err != nil {
			t.Fatal(err)
		}
	}
	if letters, err := q.DeadLetters(t.Context()); err != nil || len(letters) > 0 {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
}
