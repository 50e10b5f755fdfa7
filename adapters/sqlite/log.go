package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// logSchema has one row for each commit, so that a commit can only be there as a whole and costs one row and two index
// entries however many events it has. A commit's key is the position of its first event, the next one's key is that
// plus events: a hole is seen from the keys alone.
const logSchema = `
CREATE TABLE IF NOT EXISTS commits (
	position INTEGER PRIMARY KEY,    -- of the first event
	events   INTEGER NOT NULL,       -- how many
	stream   TEXT NOT NULL,
	version  INTEGER NOT NULL,       -- of the first event
	id       TEXT NOT NULL UNIQUE,
	time     INTEGER NOT NULL,       -- microseconds since 1970, UTC
	meta     TEXT NOT NULL,          -- domain.Meta as JSON
	body     BLOB NOT NULL,          -- [{"type":...,"data":...}, ...]
	hash     BLOB NOT NULL,          -- domain.ChainHash over the hash of the commit before
	UNIQUE (stream, version)
) STRICT;
PRAGMA user_version = 1;`

// logFormat is the newest user_version that this program can read.
const logFormat = 1

// LogReader reads the event log and cannot change it.
type LogReader struct {
	db *sql.DB

	head, after, stream, commit *sql.Stmt
}

// Log is the event log in the file events.db of a directory.
type Log struct {
	*LogReader

	writer  *writer
	queue   chan *pending // unbuffered: an append that was received is in the running batch
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
	closed  error
}

var (
	_ commands.EventLog = (*Log)(nil)
	_ projections.Log   = (*Log)(nil)
	_ projections.Log   = (*LogReader)(nil)
)

// OpenLog opens or creates the event log in dir. Close it.
func OpenLog(ctx context.Context, dir string) (*Log, error) {
	path := logPath(dir)
	_, err := os.Stat(path)
	created := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	db, err := OpenDB(ctx, path, Full)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	l, err := openLog(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("open the event log %s: %w", path, closing(db, unavailable(err)))
	}
	if created {
		// The names of new files are on disk only when their directory is, and the directory's in its parent.
		if err := errors.Join(syncDir(dir), syncDir(filepath.Dir(dir))); err != nil {
			return nil, fmt.Errorf("open the event log: %w", closing(l, err))
		}
	}
	return l, nil
}

func openLog(ctx context.Context, db *sql.DB) (*Log, error) {
	var format int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&format); err != nil {
		return nil, err
	}
	if format > logFormat {
		return nil, fmt.Errorf("written by a newer program: format %d, this one reads up to %d", format, logFormat)
	}
	if format == 0 {
		if _, err := db.ExecContext(ctx, logSchema); err != nil {
			return nil, err
		}
	}
	reader, err := newLogReader(ctx, db)
	if err != nil {
		return nil, err
	}
	w, err := newWriter(ctx, db)
	if err != nil {
		return nil, err
	}
	l := &Log{
		LogReader: reader, writer: w,
		queue: make(chan *pending), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go l.write() //nolint:gosec,contextcheck // it ends with Close and not with the opener's context
	return l, nil
}

// OpenLogReadOnly opens an existing log for reading, also while a server writes to it.
func OpenLogReadOnly(ctx context.Context, dir string) (*LogReader, error) {
	path := logPath(dir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open the event log: %w: no file %s", domain.ErrNotFound, path)
	}
	db, err := OpenReadOnly(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	r, err := newLogReader(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("open the event log %s: %w", path, closing(db, unavailable(err)))
	}
	return r, nil
}

// Close lets the running batch end and closes the file. Appends that were not picked up, and all later ones, are
// ErrUnavailable.
func (l *Log) Close() error {
	l.once.Do(func() {
		close(l.stop)
		<-l.stopped
		l.closed = errors.Join(l.writer.close(), l.LogReader.Close())
	})
	return l.closed
}

func logPath(dir string) string { return filepath.Join(dir, "events.db") }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return closing(d, d.Sync())
}
