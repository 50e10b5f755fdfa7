package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Plays keeps what players have told, in plays.db. It is of FULL durability: once a message is acknowledged, this is the
// only place that has it.
type Plays struct{ reads, writes *sql.DB }

var _ projections.Plays = (*Plays)(nil)

// Times are microseconds since 1970, durations in qualities nanoseconds. A salt that is deleted is overwritten.
const playsSchema = `
CREATE TABLE IF NOT EXISTS plays (
	video TEXT NOT NULL,
	view TEXT NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	viewer INTEGER NOT NULL,
	country TEXT NOT NULL,
	started INTEGER NOT NULL,
	ended INTEGER NOT NULL,
	startup INTEGER,
	startup_in TEXT NOT NULL,
	error TEXT NOT NULL,
	parts INTEGER NOT NULL,
	qualities TEXT NOT NULL,
	PRIMARY KEY (video, view)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS plays_by_time ON plays (first);
CREATE TABLE IF NOT EXISTS salts (day INTEGER PRIMARY KEY, salt BLOB NOT NULL) STRICT;
`

// OpenPlays opens or creates plays.db in dir. Any number of processes may have it open.
func OpenPlays(ctx context.Context, dir string) (*Plays, error) {
	path := filepath.Join(dir, "plays.db")
	_, err := os.Stat(path)
	created := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	writes, err := open(ctx, path, url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + string(Full) + ")", "secure_delete(1)",
			"cache_size(-16384)", "mmap_size(0)",
		},
	})
	if err != nil {
		return nil, err
	}
	writes.SetMaxOpenConns(1)
	if _, err := writes.ExecContext(ctx, playsSchema); err != nil {
		return nil, closing(writes, fmt.Errorf("open %s: %w", path, unavailable(err)))
	}
	if created { // the name of a new file is on disk only when its directory is
		if err := syncDir(dir); err != nil {
			return nil, closing(writes, err)
		}
	}
	reads, err := OpenReadOnly(ctx, path)
	if err != nil {
		return nil, closing(writes, err)
	}
	return &Plays{reads, writes}, nil
}

// Close closes the file.
func (s *Plays) Close() error { return errors.Join(s.reads.Close(), s.writes.Close()) }

const playColumns = `video, view, first, last, viewer, country, started, ended, startup, startup_in, error, parts, qualities`

// Record implements projections.Plays. All that is told is one transaction, so that it costs one wait for the disk.
func (s *Plays) Record(ctx context.Context, told []projections.Play) (err error) {
	if len(told) == 0 {
		return nil
	}
	tx, err := s.writes.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("record views: %w", unavailable(err))
	}
	if err = joinPlays(ctx, tx, projections.JoinPlays(told)); err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("record views: %w", unavailable(err)), rollback(tx))
	}
	return nil
}

func joinPlays(ctx context.Context, tx *sql.Tx, told []projections.Play) (err error) {
	find, err := tx.PrepareContext(ctx, `SELECT `+playColumns+` FROM plays WHERE video = ? AND view = ?`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, find.Close()) }()
	put, err := tx.PrepareContext(ctx, `REPLACE INTO plays (`+playColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, put.Close()) }()
	for _, p := range told {
		have, err := scanPlay(find.QueryRowContext(ctx, p.Video, p.View))
		switch {
		case err == nil:
			p = have.Join(p)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		qualities, err := json.Marshal(p.Qualities)
		if err != nil {
			return err
		}
		var startup sql.NullInt64
		var in string
		if p.Startup != nil {
			startup, in = sql.NullInt64{Int64: int64(p.Startup.Took), Valid: true}, p.Startup.Rendition
		}
		if _, err := put.ExecContext(ctx, p.Video, p.View, p.First.UnixMicro(), p.Last.UnixMicro(), p.Viewer, p.Country,
			p.Started, p.Ended, startup, in, p.Error, int64(p.Parts), string(qualities)); err != nil { //nolint:gosec // 50 bits
			return err
		}
	}
	return nil
}

func scanPlay(row interface{ Scan(...any) error }) (p projections.Play, err error) {
	var first, last, parts int64
	var startup sql.NullInt64
	var in string
	var qualities []byte
	if err := row.Scan(&p.Video, &p.View, &first, &last, &p.Viewer, &p.Country, &p.Started, &p.Ended, &startup, &in,
		&p.Error, &parts, &qualities); err != nil {
		return p, err
	}
	p.First, p.Last, p.Parts = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC(), uint64(parts) //nolint:gosec // 50 bits
	if startup.Valid {
		p.Startup = &projections.Startup{Took: time.Duration(startup.Int64), Rendition: in}
	}
	if err := json.Unmarshal(qualities, &p.Qualities); err != nil {
		return p, fmt.Errorf("the renditions of view %s: %w", p.View, err)
	}
	return p, nil
}

// Each implements projections.Plays.
func (s *Plays) Each(
	ctx context.Context, from, to time.Time, video domain.VideoID, f func(projections.Play) error,
) error {
	query, args := `SELECT `+playColumns+` FROM plays WHERE first >= ? AND first < ?`, []any{from.UnixMicro(), to.UnixMicro()}
	if video != "" {
		query, args = query+` AND video = ?`, append(args, video)
	}
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read views: %w", unavailable(err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		p, err := scanPlay(rows)
		if err == nil {
			err = f(p)
		}
		if err != nil {
			return fmt.Errorf("read views: %w", unavailable(err))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read views: %w", unavailable(err))
	}
	return nil
}

// Salt implements projections.Plays.
func (s *Plays) Salt(ctx context.Context, day time.Time) ([]byte, error) {
	fresh := make([]byte, projections.SaltBytes)
	_, _ = rand.Read(fresh) // it never fails
	today := projections.DayNumber(day)
	tx, err := s.writes.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("the salt of the day: %w", unavailable(err))
	}
	var forgotten int64
	var salt []byte
	err = func() error {
		deleted, err := tx.ExecContext(ctx, `DELETE FROM salts WHERE day < ?`, today)
		if err != nil {
			return err
		}
		if forgotten, err = deleted.RowsAffected(); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO salts VALUES (?, ?)`, today, fresh); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT salt FROM salts WHERE day = ?`, today).Scan(&salt); err != nil {
			return err
		}
		return tx.Commit()
	}()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the salt of the day: %w", unavailable(err)), rollback(tx))
	}
	if forgotten > 0 { // it also stands in the log of writes until that is emptied; a reader that is in the way only delays it
		_, _ = s.writes.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	return salt, nil
}

// Prune implements projections.Plays.
func (s *Plays) Prune(ctx context.Context, before time.Time, atMost int) (n int, err error) {
	end := before.UnixMicro()
	var newest int64 // the first one of those that are too many
	err = s.reads.QueryRowContext(ctx, `SELECT first FROM plays ORDER BY first DESC LIMIT 1 OFFSET ?`, atMost).Scan(&newest)
	switch {
	case err == nil:
		end = max(end, newest+1)
	case !errors.Is(err, sql.ErrNoRows):
		return 0, fmt.Errorf("prune views: %w", unavailable(err))
	}
	for { // a bit at a time: others want to write too
		deleted, err := s.writes.ExecContext(ctx, `DELETE FROM plays WHERE (video, view) IN (
			SELECT video, view FROM plays WHERE first < ? ORDER BY first LIMIT 1000)`, end)
		if err != nil {
			return n, fmt.Errorf("prune views: %w", unavailable(err))
		}
		some, err := deleted.RowsAffected()
		if n += int(some); err != nil || some == 0 {
			return n, err
		}
	}
}
