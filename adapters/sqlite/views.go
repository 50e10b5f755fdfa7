package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Rows keeps a read model's rows as JSON documents under their keys, in the current generation.
type Rows[R any] struct {
	gens  *generations
	model projections.Model[R]
	// save stores rows and removes those under the prefixes, in a transaction; the checkpoint is not its business. It calls
	// giveWay between rows.
	save func(ctx context.Context, tx *sql.Tx, rows map[string]R, drop []string, giveWay func(context.Context)) error
	// began is the generation that Checkpoint was asked of: a Save into another one would mix two builds.
	began atomic.Int64
	build buildBatches
}

var (
	_ projections.Rows[int]      = (*Rows[int])(nil)
	_ projections.RowReader[int] = (*Rows[int])(nil)
)

const rowsSchema = `
CREATE TABLE rows (key TEXT PRIMARY KEY, doc BLOB NOT NULL) STRICT, WITHOUT ROWID;
`

// OpenRows opens or creates the read model of m in dir.
func OpenRows[R any](ctx context.Context, dir string, m projections.Model[R]) (*Rows[R], error) {
	gens, err := openGenerations(ctx, dir, m.Name, m.Version, rowsSchema, decodable[R])
	if err != nil {
		return nil, err
	}
	return &Rows[R]{gens: gens, model: m, save: saveDocs[R], build: buildBatches{foldBatch, rebuildBatch}}, nil
}

// Close closes the files when the queries under way have ended.
func (r *Rows[R]) Close() error { return r.gens.Close() }

// Checkpoint implements projections.Rows. ErrOutdated, with the checkpoint, when the rows are of another version.
func (r *Rows[R]) Checkpoint(ctx context.Context) (at domain.Position, err error) {
	err = r.gens.with(ctx, func(g *generation) error {
		r.began.Store(int64(g.number))
		if at, err = checkpoint(ctx, g.reads); err != nil {
			return err
		}
		return r.gens.outdated(g)
	})
	return unretired(at), err
}

// Stored says what is stored of the read model.
func (r *Rows[R]) Stored(ctx context.Context) (projections.Stored, error) { return r.gens.stored(ctx) }

// decodable is an error if the first rows are not what R is. JSON forgives what is missing, and what is too much.
func decodable[R any](ctx context.Context, q queryer) error {
	return each(ctx, q, `SELECT key, doc FROM rows LIMIT 100`, nil, func(key string, doc []byte) error {
		var row R
		if err := json.Unmarshal(doc, &row); err != nil {
			return fmt.Errorf("row %s: %w", key, err)
		}
		return nil
	})
}

// Load implements projections.Rows.
func (r *Rows[R]) Load(ctx context.Context, keys []string) (found map[string]R, err error) {
	err = r.gens.with(ctx, func(g *generation) error {
		found, err = loadDocs[R](ctx, g.reads, keys)
		return err
	})
	return found, err
}

// Save implements projections.Rows.
func (r *Rows[R]) Save(ctx context.Context, rows map[string]R, drop []string, from, to domain.Position) error {
	return r.gens.with(ctx, func(g *generation) error {
		if began := r.began.Load(); began != 0 && began != int64(g.number) {
			return fmt.Errorf("%w: %s was rebuilt meanwhile", domain.ErrConflict, r.model.Name)
		}
		if err := r.gens.outdated(g); err != nil {
			return err
		}
		return r.saveTo(ctx, g, rows, drop, from, to)
	})
}

func (r *Rows[R]) saveTo(
	ctx context.Context, g *generation, rows map[string]R, drop []string, from, to domain.Position,
) error {
	err := g.write(ctx, func(tx *sql.Tx) error {
		if err := moveCheckpoint(ctx, tx, from, to); err != nil {
			return err
		}
		return r.save(ctx, tx, rows, drop, g.giveWay)
	})
	if err != nil {
		return fmt.Errorf("save %s: %w", r.model.Name, err)
	}
	return nil
}

// write runs f in a transaction.
func (g *generation) write(ctx context.Context, f func(*sql.Tx) error) error {
	g.saving.Lock() // queue here: SQLite's own waiting is a poll
	defer g.saving.Unlock()
	tx, err := g.writes.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	if err := f(tx); err != nil {
		return errors.Join(unavailable(err), rollback(tx))
	}
	return unavailable(tx.Commit())
}

func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// moveCheckpoint is ErrConflict when the checkpoint is not at from.
func moveCheckpoint(ctx context.Context, tx *sql.Tx, from, to domain.Position) error {
	moved, err := tx.ExecContext(ctx, `UPDATE meta SET checkpoint = ? WHERE checkpoint = ?`, int64(to), int64(from))
	if err != nil {
		return err
	}
	if n, err := moved.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("%w: the checkpoint is not at %d", domain.ErrConflict, from))
	}
	return nil
}

