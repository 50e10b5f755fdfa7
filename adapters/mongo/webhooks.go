package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

// Webhooks keeps endpoints and deliveries. A cursor is a document of its own, which only the holder of the lease writes.
type Webhooks struct {
	db                             *DB
	endpoints, cursors, deliveries *mongo.Collection
}

var _ webhooks.Store = (*Webhooks)(nil)

type endpointDoc struct {
	ID          string      `bson:"_id"`
	Version     int         `bson:"version"`
	URL         string      `bson:"url"`
	Types       []string    `bson:"types,omitempty"`
	Description string      `bson:"description"`
	Enabled     bool        `bson:"enabled"`
	Reason      string      `bson:"reason"`
	Secrets     []secretDoc `bson:"secrets"`
	Created     int64       `bson:"created"` // microseconds since 1970, as all times here; 0 for none
	Changed     int64       `bson:"changed"`
	Round       int         `bson:"round"` // with position, where telling begins
	Position    int64       `bson:"position"`
}

type secretDoc struct {
	Key   string `bson:"key"`
	Until int64  `bson:"until"`
}

type cursorDoc struct {
	ID       string `bson:"_id"`
	Round    int    `bson:"round"`
	Position int64  `bson:"position"`
}

func endpointsCollection() collection { return collection{name: "webhook_endpoints"} }
func cursorsCollection() collection   { return collection{name: "webhook_cursors"} }

func deliveriesCollection() collection {
	return collection{name: "webhook_deliveries", indexes: []index{
		{name: "status", keys: bson.D{{Key: "status", Value: 1}, {Key: "_id", Value: 1}}},
	}}
}

// OpenWebhooks opens the store, which Provision has created. ErrNotFound when it has not. It needs no closing.
func OpenWebhooks(ctx context.Context, db *DB) (*Webhooks, error) {
	for _, c := range []collection{endpointsCollection(), cursorsCollection(), deliveriesCollection()} {
		if err := db.provisioned(ctx, c); err != nil {
			return nil, fmt.Errorf("open webhooks: %w", err)
		}
	}
	return &Webhooks{
		db: db, endpoints: db.db.Collection(endpointsCollection().name), cursors: db.db.Collection(cursorsCollection().name),
		deliveries: db.db.Collection(deliveriesCollection().name),
	}, nil
}

func endpointDocOf(e webhooks.Endpoint) endpointDoc {
	doc := endpointDoc{
		ID: e.ID, Version: e.Version, URL: e.URL, Types: e.Types, Description: e.Description, Enabled: e.Enabled, Reason: e.Reason,
		Created: micros(e.Created), Changed: micros(e.Changed), Round: e.Start.Round, Position: int64(e.Start.Position),
	}
	for _, s := range e.Secrets {
		doc.Secrets = append(doc.Secrets, secretDoc{s.Key, micros(s.Until)})
	}
	return doc
}

func (doc endpointDoc) endpoint() webhooks.Endpoint {
	e := webhooks.Endpoint{
		ID: doc.ID, Version: doc.Version, URL: doc.URL, Types: doc.Types, Description: doc.Description, Enabled: doc.Enabled, Reason: doc.Reason,
		Created: fromMicros(doc.Created), Changed: fromMicros(doc.Changed),
		Start: webhooks.Cursor{Round: doc.Round, Position: domain.Position(doc.Position)},
	}
	for _, s := range doc.Secrets {
		e.Secrets = append(e.Secrets, webhooks.Secret{Key: s.Key, Until: fromMicros(s.Until)})
	}
	return e
}

// micros is 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// Create implements webhooks.Store.
func (s *Webhooks) Create(ctx context.Context, e webhooks.Endpoint) error {
	if _, err := s.endpoints.InsertOne(ctx, endpointDocOf(e)); err != nil {
		return fmt.Errorf("create endpoint %s: %w", e.ID, unavailable(ctx, err))
	}
	return nil
}

// Endpoint implements webhooks.Store.
func (s *Webhooks) Endpoint(ctx context.Context, id string) (webhooks.Endpoint, error) {
	var doc endpointDoc
	err := s.endpoints.FindOne(ctx, byID(id)).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return webhooks.Endpoint{}, fmt.Errorf("endpoint %s: %w", id, domain.ErrNotFound)
	}
	if err != nil {
		return webhooks.Endpoint{}, fmt.Errorf("read endpoint %s: %w", id, unavailable(ctx, err))
	}
	return doc.endpoint(), nil
}

// Endpoints implements webhooks.Store.
func (s *Webhooks) Endpoints(ctx context.Context) ([]webhooks.Endpoint, error) {
	found, err := s.endpoints.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	var docs []endpointDoc
	if err == nil {
		err = found.All(ctx, &docs)
	}
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", unavailable(ctx, err))
	}
	all := make([]webhooks.Endpoint, len(docs))
	for i, doc := range docs {
		all[i] = doc.endpoint()
	}
	return all, nil
}

// Update implements webhooks.Store.
func (s *Webhooks) Update(ctx context.Context, e webhooks.Endpoint) error {
	filter := append(byID(e.ID), bson.E{Key: "version", Value: e.Version - 1})
	err := s.endpoints.FindOneAndReplace(ctx, filter, endpointDocOf(e)).Err()
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		if _, err := s.Endpoint(ctx, e.ID); err != nil {
			return err
		}
		return fmt.Errorf("change endpoint %s: %w: somebody else has", e.ID, domain.ErrConflict)
	case err != nil:
		return fmt.Errorf("change endpoint %s: %w", e.ID, unavailable(ctx, err))
	}
	return nil
}

// Remove implements webhooks.Store.
func (s *Webhooks) Remove(ctx context.Context, id string) error {
	removed, err := s.endpoints.DeleteOne(ctx, byID(id))
	if err == nil {
		_, err = s.cursors.DeleteOne(ctx, byID(id))
	}
	if err == nil {
		_, err = s.deliveries.DeleteMany(ctx, ofEndpoint(id))
	}
	if err != nil {
		return fmt.Errorf("remove endpoint %s: %w", id, unavailable(ctx, err))
	}
	if removed.DeletedCount == 0 {
		return fmt.Errorf("remove endpoint %s: %w", id, domain.ErrNotFound)
	}
	return nil
}

// Lease implements webhooks.Store.
func (s *Webhooks) Lease(ctx context.Context, id string) (context.Context, func(), error) {
	held, release, err := s.db.lease(ctx, "webhook/"+id)
	if err != nil {
		return nil, nil, fmt.Errorf("the lease of endpoint %s: %w", id, err)
	}
	return held, release, nil
}
