package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Forget removes from the disk what is left of rows that are gone: the generation before, and builds that were cut off,
// which cannot be gone back to any longer, and traces in the files of the one in use. What others have in work goes on.
// ErrConflict: a rebuild is running. ErrUnavailable: somebody reads what is old for long.
func (r *Rows[R]) Forget(ctx context.Context) error {
	return r.forget(ctx, func(context.Context, *generation) error { return nil })
}

// forget has clean go over the generation in use.
func (r *Rows[R]) forget(ctx context.Context, clean func(context.Context, *generation) error) (err error) {
	unlock, err := r.gens.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	err = r.gens.with(ctx, func(g *generation) error {
		err := r.gens.removeOthers(g.number)
		if err == nil {
			err = clean(ctx, g)
		}
		if err == nil {
			err = pack(ctx, g.writes)
		}
		if err == nil {
			err = emptyWAL(ctx, g.writes)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("clean %s: %w", r.model.Name, unavailable(err))
	}
	return nil
}

// Forget is that of Rows. The index of the texts only marks what is deleted, until its parts are merged: so they are, a
// few pages at a time, that updates come between.
func (c *Catalog) Forget(ctx context.Context) error {
	return c.forget(ctx, func(ctx context.Context, g *generation) error {
		for pages := -mergePages; ; pages = mergePages { // the first one says that all of it is meant
			var before, after int
			err := g.write(ctx, func(tx *sql.Tx) error {
				err := tx.QueryRowContext(ctx, `SELECT total_changes()`).Scan(&before)
				if err == nil {
					_, err = tx.ExecContext(ctx, `INSERT INTO texts (texts, rank) VALUES ('merge', ?)`, pages)
				}
				if err == nil {
					err = tx.QueryRowContext(ctx, `SELECT total_changes()`).Scan(&after)
				}
				return err
			})
			if err != nil || after-before < 2 { // fewer changes than two: there was nothing to do
				return err
			}
		}
	})
}

const mergePages = 500

// pack writes a database anew, without what is deleted. To overwrite it where it was deleted (secure_delete) is not enough: where
// SQLite moves a row to another page it leaves the bytes, and it moves them whenever a page becomes too full or too empty. The copy on
// the way is in a file, since a database may be larger than the memory.
func pack(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var was int
	if err := conn.QueryRowContext(ctx, "PRAGMA temp_store").Scan(&was); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "PRAGMA temp_store = FILE; VACUUM")
	_, back := conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA temp_store = %d", was))
	return errors.Join(err, back)
}
