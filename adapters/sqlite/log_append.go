package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const (
	// maxBatch bounds how long the first append of a batch waits for the others.
	maxBatch = 512
	// maxBatchBytes bounds the memory and the write-ahead file of a batch.
	maxBatchBytes = 8 << 20
	// maxBody is the most that one commit may hold.
	maxBody = 16 << 20
)

// pending is an append that waits for its batch.
type pending struct {
	commit domain.Commit
	events []domain.EncodedEvent
	meta   []byte
	body   []byte

	result domain.Appended
	err    error
	done   chan struct{}
}

// Append implements commands.EventLog. When ctx ends before the writer has picked the commit up, nothing is stored and
// the error is ctx's; from then on Append waits for the real result, at most as long as one batch takes.
func (l *Log) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	p, err := newPending(c)
	if err != nil {
		return domain.Appended{}, fmt.Errorf("append to stream %s: %w", c.Stream, err)
	}
	if err := ctx.Err(); err != nil {
		return domain.Appended{}, err
	}
	select {
	case l.queue <- p:
		<-p.done
	case <-ctx.Done():
		return domain.Appended{}, ctx.Err()
	case <-l.stop:
		p.err = fmt.Errorf("%w: the log is closed", domain.ErrUnavailable)
	}
	if p.err != nil {
		return domain.Appended{}, fmt.Errorf("append to stream %s: %w", c.Stream, p.err)
	}
	return p.result, nil
}

// newPending encodes a commit, in the caller's goroutine, so that the writer has nothing to do but write.
func newPending(c domain.Commit) (*pending, error) {
	if err := commands.CheckCommit(c); err != nil {
		return nil, err
	}
	events, err := c.Encode()
	if err != nil {
		return nil, err
	}
	meta, err := json.Marshal(c.Meta)
	if err != nil {
		return nil, err
	}
	p := &pending{commit: c, events: events, meta: meta, body: encodeBody(events), done: make(chan struct{})}
	if len(p.body) > maxBody {
		return nil, fmt.Errorf("%w: a commit of %d bytes, at most %d", domain.ErrTooLarge, len(p.body), maxBody)
	}
	return p, nil
}

