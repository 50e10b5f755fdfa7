package mongo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// maxExisting is how many rows are remembered to be there.
const maxExisting = 50_000

// existing remembers keys of rows that are there, be it with a mark that they were removed: they are for ever.
type existing struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (e *existing) add(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.keys == nil || len(e.keys) >= maxExisting {
		e.keys = map[string]bool{}
	}
	e.keys[key] = true
}

func (e *existing) has(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keys[key]
}

// replace writes rows that no later step has written.
func (s *steps) replace(ctx context.Context, n int64, rows []bson.D) error {
	slices.SortFunc(rows, func(a, b bson.D) int { return strings.Compare(keyOf(b), keyOf(a)) })
	return s.gen.write(ctx, rows, n, &s.existing, bson.E{Key: "n", Value: bson.D{{Key: "$lt", Value: n}}})
}

// write writes rows of a step: it inserts those that are not known to be there, and replaces the others, and those that
// turn out to be there, where they meet a condition. One upsert would do both, but one that meets a row of a later step
// fails, and FerretDB then leaves the rest of the command undone.
func (g *generation) write(ctx context.Context, rows []bson.D, n int64, known *existing, condition ...bson.E) error {
	var fresh, old []bson.D
	for _, row := range rows {
		row = append(slices.Clip(row), bson.E{Key: "n", Value: n})
		if known.has(keyOf(row)) {
			old = append(old, row)
		} else {
			fresh = append(fresh, row)
		}
	}
	there, err := g.insert(ctx, fresh)
	if err != nil {
		return err
	}
	for _, row := range fresh {
		known.add(keyOf(row))
	}
	if old = append(there, old...); len(old) == 0 {
		return nil
	}
	models := make([]mongo.WriteModel, len(old))
	for i, row := range old {
		models[i] = mongo.NewReplaceOneModel().SetReplacement(row).SetFilter(append(bson.D{row[0]}, condition...))
	}
	_, err = g.rows.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return err
}

// insert inserts rows and returns those that are there already.
func (g *generation) insert(ctx context.Context, rows []bson.D) (there []bson.D, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	_, err = g.rows.InsertMany(ctx, rows, options.InsertMany().SetOrdered(false))
	if err == nil || !onlyDuplicates(err) {
		return nil, err
	}
	var failed mongo.BulkWriteException
	errors.As(err, &failed)
	for _, e := range failed.WriteErrors {
		there = append(there, rows[e.Index])
	}
	return there, nil
}

// remove leaves a mark in the place of every row under a prefix that this step or a later one has not written.
func (s *steps) remove(ctx context.Context, n int64, prefix string) error {
	cursor, err := s.gen.rows.Find(ctx, bson.D{
		{Key: "_id", Value: startingWith(prefix)}, {Key: "n", Value: bson.D{{Key: "$lt", Value: n}}},
	}, options.Find().SetProjection(bson.D{{Key: "gone", Value: 1}}))
	if err != nil {
		return err
	}
	var found []struct {
		Key  string `bson:"_id"`
		Gone bool   `bson:"gone"`
	}
	if err := cursor.All(ctx, &found); err != nil {
		return err
	}
	var marks []bson.D
	for _, f := range found {
		if !f.Gone {
			marks = append(marks, bson.D{{Key: "_id", Value: f.Key}, {Key: "gone", Value: true}})
		}
	}
	return s.replace(ctx, n, marks)
}

// keyOf returns the key of a row: its first field.
func keyOf(row bson.D) string {
	key, _ := row[0].Value.(string)
	return key
}
