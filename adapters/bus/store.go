package bus

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// The states of a message. A message that is done has no row.
//
//	0 ready    it may be handed out
//	1 waiting  not before due: leased to a handler (lease <> 0), or failed and to be tried again later (lease = 0)
//	2 dead     since due; reason says why
//
// Handing out the next message costs one look into messages_ready, however many messages wait or are dead.
const schema = `
CREATE TABLE IF NOT EXISTS consumer_groups (
	topic TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (topic, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	topic TEXT NOT NULL,
	consumer TEXT NOT NULL,
	uuid TEXT NOT NULL,
	metadata TEXT NOT NULL,
	payload BLOB NOT NULL,
	priority INTEGER NOT NULL,
	published INTEGER NOT NULL,
	state INTEGER NOT NULL DEFAULT 0,
	received INTEGER NOT NULL DEFAULT 0,
	due INTEGER NOT NULL DEFAULT 0,
	lease INTEGER NOT NULL DEFAULT 0,
	reason TEXT NOT NULL DEFAULT '',
	first_reason TEXT NOT NULL DEFAULT '',
	first_failed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS messages_ready ON messages (topic, consumer, priority DESC, id) WHERE state = 0;
CREATE INDEX IF NOT EXISTS messages_waiting ON messages (topic, consumer, due) WHERE state = 1;
CREATE INDEX IF NOT EXISTS messages_dead ON messages (id) WHERE state = 2;
CREATE TABLE IF NOT EXISTS checkpoints (
	name TEXT PRIMARY KEY, position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;`

// store is all the SQL of the queues. It works on one connection, one statement or transaction at a time: SQLite has
// one writer anyway, and waiting here is fair, where SQLite's own waiting is by sleeping. Once begun, nothing is
// broken off by the end of a context.
type store struct {
	opts Options

	mu        sync.Mutex
	conn      *sql.Conn
	lastLease int64
	wall      time.Time // when receive looked at the clock last
	seen      time.Time // the same moment, by a clock that nobody sets
	insert, next, promote, due,
	extend, ack, retry, bury, release *sql.Stmt
}