// Scan implements projections.RowReader.
func (r *Rows[R]) Scan(ctx context.Context, prefix string) (found []R, err error) {
	err = r.gens.with(ctx, func(g *generation) error {
		found = nil
		return eachDoc(ctx, g.reads, prefix, func(_ string, doc []byte) error {
			var row R
			if err := json.Unmarshal(doc, &row); err != nil {
				return err
			}
			found = append(found, row)
			return nil
		})
	})
	return found, err
}

// EachDocument calls each for every row, in the order of the keys, with the JSON that is stored; it is good until each
// returns.
func (r *Rows[R]) EachDocument(ctx context.Context, each func(key string, doc []byte) error) error {
	return r.gens.with(ctx, func(g *generation) error { return eachDoc(ctx, g.reads, "", each) })
}

// Hash returns a sum over all rows with their keys, and the checkpoint that it belongs to. The same events give the
// same sum, whichever way they came.
func (r *Rows[R]) Hash(ctx context.Context) (sum string, at domain.Position, err error) {
	err = r.gens.with(ctx, func(g *generation) error {
		tx, err := g.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return unavailable(err)
		}
		if at, err = checkpoint(ctx, tx); err == nil {
			sum, _, err = hashDocs(ctx, tx, g.giveWay)
		}
		return errors.Join(err, rollback(tx))
	})
	return sum, at, err
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func checkpoint(ctx context.Context, q queryer) (domain.Position, error) {
	var at domain.Position
	if err := q.QueryRowContext(ctx, `SELECT checkpoint FROM meta`).Scan(&at); err != nil {
		return 0, fmt.Errorf("read the checkpoint: %w", unavailable(err))
	}
	return at, nil
}

func loadDocs[R any](ctx context.Context, q queryer, keys []string) (map[string]R, error) {
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string]R, len(keys))
	err = each(ctx, q, `SELECT key, doc FROM rows WHERE key IN (SELECT value FROM json_each(?))`, []any{string(list)},
		func(key string, doc []byte) error {
			var row R
			if err := json.Unmarshal(doc, &row); err != nil {
				return fmt.Errorf("row %s: %w", key, err)
			}
			found[key] = row
			return nil
		})
	return found, err
}

func saveDocs[R any](
	ctx context.Context, tx *sql.Tx, rows map[string]R, drop []string, giveWay func(context.Context),
) error {
	for _, prefix := range drop {
		where, args := under(prefix)
		if _, err := tx.ExecContext(ctx, `DELETE FROM rows WHERE `+where, args...); err != nil { //nolint:gosec // where is made of constants
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, `INSERT OR REPLACE INTO rows (key, doc) VALUES (?, ?)`)
	if err != nil {
		return err
	}
	for key, row := range rows {
		err := ctx.Err()
		var doc []byte
		if err == nil {
			doc, err = json.Marshal(row)
		}
		if err == nil {
			_, err = insert.ExecContext(uninterrupted(ctx), key, doc)
		}
		if err != nil {
			return closing(insert, fmt.Errorf("row %s: %w", key, err))
		}
		giveWay(ctx)
	}
	return insert.Close()
}

// uninterrupted is for the short statements of many rows, between which ctx is looked at: for each statement that can be
// interrupted the driver starts a goroutine.
func uninterrupted(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// under selects the keys that begin with a prefix, as a range, so that the index serves it.
func under(prefix string) (where string, args []any) {
	end := []byte(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return "key >= ?", []any{prefix}
	}
	end[len(end)-1]++
	return "key >= ? AND key < ?", []any{prefix, string(end)}
}

func eachDoc(ctx context.Context, q queryer, prefix string, f func(key string, doc []byte) error) error {
	where, args := under(prefix)
	return each(ctx, q, `SELECT key, doc FROM rows WHERE `+where+` ORDER BY key`, args, f)
}

// each calls f for every row of a query for a key and a document.
func each(ctx context.Context, q queryer, query string, args []any, f func(key string, doc []byte) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read rows: %w", unavailable(err))
	}
	for rows.Next() {
		var key string
		var doc sql.RawBytes
		if err = rows.Scan(&key, &doc); err == nil {
			err = f(strings.Clone(key), doc)
		}
		if err != nil {
			return closing(rows, err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("read rows: %w", unavailable(err))
	}
	return nil
}

func hashDocs(ctx context.Context, q queryer, giveWay func(context.Context)) (sum string, rows int, err error) {
	h := sha256.New()
	err = eachDoc(ctx, q, "", func(key string, doc []byte) error {
		var n [16]byte
		binary.BigEndian.PutUint64(n[:8], uint64(len(key)))
		binary.BigEndian.PutUint64(n[8:], uint64(len(doc)))
		h.Write(n[:])
		h.Write([]byte(key))
		h.Write(doc)
		rows++
		giveWay(ctx)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), rows, err
}
