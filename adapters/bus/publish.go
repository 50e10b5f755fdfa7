package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
)

var (
	_ message.Publisher = (*publisher)(nil)

	errClosed = errors.New("closed")
)

type publisher struct {
	queues *Queues
	closed atomic.Bool
}

// Publisher returns a publisher that stores messages in the queue of every group of the topic, all of them in one
// transaction, and returns when that is committed.
func (q *Queues) Publisher() message.Publisher { return &publisher{queues: q} }

func (p *publisher) Publish(topic string, msgs ...*message.Message) error {
	if p.closed.Load() {
		return fmt.Errorf("publish to %s: publisher %w", topic, errClosed)
	}
	if len(msgs) == 0 {
		return nil
	}
	return p.queues.publish(msgs[0].Context(), topic, msgs, nil)
}

func (p *publisher) Close() error {
	p.closed.Store(true)
	return nil
}

// publish stores the messages and whatever also stores, together.
func (q *Queues) publish(
	ctx context.Context, topic string, msgs []*message.Message, also func(context.Context) error,
) error {
	queues := q.groupsOf(topic)
	transaction := q.store.transaction
	if slices.Contains(q.opts.Durable, topic) {
		transaction = q.store.durable
	}
	err := transaction(ctx, func(ctx context.Context) error {
		if err := q.store.put(ctx, queues, msgs); err != nil || also == nil {
			return err
		}
		return also(ctx)
	})
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	for _, k := range queues {
		k.wake.Ring()
	}
	return nil
}
