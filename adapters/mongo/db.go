// Package mongo keeps the event log, the read models and the rebuilds of them in one database of a MongoDB server, so
// that any number of processes on any number of machines share them. It implements ports of commands and projections
// and may import those and domain, no other adapter.
//
// It needs no transactions and no conditional updates: everything that two processes may do at once is decided by the
// insertion of a document with a unique key. So it works on a single node too, and on servers that speak the protocol
// without having all of MongoDB.
package mongo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/cinelog/cinelog/domain"
)

// DB is a database of a MongoDB server, which may be away for a while.
type DB struct {
	db  *mongo.Database
	now func() time.Time

	keepSteps int64 // of each read model
	tailBytes int   // of the newest commits, in memory
	leaseLife time.Duration
}

const (
	// defaultDatabase is used where the URI names none.
	defaultDatabase = "cinelog"
	// selectionTimeout is how long an operation waits for a server that it can go to. A failover takes about ten
	// seconds; callers are told sooner that they may try again.
	selectionTimeout = 5 * time.Second
	// operationTimeout bounds an operation whose context has no end of its own.
	operationTimeout = 15 * time.Second
)

// Open connects to the database that uri names ("mongodb://user:password@host:port/database?options"), and looks
// whether the server answers and takes the credentials. Options in uri win over those set here, except for the concerns:
// what is acknowledged is on disk, and what was read is never rolled back. now is the clock. Close it.
func Open(ctx context.Context, uri string, now func() time.Time) (*DB, error) {
	o := options.Client().
		SetAppName("cinelog").
		SetServerSelectionTimeout(selectionTimeout).
		SetTimeout(operationTimeout).
		ApplyURI(uri)
	if err := o.Validate(); err != nil {
		reason := strings.ReplaceAll(err.Error(), uri, "the URI") // it may hold a password
		return nil, fmt.Errorf("open MongoDB: %w: %s; it looks like mongodb://host:port/database", domain.ErrInvalid, reason)
	}
	client, err := mongo.Connect(o)
	if err != nil {
		return nil, fmt.Errorf("open MongoDB: %w", err)
	}
	journaled := true
	concerns := options.Database().
		SetReadConcern(readconcern.Majority()).
		SetReadPreference(readpref.Primary()).
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled})
	d := &DB{db: client.Database(databaseName(uri), concerns), now: now, keepSteps: keepSteps, tailBytes: tailBytes, leaseLife: leaseLife}
	if err := d.Ping(ctx); err != nil {
		_ = d.Close() //nolint:contextcheck // nothing was begun, and ctx may have ended
		return nil, fmt.Errorf("open MongoDB at %s: %w", strings.Join(o.Hosts, ","), err)
	}
	return d, nil
}

// databaseName returns the path of a URI that was found valid. There may be several hosts, so that net/url cannot help.
func databaseName(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	rest, _, _ = strings.Cut(rest, "?")
	if _, name, _ := strings.Cut(rest, "/"); name != "" {
		return name
	}
	return defaultDatabase
}

// Ping says whether the server answers, and lets this program read its database.
func (d *DB) Ping(ctx context.Context) error {
	// A ping alone needs no rights, so it is an innocent question that does.
	err := d.db.Client().Ping(ctx, readpref.Primary())
	if err == nil {
		_, err = d.db.Collection(metaCollection).EstimatedDocumentCount(ctx)
	}
	return unavailable(ctx, err)
}

// Close ends the connections. Operations under way fail.
func (d *DB) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), selectionTimeout)
	defer cancel()
	if err := d.db.Client().Disconnect(ctx); err != nil {
		return fmt.Errorf("close MongoDB: %w", err)
	}
	return nil
}
