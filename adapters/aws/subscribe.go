package aws

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

var (
	_ message.Subscriber           = (*subscriber)(nil)
	_ message.SubscribeInitializer = (*subscriber)(nil)
)

type subscriber struct {
	bus   *Bus
	group string

	mu      sync.Mutex
	closed  bool
	intakes map[string]*intake // by topic
}

// Subscriber returns a subscriber that consumes as a member of group. Each call of its Subscribe hands out one message
// at a time; messages are handled in parallel by several subscriptions, which share the requests to SQS.
//
// A message that is not acknowledged comes again: after a nack, when its backoff is over; after the end of a
// subscription, at once; after the end of the process, when its lease is over. The n-th nack of a message
// (Options.MaxReceive) makes it a dead letter, a nack that is marked as permanent does so at once.
func (b *Bus) Subscriber(group string) message.Subscriber {
	return &subscriber{bus: b, group: group, intakes: map[string]*intake{}}
}

// SubscribeInitialize declares the group, so that messages are kept for it from now on.
func (s *subscriber) SubscribeInitialize(topic string) error {
	return s.bus.DeclareGroup(context.Background(), topic, s.group)
}

func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	g, err := s.bus.group(ctx, topic, s.group)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %s: subscriber %w", topic, errClosed)
	}
	sub := &subscription{out: make(chan *message.Message)}
	for range 2 {
		in := s.intakes[topic]
		if in == nil {
			in, err = s.bus.newIntake(g) //nolint:contextcheck // lives as long as any of its subscriptions
			if err != nil {
				return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
			}
			s.intakes[topic] = in
		}
		if in.join(ctx, sub) {
			return sub.out, nil
		}
		delete(s.intakes, topic) // its last subscription has ended
	}
	return nil, fmt.Errorf("subscribe to %s: %w", topic, errClosed)
}

// Close ends the subscriptions and waits until their messages are given back.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	intakes := s.intakes
	s.mu.Unlock()
	for _, in := range intakes {
		in.stop()
	}
	for _, in := range intakes {
		<-in.done
	}
	return nil
}

// subscription hands out one message after the other.
type subscription struct {
	intake *intake
	out    chan *message.Message
}

func (s *subscription) run(ctx context.Context) {
	defer close(s.out)
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-s.intake.ready:
			s.handle(ctx, h)
			s.intake.drop(h)
		}
	}
}

// handle gives the message to the consumer and waits for the answer. The lease is extended elsewhere.
func (s *subscription) handle(ctx context.Context, h *held) {
	msgCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	msg := h.msg
	msg.SetContext(msgCtx)

	out, ending, lost := s.out, ctx.Done(), h.lost
	var graceOver <-chan time.Time
	for {
		select {
		case out <- msg:
			out = nil
		case <-msg.Acked():
			s.intake.ack(ctx, h)
			return
		case <-msg.Nacked():
			s.intake.nack(ctx, h, msg)
			return
		case <-lost:
			if out != nil {
				return // somebody else has it, and nobody here has seen it
			}
			lost = nil
			cancel() // the handler must not go on
		case <-ending:
			if out != nil {
				s.intake.giveBack(h)
				return
			}
			// Its context has ended; what the handler makes of that still counts, if it hurries.
			ending = nil
			graceOver = time.After(s.intake.bus.opts.Grace)
		case <-graceOver:
			s.intake.giveBack(h)
			return
		}
	}
}
