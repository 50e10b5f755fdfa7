package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// DeadLetters returns all dead letters, oldest message first.
func (q *Queues) DeadLetters(ctx context.Context) ([]messaging.DeadLetter, error) {
	letters, err := q.store.deadLetters(ctx)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return letters, nil
}

// WatchDeadLetters hands the dead letters of a consumer group to handle until ctx ends; see messaging.Watch.
func (q *Queues) WatchDeadLetters(
	ctx context.Context, topic, group string, handle func(context.Context, messaging.DeadLetter) error,
) error {
	k, err := q.declare(ctx, topic, group)
	if err != nil {
		return err
	}
	letters := func(ctx context.Context) ([]messaging.DeadLetter, error) {
		letters, err := q.DeadLetters(ctx)
		return slices.DeleteFunc(letters, func(l messaging.DeadLetter) bool { return l.Topic != topic || l.Group != group }), err
	}
	return messaging.Watch{Topic: topic, Group: group, Letters: letters, Died: k.died, Log: q.log}.Run(ctx, handle)
}

// Redrive puts a dead letter back into its queue, as if it was new. ErrNotFound, also the second time.
func (q *Queues) Redrive(ctx context.Context, id string) error {
	if err := q.putBack(ctx, id, messaging.Redriven); err != nil {
		return fmt.Errorf("redrive: %w", err)
	}
	return nil
}

// putBack puts a dead letter back into its queue with what was decided about it.
func (q *Queues) putBack(ctx context.Context, id, decided string) error {
	var topic, group string
	err := q.store.transaction(ctx, func(ctx context.Context) error {
		// Under a new id, so that nothing about the old message can touch it.
		r, err := q.store.conn.ExecContext(ctx, `INSERT INTO messages (topic, consumer, uuid, metadata, payload, priority, published)
			SELECT topic, consumer, uuid, json_set(metadata, '$.' || ?, ?), payload, priority, published FROM messages WHERE id = ? AND state = 2`,
			messaging.MetaDecided, decided, id)
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
		return err
	}
	for _, k := range q.groupsOf(topic) {
		if k.group == group {
			k.wake.Ring()
		}
	}
	return nil
}

// Drop gives a dead letter up for good: nobody handles it any more. See messaging.DeadLetter.HasPlace. ErrNotFound.
func (q *Queues) Drop(ctx context.Context, id string) error {
	letters, err := q.DeadLetters(ctx)
	if err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	if slices.ContainsFunc(letters, func(l messaging.DeadLetter) bool { return l.ID == id && l.HasPlace() }) {
		if err := q.putBack(ctx, id, messaging.Dropped); err != nil {
			return fmt.Errorf("drop: %w", err)
		}
		return nil
	}
	err = q.store.transaction(ctx, func(ctx context.Context) error {
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

func orNotFound(err error, id string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: dead letter %q", domain.ErrNotFound, id)
}

func (s *store) deadLetters(ctx context.Context) ([]messaging.DeadLetter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, err := s.conn.QueryContext(ctx, `SELECT id, topic, consumer, uuid, metadata, payload, received, reason, published, due,
		first_reason, first_failed FROM messages WHERE state = 2 ORDER BY id`)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = rows.Close() }()
	var letters []messaging.DeadLetter
	for rows.Next() {
		var l messaging.DeadLetter
		var metadata string
		var published, died, first int64
		if err := rows.Scan(&l.ID, &l.Topic, &l.Group, &l.UUID, &metadata, &l.Payload, &l.Attempts, &l.Reason,
			&published, &died, &l.First.Reason, &first); err != nil {
			return nil, unavailable(err)
		}
		if err := json.Unmarshal([]byte(metadata), &l.Metadata); err != nil {
			return nil, fmt.Errorf("decode metadata of message %s: %w", l.ID, err)
		}
		l.Published, l.Died, l.First.Time = time.UnixMilli(published).UTC(), time.UnixMilli(died).UTC(), time.UnixMilli(first).UTC()
		if first == 0 { // it died before this was kept
			l.First = messaging.Failure{Reason: l.Reason, Time: l.Died}
		}
		letters = append(letters, l)
	}
	return letters, unavailable(rows.Err())
}
