package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

var (
	_ commands.CommitLog    = (*Log)(nil)
	_ commands.CommitReader = (*LogReader)(nil)
)

// EachCommit implements commands.CommitReader.
func (r *LogReader) EachCommit(ctx context.Context, after domain.Position, limit int, each func(domain.StoredCommit) error) error {
	rows, err := r.db.QueryContext(ctx, `SELECT position, events, stream, version, time, meta, body, id, hash FROM commits
		WHERE position > ? ORDER BY position LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return fmt.Errorf("read the commits after %d: %w", after, unavailable(err))
	}
	defer rows.Close()
	for rows.Next() {
		var row commitRow
		var id string
		var hash sql.RawBytes
		err := rows.Scan(&row.position, &row.events, &row.stream, &row.version, &row.time, &row.meta, &row.body, &id, &hash)
		if err != nil {
			return fmt.Errorf("read the commits after %d: %w", after, unavailable(err))
		}
		c, err := row.stored(id, hash)
		if err != nil {
			return err
		}
		if err := each(c); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the commits after %d: %w", after, unavailable(err))
	}
	return nil
}

// stored is the row to the byte.
func (r commitRow) stored(id string, hash []byte) (domain.StoredCommit, error) {
	c := domain.StoredCommit{First: r.position, Hash: hash, Commit: domain.Commit{
		ID: id, Stream: r.stream, Expected: r.version - 1, Time: time.UnixMicro(r.time).UTC(),
	}}
	var err error
	if c.Commit.Meta, err = domain.DecodeMeta(r.meta); err != nil {
		return c, fmt.Errorf("decode the commit at %d: %w", r.position, err)
	}
	stored, err := decodeBody(r.body, r.events)
	if err != nil {
		return c, fmt.Errorf("decode the commit at %d: %w", r.position, err)
	}
	c.Events = make([]domain.EncodedEvent, len(stored))
	for i, s := range stored {
		c.Events[i] = domain.EncodedEvent{Type: s.Type, Data: []byte(s.Data)}
	}
	return c, nil
}

// Import implements commands.CommitLog. All commits, or after an error none, are stored, in one transaction.
func (l *Log) Import(ctx context.Context, commits []domain.StoredCommit) error {
	err := inTx(ctx, l.db, func(tx *sql.Tx) error { return importCommits(ctx, tx, commits) })
	if err != nil {
		return fmt.Errorf("import commits: %w", unavailable(err))
	}
	return nil
}

func importCommits(ctx context.Context, tx *sql.Tx, commits []domain.StoredCommit) error {
	var end domain.ChainEnd
	err := tx.QueryRowContext(ctx, "SELECT position + events - 1, hash FROM commits ORDER BY position DESC LIMIT 1").
		Scan(&end.Position, &end.Hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	insert, err := tx.PrepareContext(ctx, insertCommit)
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, c := range commits {
		if c.First <= end.Position {
			if err := isThere(ctx, tx, c); err != nil {
				return err
			}
			continue
		}
		if end, err = end.Follow(c); err != nil {
			return err
		}
		if err := insertStored(ctx, insert, c); err != nil {
			return err
		}
	}
	return nil
}

// isThere is nil when the log has this very commit. The hash says so for all that is in it and before it.
func isThere(ctx context.Context, tx *sql.Tx, c domain.StoredCommit) error {
	var hash []byte
	err := tx.QueryRowContext(ctx, "SELECT hash FROM commits WHERE position = ?", c.First).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if !bytes.Equal(hash, c.Hash) {
		return fmt.Errorf("%w: the log has another commit at position %d", domain.ErrConflict, c.First)
	}
	return nil
}

func insertStored(ctx context.Context, insert *sql.Stmt, c domain.StoredCommit) error {
	meta, err := json.Marshal(c.Commit.Meta)
	if err != nil {
		return err
	}
	body := encodeBody(c.Events)
	if len(body) > maxBody || len(c.Events) > commands.MaxCommitEvents {
		return fmt.Errorf("%w: the commit at position %d has %d events of %d bytes, at most %d and %d",
			domain.ErrTooLarge, c.First, len(c.Events), len(body), commands.MaxCommitEvents, maxBody)
	}
	result, err := insert.ExecContext(ctx, int64(c.First), len(c.Events), c.Commit.Stream, c.Commit.Expected, c.Commit.ID,
		c.Commit.Time.UnixMicro(), string(meta), body, c.Hash)
	if err != nil {
		return err
	}
	stored, err := result.RowsAffected()
	if err == nil && stored == 0 {
		err = fmt.Errorf("%w: for the commit at position %d, its id is in the log or its stream is not at version %d",
			domain.ErrConflict, c.First, c.Commit.Expected)
	}
	return err
}
