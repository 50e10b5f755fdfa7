package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Controls keep what is said about projections in operations.db.
type Controls struct{ db *sql.DB }

var _ projections.Controls = (*Controls)(nil)

const controlsSchema = `
CREATE TABLE IF NOT EXISTS projections (
	name    TEXT PRIMARY KEY,
	paused  INTEGER,                    -- since when, in microseconds since 1970; NULL when it is not
	resumed INTEGER NOT NULL DEFAULT 0, -- how often
	halted  INTEGER,                    -- the position at which it has halted; NULL when it has not
	type    TEXT NOT NULL DEFAULT '',
	video   TEXT NOT NULL DEFAULT '',
	error   TEXT NOT NULL DEFAULT '',
	since   INTEGER NOT NULL DEFAULT 0  -- when it halted
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS projection_skips (
	name     TEXT NOT NULL,
	position INTEGER NOT NULL,
	reason   TEXT NOT NULL,
	time     INTEGER NOT NULL,
	PRIMARY KEY (name, position)
) STRICT, WITHOUT ROWID;
`

// NewControls makes what is missing in the database that OpenOperations opened.
func NewControls(ctx context.Context, db *sql.DB) (*Controls, error) {
	if _, err := db.ExecContext(ctx, controlsSchema); err != nil {
		return nil, fmt.Errorf("what is said about projections: %w", unavailable(err))
	}
	return &Controls{db}, nil
}

// Control implements projections.Controls.
func (c *Controls) Control(ctx context.Context, projection string) (said projections.Control, err error) {
	var paused, halted sql.NullInt64
	var since int64
	var h projections.Halt
	err = c.db.QueryRowContext(ctx, `SELECT paused, resumed, halted, type, video, error, since FROM projections WHERE name = ?`,
		projection).Scan(&paused, &said.Resumed, &halted, &h.Type, &h.Video, &h.Error, &since)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return said, fmt.Errorf("what is said about %s: %w", projection, unavailable(err))
	}
	if paused.Valid {
		said.Paused, said.PausedSince = true, time.UnixMicro(paused.Int64).UTC()
	}
	if halted.Valid {
		h.Position, h.Since = domain.Position(halted.Int64), time.UnixMicro(since).UTC()
		said.Halt = &h
	}
	rows, err := c.db.QueryContext(ctx, `SELECT position, reason, time FROM projection_skips WHERE name = ? ORDER BY position`, projection)
	if err != nil {
		return said, fmt.Errorf("what %s skips: %w", projection, unavailable(err))
	}
	for rows.Next() {
		var s projections.Skip
		var at int64
		if err := rows.Scan(&s.Position, &s.Reason, &at); err != nil {
			return said, closing(rows, err)
		}
		s.Time = time.UnixMicro(at).UTC()
		said.Skips = append(said.Skips, s)
	}
	return said, unavailable(errors.Join(rows.Err(), rows.Close()))
}

// Pause implements projections.Controls.
func (c *Controls) Pause(ctx context.Context, projection string, now time.Time) error {
	return c.say(ctx, projection, `INSERT INTO projections (name, paused) VALUES (?1, ?2)
		ON CONFLICT (name) DO UPDATE SET paused = coalesce(paused, ?2)`, now.UnixMicro())
}

// Resume implements projections.Controls.
func (c *Controls) Resume(ctx context.Context, projection string) error {
	return c.say(ctx, projection, `INSERT INTO projections (name, resumed) VALUES (?1, 1)
		ON CONFLICT (name) DO UPDATE SET paused = NULL, resumed = resumed + 1`)
}

// Skip implements projections.Controls.
func (c *Controls) Skip(ctx context.Context, projection string, s projections.Skip) error {
	return c.say(ctx, projection, `INSERT OR IGNORE INTO projection_skips (name, position, reason, time) VALUES (?1, ?2, ?3, ?4)`,
		int64(s.Position), s.Reason, s.Time.UnixMicro())
}

// Halted implements projections.Controls.
func (c *Controls) Halted(ctx context.Context, projection string, h *projections.Halt) error {
	if h == nil {
		return c.say(ctx, projection, `UPDATE projections SET halted = NULL, type = '', video = '', error = '', since = 0 WHERE name = ?1`)
	}
	return c.say(ctx, projection, `INSERT INTO projections (name, halted, type, video, error, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (name) DO UPDATE SET since = CASE WHEN halted = ?2 THEN since ELSE ?6 END, halted = ?2, type = ?3, video = ?4, error = ?5`,
		int64(h.Position), h.Type, string(h.Video), h.Error, h.Since.UnixMicro())
}

func (c *Controls) say(ctx context.Context, projection, statement string, args ...any) error {
	if _, err := c.db.ExecContext(ctx, statement, append([]any{projection}, args...)...); err != nil {
		return fmt.Errorf("say something about %s: %w", projection, unavailable(err))
	}
	return nil
}
