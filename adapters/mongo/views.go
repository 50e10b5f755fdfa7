package mongo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Rows keeps a read model's rows as documents under their keys, in the current generation. Several processes may write
// at once: one of them moves the checkpoint, the others get ErrConflict.
//
// Without transactions a query may see some rows of a batch and not yet the others, for the moment that it takes to
// write them.
type Rows[R any] struct {
	gens  *generations
	model projections.Model[R]
	// fields are what a row's document holds beside its key and the JSON of the row.
	fields func(R) bson.D

	mu    sync.Mutex
	steps *steps // of the generation that Checkpoint was asked of: a Save into another one would mix two builds
}

var (
	_ projections.Rows[int]      = (*Rows[int])(nil)
	_ projections.RowReader[int] = (*Rows[int])(nil)
)

// rowDoc is a row as it is read. Doc is JSON, so that a row comes back as it was and hashes as it does in SQLite.
type rowDoc struct {
	Key  string `bson:"_id"`
	Doc  string `bson:"doc"`
	Gone bool   `bson:"gone"`
}

// OpenRows opens the read model of m, which Provision has created. ErrNotFound when it has not. It needs no closing.
func OpenRows[R any](ctx context.Context, db *DB, m projections.Model[R]) (*Rows[R], error) {
	return openRows(ctx, db, m, nil, func(R) bson.D { return nil })
}

func openRows[R any](
	ctx context.Context, db *DB, m projections.Model[R], indexes []index, fields func(R) bson.D,
) (*Rows[R], error) {
	gens, err := openGenerations(ctx, db, view{m.Name, m.Version, indexes}, decodable[R])
	if err != nil {
		return nil, err
	}
	return &Rows[R]{gens: gens, model: m, fields: fields}, nil
}

// Checkpoint implements projections.Rows. It waits for a step that is being applied. ErrOutdated, with the checkpoint,
// when the rows are of another version of the model.
func (r *Rows[R]) Checkpoint(ctx context.Context) (domain.Position, error) {
	g, newest, err := r.checkpoint(ctx)
	if err == nil {
		err = r.gens.outdated(g)
	}
	return newest.To, err
}

// Stored says what is stored of the read model.
func (r *Rows[R]) Stored(ctx context.Context) (s projections.Stored, err error) {
	g, err := r.gens.acquire(ctx, true)
	if err != nil {
		return s, err
	}
	s.Generation, s.Version = g.name, g.view.version
	// What is decided and not yet applied is not waited for: this only looks.
	newest, err := g.newest(ctx)
	if err != nil {
		return s, err
	}
	if s.Position = newest.To; !newest.Applied {
		s.Position = newest.From
	}
	before, err := r.gens.before(ctx, g)
	if before != nil {
		s.Previous = before.name
	}
	return s, err
}

// decodable is an error if the first rows are not what R is. JSON forgives what is missing, and what is too much.
func decodable[R any](ctx context.Context, g *generation) error {
	c := rowCursor{rows: g.rows, filter: bson.D{}}
	row, err := c.next(ctx)
	for n := 0; err == nil && row != nil && n < 100; n++ {
		var value R
		if err = json.Unmarshal([]byte(row.Doc), &value); err == nil {
			row, err = c.next(ctx)
		}
	}
	return errors.Join(err, c.close(ctx))
}

// checkpoint returns the generation that is in use now, and its newest step.
func (r *Rows[R]) checkpoint(ctx context.Context) (*generation, stepDoc, error) {
	for {
		g, err := r.gens.acquire(ctx, true)
		if err != nil {
			return nil, stepDoc{}, err
		}
		newest, err := r.writer(g).checkpoint(ctx)
		if err != nil {
			return nil, stepDoc{}, fmt.Errorf("read the checkpoint of %s: %w", r.model.Name, err)
		}
		if newest.Retired == "" {
			return g, newest, nil
		}
		// Whoever switched may not have come to say so.
		if _, err := r.gens.db.point(ctx, g.view, g.number+1, newest.Retired); err != nil {
			return nil, stepDoc{}, err
		}
	}
}

// writer returns what writes a generation.
func (r *Rows[R]) writer(g *generation) *steps {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.steps == nil || r.steps.gen.name != g.name {
		r.steps = newSteps(r.gens.db, g)
	}
	return r.steps
}

func newSteps(d *DB, g *generation) *steps {
	return &steps{gen: g, owner: rand.Text(), now: d.now, keep: d.keepSteps}
}

// Load implements projections.Rows.
func (r *Rows[R]) Load(ctx context.Context, keys []string) (found map[string]R, err error) {
	err = r.gens.with(ctx, func(g *generation) error {
		found, err = loadRows[R](ctx, g.rows, keys)
		r.saw(g, found)
		return err
	})
	return found, err
}

