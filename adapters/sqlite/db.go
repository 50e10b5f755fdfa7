// Package sqlite keeps the event log, the read models and the rebuilds of them in SQLite files of one directory, on
// modernc.org/sqlite (no cgo). It implements ports of commands and projections and may import those and domain, no
// other adapter.
package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// Durability says what a commit has survived when it returns. The values are SQLite's own for PRAGMA synchronous.
type Durability string

const (
	// Full survives a loss of power: nothing acknowledged is lost. For the log, the only truth.
	Full Durability = "FULL"
	// Normal survives a crash of this process; a loss of power may roll the file back to an earlier, consistent
	// moment. For everything that the log can make again.
	Normal Durability = "NORMAL"
)

// OpenDB opens or creates a database file in WAL mode. Transactions take the write lock when they begin, so that none
// fails half way because another one wrote first.
func OpenDB(ctx context.Context, path string, d Durability) (*sql.DB, error) {
	return open(ctx, path, url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			// First of all: changing the journal mode may meet another process that holds the lock.
			"busy_timeout(5000)",
			"journal_mode(WAL)", "synchronous(" + string(d) + ")", "foreign_keys(1)",
			// Every connection has a cache of its own: 1 MiB each, and the file system's cache does the rest.
			"cache_size(-1024)", "mmap_size(0)",
			"secure_delete(1)", // what is deleted is overwritten
		},
	})
}

// OpenReadOnly opens a database file that another process may be writing to, and cannot change it.
func OpenReadOnly(ctx context.Context, path string) (*sql.DB, error) {
	return open(ctx, path, url.Values{
		"mode":    {"ro"},
		"_pragma": {"busy_timeout(5000)", "query_only(1)", "cache_size(-1024)", "mmap_size(0)"},
	})
}

func open(ctx context.Context, path string, options url.Values) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	dsn := url.URL{Scheme: "file", Path: absolute, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	// Connections are files and caches: a few are kept for readers, the rest is closed when a burst is over.
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(idleConns)
	if err := db.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, closing(db, unavailable(err)))
	}
	return db, nil
}

const (
	maxConns  = 16
	idleConns = 4
)
