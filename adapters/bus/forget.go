package bus

import (
	"context"
	"fmt"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

var _ commands.Copies = (*Queues)(nil)

// Forget implements commands.Copies: messages about the video that wait, and dead letters, say no longer what an event had,
// but only where it is. They are handled as before; a handler reads from the log what is left.
func (q *Queues) Forget(ctx context.Context, id domain.VideoID) error {
	err := q.store.transaction(ctx, func(ctx context.Context) error {
		payloads, err := q.store.payloadsAbout(ctx, id)
		if err != nil {
			return err
		}
		for message, payload := range payloads {
			short, err := domain.WithoutData(payload)
			if err != nil {
				short = []byte("{}") // whatever it is, it is about the video
			}
			if _, err := q.store.conn.ExecContext(ctx, `UPDATE messages SET payload = ? WHERE id = ?`, short, message); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = q.store.pack(ctx)
	}
	if err != nil {
		return fmt.Errorf("forget the messages about video %s: %w", id, err)
	}
	return nil
}

func (s *store) payloadsAbout(ctx context.Context, id domain.VideoID) (map[int64][]byte, error) {
	rows, err := s.conn.QueryContext(ctx, `SELECT id, payload FROM messages WHERE topic = ? AND metadata ->> ? = ?`,
		messaging.TopicEvents, "$."+messaging.MetaVideo, string(id))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := map[int64][]byte{}
	for rows.Next() {
		var message int64
		var payload []byte
		if err := rows.Scan(&message, &payload); err != nil {
			return nil, err
		}
		found[message] = payload
	}
	return found, rows.Err()
}

// pack writes the database anew, since rows that were moved to another page have left copies, and brings what is in the
// write-ahead file into it.
func (s *store) pack(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.conn.ExecContext(ctx, "VACUUM"); err != nil {
		return unavailable(err)
	}
	var busy, pages, done int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &done); err != nil {
		return unavailable(err)
	}
	if busy != 0 {
		return fmt.Errorf("%w: another process has been reading the queues for long; do it again", domain.ErrUnavailable)
	}
	return nil
}