// saw tells whoever saves rows in a generation that these are there.
func (r *Rows[R]) saw(g *generation, rows map[string]R) {
	r.mu.Lock()
	writer := r.steps
	r.mu.Unlock()
	if writer == nil || writer.gen.name != g.name {
		return
	}
	for key := range rows {
		writer.existing.add(key)
	}
}

// Save implements projections.Rows. After an error that is not ErrConflict the rows may be saved all the same, then or
// later; Checkpoint finds out.
func (r *Rows[R]) Save(ctx context.Context, rows map[string]R, drop []string, from, to domain.Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	writer := r.steps
	r.mu.Unlock()
	if writer == nil {
		g, err := r.gens.acquire(ctx, true)
		if err != nil {
			return err
		}
		writer = r.writer(g)
	}
	if err := r.gens.outdated(writer.gen); err != nil {
		return err
	}
	docs, err := r.documents(rows)
	if err == nil {
		err = writer.save(ctx, docs, drop, from, to)
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", r.model.Name, err)
	}
	return nil
}

// documents returns rows as they are stored, the key first.
func (r *Rows[R]) documents(rows map[string]R) ([]bson.D, error) {
	docs := make([]bson.D, 0, len(rows))
	for key, row := range rows {
		doc, err := json.Marshal(row)
		if err != nil {
			return nil, fmt.Errorf("row %s: %w", key, err)
		}
		d := append(bson.D{{Key: "_id", Value: key}, {Key: "doc", Value: string(doc)}}, r.fields(row)...)
		docs = append(docs, d)
	}
	return docs, nil
}

// Scan implements projections.RowReader.
func (r *Rows[R]) Scan(ctx context.Context, prefix string) (found []R, err error) {
	err = r.gens.with(ctx, func(g *generation) error {
		found = nil
		return eachRow(ctx, g.rows, bson.D{{Key: "_id", Value: startingWith(prefix)}}, func(row *rowDoc) error {
			var value R
			if err := json.Unmarshal([]byte(row.Doc), &value); err != nil {
				return fmt.Errorf("row %s: %w", row.Key, err)
			}
			found = append(found, value)
			return nil
		})
	})
	return found, err
}

// Hash returns a sum over all rows with their keys, and the checkpoint that it belongs to. The same events give the
// same sum, whichever way they came.
func (r *Rows[R]) Hash(ctx context.Context) (sum string, at domain.Position, err error) {
	for {
		g, before, err := r.checkpoint(ctx)
		if err != nil {
			return "", 0, err
		}
		var all rowSum
		err = eachRow(ctx, g.rows, bson.D{}, func(row *rowDoc) error { all.add(row); return nil })
		if err != nil {
			return "", 0, err
		}
		if now, err := g.newest(ctx); err != nil {
			return "", 0, err
		} else if now.N == before.N {
			return all.String(), before.To, nil
		}
	}
}

func loadRows[R any](ctx context.Context, rows *mongo.Collection, keys []string) (map[string]R, error) {
	found := make(map[string]R, len(keys))
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}
	if len(keys) == 1 {
		filter = bson.D{{Key: "_id", Value: keys[0]}}
	}
	err := eachRow(ctx, rows, filter, func(row *rowDoc) error {
		var value R
		if err := json.Unmarshal([]byte(row.Doc), &value); err != nil {
			return fmt.Errorf("row %s: %w", row.Key, err)
		}
		found[row.Key] = value
		return nil
	})
	return found, err
}

// eachRow calls f for every row that a filter selects and that was not removed, in the order of the keys.
func eachRow(ctx context.Context, rows *mongo.Collection, filter bson.D, f func(*rowDoc) error) error {
	c := rowCursor{rows: rows, filter: filter}
	row, err := c.next(ctx)
	for ; err == nil && row != nil; row, err = c.next(ctx) {
		if err = f(row); err != nil {
			break
		}
	}
	return errors.Join(err, c.close(ctx))
}

// rowCursor goes through the rows that a filter selects and that were not removed, in the order of the keys.
type rowCursor struct {
	rows   *mongo.Collection
	filter bson.D
	cursor *mongo.Cursor
}

// next returns nil after the last row.
func (c *rowCursor) next(ctx context.Context) (*rowDoc, error) {
	if c.cursor == nil {
		var err error
		c.cursor, err = c.rows.Find(ctx, c.filter, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).
			SetProjection(bson.D{{Key: "doc", Value: 1}, {Key: "gone", Value: 1}}))
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", unavailable(ctx, err))
		}
	}
	for c.cursor.Next(ctx) {
		var row rowDoc
		if err := bson.Unmarshal(c.cursor.Current, &row); err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		if !row.Gone {
			return &row, nil
		}
	}
	return nil, unavailable(ctx, c.cursor.Err())
}

func (c *rowCursor) close(ctx context.Context) error {
	if c.cursor == nil {
		return nil
	}
	return c.cursor.Close(context.WithoutCancel(ctx))
}
