package sqlite

import (
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/cinelog/cinelog/domain"
)

// unavailable makes an error an ErrUnavailable if it says that the storage under the database is full, broken or
// locked for now, so that callers may try again; any other error is returned as it is.
func unavailable(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) || errors.Is(err, domain.ErrUnavailable) {
		return err
	}
	switch e.Code() & primaryCode {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM:
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return err
}

// primaryCode masks the kind of error out of SQLite's extended codes.
const primaryCode = 0xff

// closing closes c on the way out of a failed operation and keeps both errors.
func closing(c io.Closer, err error) error {
	return errors.Join(err, c.Close())
}
