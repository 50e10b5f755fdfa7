package bus

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/messaging"
)

var (
	_ message.Subscriber           = (*subscriber)(nil)
	_ message.SubscribeInitializer = (*subscriber)(nil)
)

type subscriber struct {
	queues *Queues
	group  string

	mu     sync.Mutex
	closed bool
	subs   []*subscription
}

// Subscriber returns a subscriber that consumes as a member of group. Each call of its Subscribe hands out one message
// at a time; messages are handled in parallel by several subscriptions (see messaging.Consumer).
//
// Make one for each Consume: the end of a Consume closes it.
//
// A message that is not acknowledged comes again: after a nack, when its backoff is over; after the end of a
// subscription, at once. The n-th nack of a message (Options.MaxReceive) makes it a dead letter.
func (q *Queues) Subscriber(group string) message.Subscriber {
	return &subscriber{queues: q, group: group}
}

// SubscribeInitialize declares the group, so that messages are kept for it from now on.
func (s *subscriber) SubscribeInitialize(topic string) error {
	return s.queues.DeclareGroup(context.Background(), topic, s.group)
}

func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	k, err := s.queues.declare(ctx, topic, s.group)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %s: subscriber %w", topic, errClosed)
	}
	sub := &subscription{
		queues: s.queues, queue: k, store: s.queues.store, out: make(chan *message.Message), done: make(chan struct{}),
	}
	ctx, sub.cancel = context.WithCancel(ctx)
	if err := s.queues.start(ctx, sub); err != nil {
		sub.cancel()
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	s.subs = append(s.subs, sub)
	return sub.out, nil
}

// Close ends the subscriptions and waits until their messages are given back.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	subs := s.subs
	s.mu.Unlock()
	for _, sub := range subs {
		sub.cancel()
	}
	for _, sub := range subs {
		<-sub.done
	}
	return nil
}

func (q *Queues) start(ctx context.Context, s *subscription) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	q.subs[s] = struct{}{}
	q.running.Go(func() {
		s.run(ctx)
		q.mu.Lock()
		delete(q.subs, s)
		q.mu.Unlock()
		close(s.done)
	})
	return nil
}

// subscription hands out one message after the other.
type subscription struct {
	queues *Queues
	queue  *queue
	store  *store
	out    chan *message.Message
	done   chan struct{} // closed when nothing of it runs any more
	cancel context.CancelFunc
}

// idle is how long a subscription sleeps at most. Every message rings, so this is only for what no bell covers: an
// error of the database, and clocks that jump.
const idle = time.Second

func (s *subscription) run(ctx context.Context) {
	defer s.cancel()
	defer close(s.out)
	for ctx.Err() == nil {
		m, ok, next, err := s.store.receive(ctx, s.queue)
		if err != nil {
			s.queues.log.ErrorContext(ctx, "cannot receive", "topic", s.queue.topic, "group", s.queue.group, "error", err)
		}
		if ok {
			s.queue.wake.Ring()
			s.handle(ctx, m)
			continue
		}
		wait := idle
		if err == nil && !next.IsZero() {
			wait = max(time.Millisecond, min(idle, next.Sub(s.store.opts.Now())))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.queue.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	// The bell may have been for this one.
	s.queue.wake.Ring()
}

// handle gives the message to the consumer and keeps its lease until the consumer has answered.
func (s *subscription) handle(ctx context.Context, m leased) {
	msgCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	msg := message.NewMessage(m.uuid, m.payload)
	for k, v := range m.metadata {
		msg.Metadata.Set(k, v)
	}
	msg.Metadata.Set(messaging.MetaReceiveCount, strconv.Itoa(m.received))
	if m.received >= s.store.opts.MaxReceive {
		msg.Metadata.Set(messaging.MetaLastTry, "true")
	}
	msg.SetContext(msgCtx)

	extend := time.NewTicker(s.store.opts.Lease / 3)
	defer extend.Stop()
	out, ending := s.out, ctx.Done()
	var graceOver <-chan time.Time
	for {
		select {
		case out <- msg:
			out = nil
		case <-msg.Acked():
			s.settled(m, "acknowledge")(s.store.settle(ctx, s.store.ack, m.id, m.lease))
			return
		case <-msg.Nacked():
			s.nack(ctx, m, msg)
			return
		case <-extend.C:
			if !s.extend(ctx, &m) {
				cancel() // somebody else may have the message by now: the handler must not go on
			}
		case <-ending:
			if out != nil {
				s.release(ctx, m)
				return
			}
			// Its context has ended; what the handler makes of that still counts, if it hurries.
			ending = nil
			graceOver = time.After(s.store.opts.Grace)
		case <-graceOver:
			s.release(ctx, m)
			return
		}
	}
}

// extend says whether the lease still stands.
func (s *subscription) extend(ctx context.Context, m *leased) bool {
	until := s.store.opts.Now().Add(s.store.opts.Lease)
	held, err := s.store.settle(ctx, s.store.extend, until.UnixMilli(), m.id, m.lease)
	s.settled(*m, "extend")(held, err)
	if err == nil && held {
		m.until = until
		return true
	}
	// An error is not the loss of the lease yet, as long as another try comes before its end.
	return err != nil && s.store.opts.Now().Add(s.store.opts.Lease/3).Before(m.until)
}

func (s *subscription) release(ctx context.Context, m leased) {
	s.settled(m, "release")(s.store.settle(ctx, s.store.release, m.id, m.lease))
	s.queue.wake.Ring()
}

func (s *subscription) nack(ctx context.Context, m leased, msg *message.Message) {
	now := s.store.opts.Now()
	switch fate, reason := messaging.AfterNack(ctx, msg, m.received, s.store.opts.MaxReceive); fate {
	case messaging.Return:
		s.release(ctx, m)
	case messaging.Retry:
		due := now.Add(messaging.RetryAfter(msg, s.store.opts.Backoff(m.received)))
		failed := int64(0)
		if messaging.HasFailed(msg) {
			failed = now.UnixMilli()
		}
		s.settled(m, "retry")(s.store.settle(ctx, s.store.retry, due.UnixMilli(), reason, failed, m.id, m.lease))
	case messaging.Bury:
		s.queues.log.ErrorContext(ctx, "dead letter", "topic", s.queue.topic, "group", s.queue.group, "message", m.uuid,
			"receive_count", m.received, "reason", reason)
		s.settled(m, "bury")(s.store.settle(ctx, s.store.bury, now.UnixMilli(), reason, m.id, m.lease))
		s.queue.died.Ring()
	}
}

// settled logs what went wrong. Nothing else is to be done: the message comes again when its lease ends.
func (s *subscription) settled(m leased, what string) func(held bool, err error) {
	return func(held bool, err error) {
		if err != nil || !held {
			s.queues.log.Warn("message not settled", "action", what, "topic", s.queue.topic, "group", s.queue.group,
				"message", m.uuid, "receive_count", m.received, "lease_lost", err == nil, "error", err)
		}
	}
}
