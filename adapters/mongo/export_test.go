package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Drop removes a database.
func Drop(ctx context.Context, d *DB) error { return d.db.Drop(ctx) }

// Collection gives a collection to a test that looks beneath, or does damage.
func Collection(d *DB, name string) *mongo.Collection { return d.db.Collection(name) }
