package bus

import (
	"context"
	"encoding/json"
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

// Videos are those that a message of one of the groups is about, by its metadata; a dead letter is about none.
func (q *Queues) Videos(ctx context.Context, groups ...string) (map[string]bool, error) {
	videos, err := q.store.videos(ctx, groups)
	if err != nil {
		return nil, fmt.Errorf("read which videos messages are about: %w", unavailable(err))
	}
	return videos, nil
}

func (s *store) videos(ctx context.Context, groups []string) (map[string]bool, error) {
	of, err := json.Marshal(groups)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, err := s.conn.QueryContext(ctx, `SELECT DISTINCT metadata ->> ? FROM messages
		WHERE state <> 2 AND consumer IN (SELECT value FROM json_each(?)) AND metadata ->> ?1 IS NOT NULL`,
		messaging.MetaVideo, string(of))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	videos := map[string]bool{}
	for rows.Next() {
		var video string
		if err := rows.Scan(&video); err != nil {
			return nil, err
		}
		videos[video] = true
	}
	return videos, rows.Err()
}
