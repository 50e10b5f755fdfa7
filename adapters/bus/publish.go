package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Metadata of messages.
const (
	// MetaPriority, set by a publisher, is a number: messages with a higher one are handed out first. 0 by default.
	MetaPriority = "priority"
	// MetaReceiveCount, set by a subscriber, says how often the message was handed out, this time included.
	MetaReceiveCount = "receive_count"
	// MetaCorrelation is the correlation id that log lines about the message carry.
	MetaCorrelation = "correlation"
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
	err := q.store.transaction(ctx, func(ctx context.Context) error {
		if err := q.store.put(ctx, queues, msgs); err != nil || also == nil {
			return err
		}
		return also(ctx)
	})
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	for _, k := range queues {
		k.ring()
	}
	return nil
}

func priority(m *message.Message) int {
	n, err := strconv.Atoi(m.Metadata.Get(MetaPriority))
	if err != nil {
		return 0
	}
	return n
}
