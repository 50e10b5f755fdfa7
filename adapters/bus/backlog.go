package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/adapters/messaging"
)

// Backlogs returns the backlog of every queue, empty ones too, by topic and group.
func (q *Queues) Backlogs(ctx context.Context) ([]messaging.Backlog, error) {
	backlogs, err := q.store.backlogs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read backlogs: %w", unavailable(err))
	}
	return backlogs, nil
}

func (s *store) backlogs(ctx context.Context) ([]messaging.Backlog, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, err := s.conn.QueryContext(ctx, `SELECT g.topic, g.name, count(*) FILTER (WHERE state = 0),
		count(*) FILTER (WHERE state = 1 AND lease <> 0), count(*) FILTER (WHERE state = 1 AND lease = 0),
		count(*) FILTER (WHERE state = 2), coalesce(min(published) FILTER (WHERE state <> 2), 0)
		FROM consumer_groups g LEFT JOIN messages m ON m.topic = g.topic AND m.consumer = g.name
		GROUP BY g.topic, g.name ORDER BY g.topic, g.name`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var backlogs []messaging.Backlog
	for rows.Next() {
		var b messaging.Backlog
		var oldest int64
		if err := rows.Scan(&b.Topic, &b.Group, &b.Ready, &b.InWork, &b.Delayed, &b.Dead, &oldest); err != nil {
			return nil, err
		}
		if oldest != 0 {
			b.Oldest = time.UnixMilli(oldest).UTC()
		}
		backlogs = append(backlogs, b)
	}
	return backlogs, rows.Err()
}