func openStore(ctx context.Context, db *sql.DB, opts Options) (*store, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s := &store{opts: opts, conn: conn}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *store) prepare(ctx context.Context) error {
	if _, err := s.conn.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	if err := s.addFirst(ctx); err != nil {
		return fmt.Errorf("add the first failures: %w", err)
	}
	// A clock that was set back must not make a retry wait for longer than it would have at first.
	now := s.now()
	if _, err := s.conn.ExecContext(ctx, `UPDATE messages SET
		state = CASE WHEN lease = 0 THEN 1 WHEN received >= ?1 THEN 2 ELSE 0 END,
		reason = CASE WHEN lease <> 0 AND received >= ?1 THEN 'the process ended while it handled the message' ELSE reason END,
		first_reason = CASE WHEN lease <> 0 AND first_failed = 0 THEN 'the process ended while it handled the message' ELSE first_reason END,
		first_failed = CASE WHEN lease <> 0 AND first_failed = 0 THEN ?2 ELSE first_failed END,
		due = CASE WHEN lease = 0 THEN min(due, ?2 + ?3) ELSE ?2 END, lease = 0
		WHERE state = 1 AND NOT ?4`, s.opts.MaxReceive, now, 2*time.Minute.Milliseconds(), s.opts.Shared); err != nil {
		return fmt.Errorf("release leases: %w", err)
	}
	s.lastLease = now
	s.wall, s.seen = s.opts.Now().Round(0), steady()
	for _, p := range []struct {
		stmt **sql.Stmt
		sql  string
	}{
		{&s.insert, `INSERT INTO messages (topic, consumer, uuid, metadata, payload, priority, published)
			VALUES (?, ?, ?, ?, ?, ?, ?)`},
		{&s.next, `UPDATE messages SET state = 1, received = received + 1, lease = ?, due = ? WHERE id = (
			SELECT id FROM messages WHERE topic = ? AND consumer = ? AND state = 0 ORDER BY priority DESC, id LIMIT 1)
			RETURNING id, uuid, metadata, payload, received`},
		{&s.promote, `UPDATE messages SET
			state = CASE WHEN lease <> 0 AND received >= ?1 THEN 2 ELSE 0 END,
			reason = CASE WHEN lease <> 0 AND received >= ?1 THEN 'the lease ran out' ELSE reason END,
			first_reason = CASE WHEN lease <> 0 AND first_failed = 0 THEN 'the lease ran out' ELSE first_reason END,
			first_failed = CASE WHEN lease <> 0 AND first_failed = 0 THEN ?4 ELSE first_failed END, lease = 0
			WHERE topic = ?2 AND consumer = ?3 AND state = 1 AND due <= ?4`},
		{&s.due, `SELECT coalesce(min(due), 0) FROM messages WHERE topic = ? AND consumer = ? AND state = 1`},
		{&s.extend, `UPDATE messages SET due = ? WHERE id = ? AND lease = ?`},
		{&s.ack, `DELETE FROM messages WHERE id = ? AND lease = ?`},
		// One that has not failed was only postponed: that was no try.
		{&s.retry, `UPDATE messages SET lease = 0, due = ?1, reason = ?2, received = received - (?3 = 0),
			first_reason = CASE WHEN first_failed = 0 AND ?3 <> 0 THEN ?2 ELSE first_reason END,
			first_failed = CASE WHEN first_failed = 0 THEN ?3 ELSE first_failed END WHERE id = ?4 AND lease = ?5`},
		{&s.bury, `UPDATE messages SET state = 2, lease = 0, due = ?1, reason = ?2,
			first_reason = CASE WHEN first_failed = 0 THEN ?2 ELSE first_reason END,
			first_failed = CASE WHEN first_failed = 0 THEN ?1 ELSE first_failed END WHERE id = ?3 AND lease = ?4`},
		{&s.release, `UPDATE messages SET state = 0, lease = 0, received = received - 1 WHERE id = ? AND lease = ?`},
	} {
		var err error
		if *p.stmt, err = s.conn.PrepareContext(ctx, p.sql); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	return nil
}

// addFirst adds what queues of an earlier release lack.
func (s *store) addFirst(ctx context.Context) error {
	var there bool
	err := s.conn.QueryRowContext(ctx, `SELECT count(*) FROM pragma_table_info('messages') WHERE name = 'first_failed'`).Scan(&there)
	if err != nil || there {
		return err
	}
	_, err = s.conn.ExecContext(ctx, `BEGIN IMMEDIATE;
		ALTER TABLE messages ADD COLUMN first_reason TEXT NOT NULL DEFAULT '';
		ALTER TABLE messages ADD COLUMN first_failed INTEGER NOT NULL DEFAULT 0;
		COMMIT`)
	return err
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, stmt := range []*sql.Stmt{
		s.insert, s.next, s.promote, s.due, s.extend, s.ack, s.retry, s.bury, s.release,
	} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(append(errs, s.conn.Close())...)
}

func (s *store) now() int64 { return s.opts.Now().UnixMilli() }

// transaction runs f between BEGIN and COMMIT.
func (s *store) transaction(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit(context.WithoutCancel(ctx), f)
}

// durable is a transaction that has survived a loss of power when it returns, with all before it.
func (s *store) durable(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	var usual int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&usual); err != nil {
		return unavailable(err)
	}
	if _, err := s.conn.ExecContext(ctx, "PRAGMA synchronous=FULL"); err != nil {
		return unavailable(err)
	}
	err := s.commit(ctx, f)
	if _, back := s.conn.ExecContext(ctx, fmt.Sprint("PRAGMA synchronous=", usual)); back != nil && err == nil {
		err = unavailable(back) // it is stored, and may be stored again
	}
	return err
}

// commit is called with mu held.
func (s *store) commit(ctx context.Context, f func(context.Context) error) error {
	if _, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return unavailable(err)
	}
	err := f(ctx)
	if err == nil {
		if _, err = s.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// SQLite has rolled back by itself after some errors (a full disk); then this one says so, and nothing is lost.
	_, _ = s.conn.ExecContext(ctx, "ROLLBACK")
	return unavailable(err)
}

func (s *store) declare(ctx context.Context, topic, group string) error {
	return s.transaction(ctx, func(ctx context.Context) error {
		_, err := s.conn.ExecContext(ctx, `INSERT OR IGNORE INTO consumer_groups (topic, name) VALUES (?, ?)`, topic, group)
		return err
	})
}

