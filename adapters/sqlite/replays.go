package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Replays keep what is said about replays in operations.db.
type Replays struct{ db *sql.DB }

var _ projections.Replays = (*Replays)(nil)

const replaysSchema = `
CREATE TABLE IF NOT EXISTS replays (
	id        TEXT PRIMARY KEY,
	doc       TEXT NOT NULL DEFAULT '{}', -- projections.Replay as JSON
	cancelled INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
`

// keepReplays is how many replays are remembered.
const keepReplays = 200

// NewReplays makes what is missing in the database that OpenOperations opened.
func NewReplays(ctx context.Context, db *sql.DB) (*Replays, error) {
	if _, err := db.ExecContext(ctx, replaysSchema); err != nil {
		return nil, fmt.Errorf("replays: %w", unavailable(err))
	}
	return &Replays{db}, nil
}

// Put implements projections.Replays.
func (s *Replays) Put(ctx context.Context, r projections.Replay) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	put, err := s.db.ExecContext(ctx, `UPDATE replays SET doc = ?2 WHERE id = ?1`, r.ID, string(doc))
	if err != nil {
		return fmt.Errorf("replay %s: %w", r.ID, unavailable(err))
	}
	if n, err := put.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = s.db.ExecContext(ctx, `INSERT OR IGNORE INTO replays (id, doc) VALUES (?, ?)`, r.ID, string(doc))
	if err == nil {
		_, err = s.db.ExecContext(ctx, `DELETE FROM replays WHERE id NOT IN (SELECT id FROM replays ORDER BY id DESC LIMIT ?)`, keepReplays)
	}
	if err != nil {
		return fmt.Errorf("replay %s: %w", r.ID, unavailable(err))
	}
	return nil
}

// Replays implements projections.Replays.
func (s *Replays) Replays(ctx context.Context, limit int) (found []projections.Replay, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT doc FROM replays ORDER BY id DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("replays: %w", unavailable(err))
	}
	for rows.Next() {
		var doc string
		var r projections.Replay
		if err = rows.Scan(&doc); err == nil {
			err = json.Unmarshal([]byte(doc), &r)
		}
		if err != nil {
			return nil, closing(rows, fmt.Errorf("replays: %w", err))
		}
		found = append(found, r)
	}
	return found, unavailable(errors.Join(rows.Err(), rows.Close()))
}

// Replay implements projections.Replays.
func (s *Replays) Replay(ctx context.Context, id string) (r projections.Replay, err error) {
	var doc string
	err = s.db.QueryRowContext(ctx, `SELECT doc FROM replays WHERE id = ?`, id).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("replay %s: %w", id, domain.ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal([]byte(doc), &r)
	}
	if err != nil {
		return r, fmt.Errorf("replay %s: %w", id, unavailable(err))
	}
	return r, nil
}

// Cancel implements projections.Replays.
func (s *Replays) Cancel(ctx context.Context, id string) error {
	asked, err := s.db.ExecContext(ctx, `UPDATE replays SET cancelled = 1 WHERE id = ?`, id)
	if err != nil {
		return fmt.Errorf("cancel replay %s: %w", id, unavailable(err))
	}
	if n, err := asked.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("replay %s: %w", id, domain.ErrNotFound))
	}
	return nil
}

// Cancelled implements projections.Replays.
func (s *Replays) Cancelled(ctx context.Context, id string) (cancelled bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT cancelled FROM replays WHERE id = ?`, id).Scan(&cancelled)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("replay %s: %w", id, unavailable(err))
	}
	return cancelled, nil
}
