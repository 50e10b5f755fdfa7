package main

import (
	"context"
	"database/sql"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

// operations is where is kept, for good, what people have said to the running system and no event says: beside the log,
// in the file operations.db or in the log's database. One of the two is nil.
type operations struct {
	sqlite *sql.DB
	mongo  *mongo.DB
}

// operations opens it once.
func (o *opener) operations(ctx context.Context) (operations, error) {
	if o.ops != (operations{}) {
		return o.ops, nil
	}
	database, dir, err := o.logPlace(ctx)
	if err != nil || database != nil {
		o.ops.mongo = database
		return o.ops, err
	}
	db, err := sqlite.OpenOperations(ctx, dir)
	if db, err = keep(o, db, err); err == nil {
		o.ops.sqlite = db
	}
	return o.ops, err
}

// controls are what is said about projections, and replays what is said about replays.
func (o *opener) controls(ctx context.Context) (projections.Controls, projections.Replays, error) {
	ops, err := o.operations(ctx)
	if err != nil {
		return nil, nil, err
	}
	if ops.mongo != nil {
		return mongo.NewControls(ops.mongo), mongo.NewReplays(ops.mongo), nil
	}
	controls, err := sqlite.NewControls(ctx, ops.sqlite)
	if err != nil {
		return nil, nil, err
	}
	replays, err := sqlite.NewReplays(ctx, ops.sqlite)
	return controls, replays, err
}
