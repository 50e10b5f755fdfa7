package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

var _ commands.TextEraser = (*Log)(nil)

// EraseTexts implements commands.TextEraser. What a row had is overwritten in its page, and then there is no page of it in
// the write-ahead file either.
func (l *Log) EraseTexts(ctx context.Context, stream string, e domain.VideoErased) error {
	err := inTx(ctx, l.db, func(tx *sql.Tx) error { return eraseTexts(ctx, tx, stream, e) })
	if err == nil {
		err = emptyWAL(ctx, l.db)
	}
	if err != nil {
		return fmt.Errorf("erase texts of stream %s: %w", stream, unavailable(err))
	}
	return nil
}

func eraseTexts(ctx context.Context, tx *sql.Tx, stream string, e domain.VideoErased) error {
	bodies, versions, err := erasedBodies(ctx, tx, stream, e)
	if err == nil {
		err = e.Within(versions)
	}
	for position, body := range bodies {
		if err != nil {
			break
		}
		_, err = tx.ExecContext(ctx, "UPDATE commits SET body = ? WHERE position = ?", body, position)
	}
	return err
}

// erasedBodies are the bodies of the stream's commits that are to change, by the commits' positions.
func erasedBodies(ctx context.Context, tx *sql.Tx, stream string, e domain.VideoErased) (bodies map[int64][]byte, versions int, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT position, events, stream, version, time, meta, body FROM commits WHERE stream = ?", stream)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	bodies = map[int64][]byte{}
	for rows.Next() {
		var row commitRow
		if err := rows.Scan(&row.position, &row.events, &row.stream, &row.version, &row.time, &row.meta, &row.body); err != nil {
			return nil, 0, err
		}
		c, err := row.stored("", nil)
		if err != nil {
			return nil, 0, err
		}
		events, changed, err := e.Apply(c)
		if err != nil {
			return nil, 0, err
		}
		versions += len(events)
		if len(changed) > 0 {
			bodies[int64(row.position)] = encodeBody(events)
		}
	}
	return bodies, versions, rows.Err()
}

// inTx runs f in a transaction that has the write lock.
func inTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the error says enough
		return err
	}
	return tx.Commit()
}

// emptyWAL brings what is in the write-ahead file into the database and cuts the file to nothing. It waits for whoever
// reads what is older.
func emptyWAL(ctx context.Context, db *sql.DB) error {
	for range 6 { // each waits for as long as busy_timeout says
		var busy, pages, done int
		if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &done); err != nil {
			return err
		}
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%w: somebody has been reading the file for long: the write-ahead file beside it still has what was erased, until it is done again",
		domain.ErrUnavailable)
}
