package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenOperations opens or creates operations.db in a directory: what people have said to the running system, which no
// event says and nothing can make again. Whoever keeps something there makes tables of its own in it. Any number of
// processes may have it open.
func OpenOperations(ctx context.Context, dir string) (*sql.DB, error) {
	path := filepath.Join(dir, "operations.db")
	_, err := os.Stat(path)
	created := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db, err := OpenDB(ctx, path, Full)
	if err != nil {
		return nil, err
	}
	if created { // the name of a new file is on disk only when its directory is
		if err := syncDir(dir); err != nil {
			return nil, closing(db, err)
		}
	}
	return db, nil
}
