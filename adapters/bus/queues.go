// Package bus carries messages inside one process: Watermill's Publisher and Subscriber on queues in a SQLite file. What
// does not depend on the transport is in adapters/messaging. It may import that and domain; no other adapter.
//
// The queues follow goqite (visibility timeouts, receive counts, priorities) and add what it lacks: consumer groups,
// delayed retries with the reason, dead letters, and waking up without polling.
package bus

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cinelog/cinelog/adapters/messaging"
)

// Options are what Open may be told. Only Now is needed.
type Options struct {
	Log *slog.Logger
	Now func() time.Time
	// Lease is how long a message stays with a handler that gives no sign of life. It is extended by itself while the
	// handler works. 30 s by default.
	Lease time.Duration
	// MaxReceive is how often a message is handed out before it is a dead letter. 10 by default.
	MaxReceive int
	// Backoff is how long a message that was received n times and failed waits for the next try.
	Backoff func(n int) time.Duration
	// Grace is how long a subscription that ends waits for the handlers that are at work. 5 s by default.
	Grace time.Duration
	// Durable are topics whose messages are in no log: publishing to them waits for the disk, so that a loss of power takes
	// none that was published. To the others the relay publishes again what it took.
	Durable []string
	// Shared opens the queues beside the server that owns them, to look at them or mend them: leases stay as they are.
	Shared bool
}

// Queues are all the queues in one file. A queue holds the messages of one topic for one consumer group.
type Queues struct {
	log   *slog.Logger
	opts  Options
	store *store

	mu      sync.Mutex
	groups  map[string][]*queue // by topic
	subs    map[*subscription]struct{}
	closed  bool
	running sync.WaitGroup
}

// queue is one consumer group's place at a topic.
type queue struct {
	topic, group string
	// wake is rung when there may be something to receive. Whom it wakes and who finds a message rings it again for the
	// next, so that one publication wakes as many as it has work for.
	wake messaging.Bell
	died messaging.Bell // rung when a message may have become a dead letter
}

// Open makes the tables if they are not there. Only one process may own the file: every lease in it belonged to a
// process that is dead, so those messages are handed out again at once; what they count as receives stays. The caller
// closes the Queues, then db.
func Open(ctx context.Context, db *sql.DB, opts Options) (*Queues, error) {
	opts.Lease = cmp.Or(opts.Lease, messaging.DefaultLease)
	opts.MaxReceive = cmp.Or(opts.MaxReceive, messaging.DefaultMaxReceive)
	opts.Grace = cmp.Or(opts.Grace, messaging.DefaultGrace)
	if opts.Backoff == nil {
		opts.Backoff = messaging.Backoff
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s, err := openStore(ctx, db, opts)
	if err != nil {
		return nil, fmt.Errorf("open the bus: %w", err)
	}
	q := &Queues{log: opts.Log, opts: opts, store: s, groups: map[string][]*queue{}, subs: map[*subscription]struct{}{}}
	groups, err := s.groups(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the bus: %w", err)
	}
	for _, k := range groups {
		q.groups[k.topic] = append(q.groups[k.topic], k)
	}
	return q, nil
}

// Close ends all subscriptions, waits for them and lets the database go, which stays open. It may be called twice.
func (q *Queues) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	for s := range q.subs {
		s.cancel()
	}
	q.mu.Unlock()
	q.running.Wait()
	return q.store.close()
}

// DeclareGroup makes a topic keep its messages for a consumer group from now on, also while nobody consumes them.
// Messages of a topic without any group are kept for nobody.
func (q *Queues) DeclareGroup(ctx context.Context, topic, group string) error {
	_, err := q.declare(ctx, topic, group)
	return err
}

func (q *Queues) declare(ctx context.Context, topic, group string) (*queue, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range q.groups[topic] {
		if k.group == group {
			return k, nil
		}
	}
	if err := q.store.declare(ctx, topic, group); err != nil {
		return nil, fmt.Errorf("declare group %s of topic %s: %w", group, topic, err)
	}
	k := newQueue(topic, group)
	q.groups[topic] = append(q.groups[topic], k)
	return k, nil
}

func newQueue(topic, group string) *queue {
	return &queue{topic: topic, group: group, wake: messaging.NewBell(), died: messaging.NewBell()}
}

func (q *Queues) groupsOf(topic string) []*queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clip(q.groups[topic])
}
