package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/domain"
)

// Metadata through which a handler's error reaches the subscriber. Any adapter may read it after a nack.
const (
	metaFailure  = "failure"
	metaRejected = "failure_permanent"
)

const maxReason = 2000 // bytes of a reason that are kept; a panic brings its stack

// Fail records why a message is about to be nacked; a dead letter carries the last of these reasons.
func Fail(msg *message.Message, err error) {
	msg.Metadata.Set(metaFailure, err.Error())
}

// Reject is Fail for an error that will be the same at every try: after the nack the message is a dead letter at once.
func Reject(msg *message.Message, err error) {
	Fail(msg, err)
	msg.Metadata.Set(metaRejected, "true")
}

func failure(msg *message.Message) (reason string, rejected bool) {
	reason = msg.Metadata.Get(metaFailure)
	if reason == "" {
		reason = "nacked without a reason"
	}
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	return strings.ToValidUTF8(reason, "\uFFFD"), msg.Metadata.Get(metaRejected) == "true"
}

// DeadLetter is a message that no handler could deal with. It stays until somebody decides about it.
type DeadLetter struct {
	ID        int64
	Topic     string
	Group     string
	UUID      string
	Metadata  map[string]string
	Payload   []byte
	Attempts  int
	Reason    string
	Published time.Time
	Died      time.Time
}

// DeadLetters returns all dead letters, oldest message first.
func (q *Queues) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	letters, err := q.store.deadLetters(ctx)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return letters, nil
}

// WatchDeadLetters hands the dead letters of a consumer group to handle until ctx ends: those that are there, and each
// that comes, also those that a crash made. They stay where they are. Every start hands all of them out again, and
// handle's error makes one come again within a minute.
func (q *Queues) WatchDeadLetters(
	ctx context.Context, topic, group string, handle func(context.Context, DeadLetter) error,
) error {
	k, err := q.declare(ctx, topic, group)
	if err != nil {
		return err
	}
	tick := time.NewTicker(deadLetterTick)
	defer tick.Stop()
	known := map[int64]bool{}
	for {
		letters, err := q.DeadLetters(ctx)
		if err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "cannot read dead letters", "topic", topic, "group", group, "error", err)
		}
		for _, l := range letters {
			if l.Topic != topic || l.Group != group || known[l.ID] {
				continue
			}
			if err := handle(ctx, l); err != nil {
				q.log.WarnContext(ctx, "dead letter not handled", "topic", topic, "group", group, "id", l.ID, "error", err)
				continue
			}
			known[l.ID] = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.died:
		case <-tick.C:
		}
	}
}

// deadLetterTick finds what no bell told: leases that ran out for the last time, and a handle that failed.
const deadLetterTick = 30 * time.Second

// Redrive puts a dead letter back into its queue, as if it was new. ErrNotFound, also the second time.
func (q *Queues) Redrive(ctx context.Context, id int64) error {
	var topic, group string
	err := q.store.transaction(ctx, func(ctx context.Context) error {
		// Under a new id, so that nothing about the old message can touch it.
		r, err := q.store.conn.ExecContext(ctx, `INSERT INTO messages (topic, consumer, uuid, metadata, payload, priority, published)
			SELECT topic, consumer, uuid, metadata, payload, priority, published FROM messages WHERE id = ? AND state = 2`, id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return orNotFound(err, id)
		}
		return q.store.conn.QueryRowContext(ctx, `DELETE FROM messages WHERE id = ? RETURNING topic, consumer`, id).
			Scan(&topic, &group)
	})
	if err != nil {
		return fmt.Errorf("redrive: %w", err)
	}
	for _, k := range q.groupsOf(topic) {
		if k.group == group {
			k.ring()
		}
	}
	return nil
}

// Drop removes a dead letter for good. ErrNotFound.
func (q *Queues) Drop(ctx context.Context, id int64) error {
	err := q.store.transaction(ctx, func(ctx context.Context) error {
		r, err := q.store.conn.ExecContext(ctx, `DELETE FROM messages WHERE id = ? AND state = 2`, id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return orNotFound(err, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	return nil
}

func orNotFound(err error, id int64) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: dead letter %d", domain.ErrNotFound, id)
}

func (s *store) deadLetters(ctx context.Context) ([]DeadLetter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, err := s.conn.QueryContext(ctx, `SELECT id, topic, consumer, uuid, metadata, payload, received, reason, published, due
		FROM messages WHERE state = 2 ORDER BY id`)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = rows.Close() }()
	var letters []DeadLetter
	for rows.Next() {
		var l DeadLetter
		var metadata string
		var published, died int64
		if err := rows.Scan(&l.ID, &l.Topic, &l.Group, &l.UUID, &metadata, &l.Payload, &l.Attempts, &l.Reason,
			&published, &died); err != nil {
			return nil, unavailable(err)
		}
		if err := json.Unmarshal([]byte(metadata), &l.Metadata); err != nil {
			return nil, fmt.Errorf("decode metadata of message %d: %w", l.ID, err)
		}
		l.Published, l.Died = time.UnixMilli(published).UTC(), time.UnixMilli(died).UTC()
		letters = append(letters, l)
	}
	return letters, unavailable(rows.Err())
}
