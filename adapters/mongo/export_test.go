package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Drop removes a database.
func Drop(ctx context.Context, d *DB) error { return d.db.Drop(ctx) }

// Collection gives a collection to a test that looks beneath, or does damage.
func Collection(d *DB, name string) *mongo.Collection { return d.db.Collection(name) }

// Decide does the first half of a Save, as a process does that dies then. What it returns writes one row of the second
// half, or does all of it.
func Decide[R any](
	ctx context.Context, r *Rows[R], rows map[string]R, drop []string, from, to domain.Position,
) (begin, apply func(context.Context) error, err error) {
	g, _, err := r.checkpoint(ctx)
	if err != nil {
		return nil, nil, err
	}
	docs, err := r.documents(rows)
	if err != nil {
		return nil, nil, err
	}
	s := r.writer(g)
	step := &stepDoc{From: from, To: to, Rows: docs, Drop: drop}
	begin = func(ctx context.Context) error { return s.replace(ctx, step.N, docs[:1:1]) }
	return begin, func(ctx context.Context) error { return s.apply(ctx, step, docs) }, s.take(ctx, step)
}

// StepDocuments counts what lies in the collection of steps of the current generation: of all, and of those that hold
// rows.
func StepDocuments[R any](ctx context.Context, r *Rows[R]) (all, withRows int64, err error) {
	g, _, err := r.checkpoint(ctx)
	if err != nil {
		return 0, 0, err
	}
	if all, err = g.steps.CountDocuments(ctx, bson.D{}); err != nil {
		return 0, 0, err
	}
	withRows, err = g.steps.CountDocuments(ctx, bson.D{{Key: "rows", Value: bson.D{{Key: "$exists", Value: true}}}})
	return all, withRows, err
}

// KeepSteps sets how many steps are kept.
func KeepSteps[R any](r *Rows[R], n int64) { r.gens.db.keepSteps = n }

// RebuildAndDie does what Rebuild does up to the moment when the build is current and nothing says so but the last step
// of the generation before.
func RebuildAndDie[R any](ctx context.Context, r *Rows[R], log projections.Log) error {
	live, newest, err := r.checkpoint(ctx)
	if err != nil {
		return err
	}
	next, err := r.gens.db.create(ctx, r.gens.view)
	if err != nil {
		return err
	}
	c := newComparison(r, log, live, next, projections.RebuildOptions{}, toSwitch)
	if err := c.build(ctx, newest.To); err != nil {
		return err
	}
	_, err = c.compare(ctx)
	return err
}

// OpenAnalyticsOf opens the figures as a program of another release does.
func OpenAnalyticsOf(ctx context.Context, d *DB, version int) (*Analytics, error) {
	return openAnalytics(ctx, d, analyticsView().at(version))
}

// LeaseLife sets how long nothing need be heard of who holds a lease.
func LeaseLife(d *DB, life time.Duration) { d.leaseLife = life }

// TailBytes sets how many bytes of the newest commits a log keeps that is opened from now on.
func TailBytes(d *DB, n int) { d.tailBytes = n }

// Kept counts the commits that a log has in memory.
func Kept(r *LogReader) int {
	r.tail.mu.Lock()
	defer r.tail.mu.Unlock()
	return len(r.tail.kept)
}