func (s *store) groups(ctx context.Context) ([]*queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, err := s.conn.QueryContext(ctx, `SELECT topic, name FROM consumer_groups`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var groups []*queue
	for rows.Next() {
		var topic, name string
		if err := rows.Scan(&topic, &name); err != nil {
			return nil, err
		}
		groups = append(groups, newQueue(topic, name))
	}
	return groups, rows.Err()
}

// put inserts messages into queues. It runs in a transaction of the caller.
func (s *store) put(ctx context.Context, queues []*queue, msgs []*message.Message) error {
	now := s.now()
	for _, m := range msgs {
		metadata, err := json.Marshal(m.Metadata)
		if err != nil {
			return fmt.Errorf("encode metadata: %w", err)
		}
		payload := []byte(m.Payload)
		if payload == nil {
			payload = []byte{}
		}
		for _, k := range queues {
			if _, err := s.insert.ExecContext(ctx, k.topic, k.group, m.UUID, string(metadata), payload, rank(m.Metadata, now), now); err != nil {
				return err
			}
		}
	}
	return nil
}

// rank says where a message stands that has a priority: each step of it is worth a minute of waiting, so that nothing
// waits for ever. Messages without one are handed out as they came.
func rank(metadata message.Metadata, now int64) int64 {
	if metadata.Get(messaging.MetaPriority) == "" {
		return 0
	}
	return int64(messaging.Priority(metadata))*time.Minute.Milliseconds() - now
}

// leased is a message in a handler's hands. lease is the proof of that: once somebody else has the message, it is
// another number, and nothing that this holder says counts any more.
type leased struct {
	id, lease int64
	until     time.Time
	received  int
	uuid      string
	metadata  message.Metadata
	payload   []byte
}

// steady is a clock by which differences are right, whatever the machine's is set to.
func steady() time.Time { return time.Now() } //nolint:forbidigo // it measures, and says nothing of the time

// clockSet is by how much a clock is back that somebody has set; less is the clock's own.
const clockSet = 5 * time.Second

// heed has what is due move with a clock that was set back: a retry, or what a dead process held, would wait for that much
// longer. What others look at beside the server moves with the server.
func (s *store) heed(ctx context.Context, now time.Time) error {
	back := s.wall.Add(time.Since(s.seen)).Sub(now)
	s.wall, s.seen = now.Round(0), steady()
	if back < clockSet || s.opts.Shared {
		return nil
	}
	_, err := s.conn.ExecContext(ctx, `UPDATE messages SET due = due - ? WHERE state = 1`, back.Milliseconds())
	return unavailable(err)
}

// receive leases the queue's next message. When there is none it says when one is due, zero for never.
func (s *store) receive(ctx context.Context, k *queue) (m leased, ok bool, next time.Time, err error) {
	ctx = context.WithoutCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now()
	if err := s.heed(ctx, now); err != nil {
		return m, false, next, err
	}
	var due int64
	if err := s.due.QueryRowContext(ctx, k.topic, k.group).Scan(&due); err != nil {
		return m, false, next, unavailable(err)
	}
	if due != 0 && due <= now.UnixMilli() {
		if _, err := s.promote.ExecContext(ctx, s.opts.MaxReceive, k.topic, k.group, now.UnixMilli()); err != nil {
			return m, false, next, unavailable(err)
		}
	}
	s.lastLease++
	m.lease, m.until = s.lastLease, now.Add(s.opts.Lease)
	var metadata string
	err = s.next.QueryRowContext(ctx, m.lease, m.until.UnixMilli(), k.topic, k.group).
		Scan(&m.id, &m.uuid, &metadata, &m.payload, &m.received)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if due != 0 {
			next = time.UnixMilli(due)
		}
		return m, false, next, nil
	case err != nil:
		return m, false, next, unavailable(err)
	}
	if err := json.Unmarshal([]byte(metadata), &m.metadata); err != nil {
		return m, false, next, fmt.Errorf("decode metadata of message %d: %w", m.id, err)
	}
	return m, true, next, nil
}

// settle runs one of the statements that end or extend a lease. held is false when the lease was lost before.
func (s *store) settle(ctx context.Context, stmt *sql.Stmt, args ...any) (held bool, err error) {
	ctx = context.WithoutCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return false, unavailable(err)
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// unavailable is for errors of the database: whatever it was, nothing is known to be stored, and trying again is right.
func unavailable(err error) error {
	if err == nil || errors.Is(err, domain.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}
