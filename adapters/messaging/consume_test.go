package messaging_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/commands"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transport hands out what it was given, and takes what is published.
type transport struct {
	messages  chan *message.Message
	published []*message.Message
	topics    []string // of each
}

func (s *transport) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return s.messages, nil
}

func (s *transport) Publish(topic string, msgs ...*message.Message) error {
	s.published = append(s.published, msgs...)
	for range msgs {
		s.topics = append(s.topics, topic)
	}
	return nil
}

func (s *transport) Close() error { return nil }

// offer runs consume on one message until it has answered, and returns what becomes of it; no reason when it is done.
func offer(
	t *testing.T, msg *message.Message, consume func(context.Context, messaging.Consumer) error,
) (fate messaging.Fate, reason string) {
	t.Helper()
	s := &transport{messages: make(chan *message.Message, 1)}
	s.messages <- msg
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- consume(ctx, messaging.Consumer{Subscriber: s}) }()
	select {
	case <-msg.Acked():
	case <-msg.Nacked():
		fate, reason = messaging.AfterNack(t.Context(), msg, 1, 10)
	}
	close(s.messages)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return fate, reason
}

func TestConsumeSaysWhyAHandlerFailed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handle func() error
		fate   messaging.Fate
		reason string
	}{
		"done":      {func() error { return nil }, 0, ""},
		"an error":  {func() error { return errors.New("not yet") }, messaging.Retry, "not yet"},
		"permanent": {func() error { return messaging.Permanent(errors.New("never")) }, messaging.Bury, "never"},
		"a panic":   {func() error { panic("a bug in a handler") }, messaging.Retry, "a bug in a handler"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fate, reason := offer(t, message.NewMessage("1", nil), func(ctx context.Context, consumer messaging.Consumer) error {
				consumer.Topic = "topic"
				return messaging.Consume(ctx, consumer, func(context.Context, *message.Message) error { return c.handle() })
			})
			if fate != c.fate || !strings.Contains(reason, c.reason) || (reason == "") != (c.reason == "") {
				t.Errorf("fate %d, reason %q", fate, reason)
			}
		})
	}
}

func TestWhatIsNoTaskIsBuried(t *testing.T) {
	t.Parallel()
	fate, reason := offer(t, message.NewMessage("1", []byte("{")), func(ctx context.Context, c messaging.Consumer) error {
		return messaging.ConsumeTasks(ctx, c, func(context.Context, commands.Task) error { return nil })
	})
	if fate != messaging.Bury {
		t.Errorf("fate %d, reason %q", fate, reason)
	}
}

func TestTasksComeAsTheyWereSent(t *testing.T) {
	t.Parallel()
	sent := commands.Task{Kind: commands.TaskChunk, Video: "v", Attempt: 3, Chunk: 7, Priority: 5}
	var s transport
	if err := messaging.NewTasks(&s).Send(t.Context(), sent); err != nil || len(s.published) != 1 {
		t.Fatal(s.published, err)
	}
	msg := s.published[0]
	if p := messaging.Priority(msg.Metadata); p != 5 {
		t.Errorf("priority %d", p)
	}
	for name, want := range map[string]string{messaging.MetaType: string(commands.TaskChunk), messaging.MetaVideo: "v"} {
		if got := msg.Metadata.Get(name); got != want {
			t.Errorf("metadata %s is %q, want %q", name, got, want)
		}
	}
	if task, ok := messaging.DecodeTask(msg.Payload); !ok || task != sent {
		t.Errorf("got %+v, %t", task, ok)
	}
	offer(t, msg, func(ctx context.Context, c messaging.Consumer) error {
		return messaging.ConsumeTasks(ctx, c, func(_ context.Context, task commands.Task) error {
			if task != sent {
				t.Errorf("got %+v", task)
			}
			return nil
		})
	})
	urgent := commands.Task{Kind: commands.TaskInspect, Video: "v", Attempt: 3, Priority: commands.PriorityFirst}
	s = transport{}
	if err := messaging.NewTasks(&s).Send(t.Context(), sent, urgent, sent); err != nil {
		t.Fatal(err)
	}
	if want := []string{messaging.TopicUrgent, messaging.TopicTasks, messaging.TopicTasks}; !slices.Equal(s.topics, want) {
		t.Errorf("sent to %v, want %v", s.topics, want)
	}
	if _, ok := messaging.DecodeTask([]byte(`{"video":"v"}`)); ok {
		t.Error("read a task that has no kind")
	}
}
