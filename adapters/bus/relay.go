package bus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

var _ messaging.Checkpoints = (*Queues)(nil)

// Relay returns a relay into these queues. Messages and checkpoint are one transaction, so it publishes nothing twice.
func (q *Queues) Relay(name string) *messaging.Relay {
	return messaging.NewAtomicRelay(name, q, func(ctx context.Context, msgs []*message.Message, to domain.Position) error {
		return q.publish(ctx, messaging.TopicEvents, msgs, func(ctx context.Context) error {
			return q.store.saveCheckpoint(ctx, name, to)
		})
	})
}

// LoadCheckpoint reads a checkpoint that is kept with the queues.
func (q *Queues) LoadCheckpoint(ctx context.Context, name string) (domain.Position, error) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	var p domain.Position
	err := q.store.conn.QueryRowContext(ctx, `SELECT position FROM checkpoints WHERE name = ?`, name).Scan(&p)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("load checkpoint %s: %w", name, unavailable(err))
	}
	return p, nil
}

// SaveCheckpoint keeps a checkpoint with the queues.
func (q *Queues) SaveCheckpoint(ctx context.Context, name string, p domain.Position) error {
	err := q.store.transaction(ctx, func(ctx context.Context) error { return q.store.saveCheckpoint(ctx, name, p) })
	if err != nil {
		return fmt.Errorf("save checkpoint %s: %w", name, err)
	}
	return nil
}

func (s *store) saveCheckpoint(ctx context.Context, name string, p domain.Position) error {
	_, err := s.conn.ExecContext(ctx, `INSERT INTO checkpoints (name, position) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET position = excluded.position`, name, p)
	return err
}