// encodeBody writes the array by hand: the data is JSON already and must come back to the byte, for the hash.
func encodeBody(events []domain.EncodedEvent) []byte {
	size := 2
	for _, e := range events {
		size += len(e.Type) + len(e.Data) + len(`{"type":"","data":},`)
	}
	b := append(make([]byte, 0, size), '[')
	for i, e := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"type":`...)
		b = strconv.AppendQuote(b, e.Type)
		b = append(b, `,"data":`...)
		b = append(b, e.Data...)
		b = append(b, '}')
	}
	return append(b, ']')
}

// write is the one goroutine that writes. Every append that waits goes into the running transaction, so that they
// share its one fsync.
func (l *Log) write() {
	defer close(l.stopped)
	// A batch belongs to many callers: no single one's context may end it.
	ctx := context.Background()
	for {
		select {
		case p := <-l.queue:
			batch, err := l.commitBatch(ctx, p)
			for _, p := range batch {
				if err != nil {
					p.err = err
				}
				close(p.done)
			}
		case <-l.stop:
			return
		}
	}
}

// commitBatch stores first and whatever else waits, until nothing more does. An error means that the transaction was
// rolled back and holds for all; what is the matter with a single one is in its err.
func (l *Log) commitBatch(ctx context.Context, first *pending) (batch []*pending, err error) {
	batch = []*pending{first}
	size := len(first.body)
	if err := l.writer.begin(ctx); err != nil {
		return batch, l.writer.rollback(ctx, err)
	}
	if err := l.writer.insert(ctx, first); err != nil {
		return batch, l.writer.rollback(ctx, err)
	}
	for yielded := false; len(batch) < maxBatch && size < maxBatchBytes; {
		select {
		case p := <-l.queue:
			yielded = false
			batch = append(batch, p)
			size += len(p.body)
			if err := l.writer.insert(ctx, p); err != nil {
				return batch, l.writer.rollback(ctx, err)
			}
			continue
		default:
		}
		if yielded {
			break
		}
		// The callers of the last batch may be about to append again: one turn for them costs nothing beside an fsync.
		runtime.Gosched()
		yielded = true
	}
	if err := l.writer.commit(ctx); err != nil {
		return batch, l.writer.rollback(ctx, err)
	}
	return batch, nil
}

// insertCommit checks the version and inserts in one statement; no row means that one of the conditions fails.
const insertCommit = `INSERT INTO commits (position, events, stream, version, id, time, meta, body, hash)
	SELECT ?1, ?2, ?3, ?4 + 1, ?5, ?6, ?7, ?8, ?9 WHERE ?4 = coalesce(
		(SELECT version + events - 1 FROM commits WHERE stream = ?3 ORDER BY version DESC LIMIT 1), 0)
	ON CONFLICT (id) DO NOTHING`

// writer is the connection that writes, with the end of the chain as of the running transaction.
type writer struct {
	conn *sql.Conn

	beginStmt, tail, insertStmt, first, commitStmt, rollbackStmt *sql.Stmt

	next domain.Position // of the next event
	hash []byte          // of the newest commit
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn}
	for stmt, query := range map[**sql.Stmt]string{
		&w.beginStmt:    "BEGIN IMMEDIATE",
		&w.commitStmt:   "COMMIT",
		&w.rollbackStmt: "ROLLBACK",
		&w.tail:         "SELECT position + events, hash FROM commits ORDER BY position DESC LIMIT 1",
		&w.first:        "SELECT position + events - 1, version + events - 1 FROM commits WHERE id = ?1",
		&w.insertStmt:   insertCommit,
	} {
		if *stmt, err = conn.PrepareContext(ctx, query); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

func (w *writer) close() error {
	var errs []error
	for _, s := range []*sql.Stmt{w.beginStmt, w.tail, w.insertStmt, w.first, w.commitStmt, w.rollbackStmt} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// begin takes the write lock and reads the end of the chain from the file: it is never carried over a failed batch.
func (w *writer) begin(ctx context.Context) error {
	if _, err := w.beginStmt.ExecContext(ctx); err != nil {
		return err
	}
	w.next, w.hash = 1, nil
	err := w.tail.QueryRowContext(ctx).Scan(&w.next, &w.hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return nil
}

// insert stores a commit. What is wrong with the commit itself goes into p.err; an error is the store's.
func (w *writer) insert(ctx context.Context, p *pending) error {
	c, n := p.commit, len(p.events)
	hash := domain.ChainHash(w.hash, w.next, c, p.events)
	result, err := w.insertStmt.ExecContext(ctx,
		int64(w.next), n, c.Stream, c.Expected, c.ID, c.Time.UnixMicro(), string(p.meta), p.body, hash)
	if err != nil {
		return err
	}
	stored, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if stored == 1 {
		w.next += domain.Position(n)
		w.hash = hash
		p.result = domain.Appended{Position: w.next - 1, Version: c.Expected + n}
		return nil
	}
	err = w.first.QueryRowContext(ctx, c.ID).Scan(&p.result.Position, &p.result.Version)
	if errors.Is(err, sql.ErrNoRows) {
		p.err = fmt.Errorf("%w: the stream is not at version %d", domain.ErrConflict, c.Expected)
		return nil
	}
	return err
}

func (w *writer) commit(ctx context.Context) error {
	_, err := w.commitStmt.ExecContext(ctx)
	return err
}

// rollback ends a failed transaction, so that nothing of it is seen and the next one can begin.
func (w *writer) rollback(ctx context.Context, cause error) error {
	// SQLite has rolled back by itself after some errors; then this one says that there is no transaction.
	_, _ = w.rollbackStmt.ExecContext(ctx)
	return unavailable(cause)
}
