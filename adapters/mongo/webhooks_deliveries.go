package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

type deliveryDoc struct {
	ID       string          `bson:"_id"`
	Endpoint string          `bson:"endpoint"`
	Position int64           `bson:"position"`
	Video    string          `bson:"video"`
	Type     string          `bson:"type"`
	Round    int             `bson:"round"`
	Status   webhooks.Status `bson:"status"`
	Attempts int             `bson:"attempts"`
	Code     int             `bson:"code"`
	Error    string          `bson:"error"`
	First    int64           `bson:"first"`
	Last     int64           `bson:"last"`
	Next     int64           `bson:"next"`
}

// deliveryKey sorts as positions do, within an endpoint.
func deliveryKey(endpoint string, p domain.Position) string {
	return fmt.Sprintf("%s/%019d", endpoint, p)
}

func ofEndpoint(id string) bson.D { return bson.D{{Key: "_id", Value: startingWith(id + "/")}} }

func deliveryDocOf(d webhooks.Delivery) deliveryDoc {
	return deliveryDoc{
		ID: deliveryKey(d.Endpoint, d.Position), Endpoint: d.Endpoint, Position: int64(d.Position), Video: d.Video, Type: d.Type,
		Round: d.Round, Status: d.Status, Attempts: d.Attempts, Code: d.Code, Error: d.Error,
		First: micros(d.First), Last: micros(d.Last), Next: micros(d.Next),
	}
}

func (doc deliveryDoc) delivery() webhooks.Delivery {
	return webhooks.Delivery{
		Endpoint: doc.Endpoint, Position: domain.Position(doc.Position), Video: doc.Video, Type: doc.Type,
		Round: doc.Round, Status: doc.Status, Attempts: doc.Attempts, Code: doc.Code, Error: doc.Error,
		First: fromMicros(doc.First), Last: fromMicros(doc.Last), Next: fromMicros(doc.Next),
	}
}

// Cursor implements webhooks.Store.
func (s *Webhooks) Cursor(ctx context.Context, id string) (webhooks.Cursor, error) {
	var doc cursorDoc
	err := s.cursors.FindOne(ctx, byID(id)).Decode(&doc)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return webhooks.Cursor{}, fmt.Errorf("read the cursor of endpoint %s: %w", id, unavailable(ctx, err))
	}
	return webhooks.Cursor{Round: doc.Round, Position: domain.Position(doc.Position)}, nil
}

// Advance implements webhooks.Store: the deliveries first. Inserting them again is nothing, so that a crash before the
// cursor has moved does no harm.
func (s *Webhooks) Advance(ctx context.Context, id string, to webhooks.Cursor, deliveries []webhooks.Delivery) error {
	err := s.insert(ctx, deliveries)
	if err == nil {
		move := bson.D{{Key: "$set", Value: bson.D{{Key: "round", Value: to.Round}, {Key: "position", Value: int64(to.Position)}}}}
		_, err = s.cursors.UpdateOne(ctx, byID(id), move, options.UpdateOne().SetUpsert(true))
	}
	if err != nil {
		return fmt.Errorf("advance endpoint %s to %d: %w", id, to.Position, unavailable(ctx, err))
	}
	return nil
}

func (s *Webhooks) insert(ctx context.Context, deliveries []webhooks.Delivery) error {
	for some := range slices.Chunk(deliveries, recordAtOnce) {
		docs := make([]deliveryDoc, len(some))
		for i, d := range some {
			docs[i] = deliveryDocOf(d)
		}
		_, err := s.deliveries.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		switch {
		case err == nil:
			continue
		case !onlyDuplicates(err):
			return err
		}
		for _, doc := range docs { // some are there, perhaps of an earlier round
			if doc.Round == 1 {
				continue
			}
			older := append(byID(doc.ID), bson.E{Key: "round", Value: bson.D{{Key: "$lt", Value: doc.Round}}})
			if _, err := s.deliveries.ReplaceOne(ctx, older, doc); err != nil {
				return err
			}
		}
	}
	return nil
}

// Record implements webhooks.Store.
func (s *Webhooks) Record(ctx context.Context, d webhooks.Delivery) error {
	doc := deliveryDocOf(d)
	notLater := append(byID(doc.ID), bson.E{Key: "round", Value: bson.D{{Key: "$lte", Value: doc.Round}}})
	if _, err := s.deliveries.ReplaceOne(ctx, notLater, doc); err != nil {
		return fmt.Errorf("record delivery %s: %w", d.ID(), unavailable(ctx, err))
	}
	return nil
}

// Pending implements webhooks.Store.
func (s *Webhooks) Pending(ctx context.Context, id string, limit int) ([]webhooks.Delivery, error) {
	return s.find(ctx, append(ofEndpoint(id), bson.E{Key: "status", Value: webhooks.Pending}), 1, limit)
}

// Delivery implements webhooks.Store.
func (s *Webhooks) Delivery(ctx context.Context, id string, p domain.Position) (webhooks.Delivery, error) {
	found, err := s.find(ctx, byID(deliveryKey(id, p)), 1, 1)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("delivery of %d to endpoint %s: %w", p, id, domain.ErrNotFound)
	}
	if err != nil {
		return webhooks.Delivery{}, err
	}
	return found[0], nil
}

// Deliveries implements webhooks.Store.
func (s *Webhooks) Deliveries(
	ctx context.Context, id string, status webhooks.Status, before domain.Position, limit int,
) ([]webhooks.Delivery, error) {
	filter := ofEndpoint(id)
	if before > 0 {
		filter = bson.D{{Key: "_id", Value: bson.D{
			{Key: "$gte", Value: id + "/"}, {Key: "$lt", Value: deliveryKey(id, before)},
		}}}
	}
	if status != "" {
		filter = append(filter, bson.E{Key: "status", Value: status})
	}
	return s.find(ctx, filter, -1, limit)
}

// find returns deliveries by position, upwards or downwards.
func (s *Webhooks) find(ctx context.Context, filter bson.D, direction, limit int) (found []webhooks.Delivery, err error) {
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: direction}}).SetLimit(int64(limit))
	cursor, err := s.deliveries.Find(ctx, filter, o)
	var docs []deliveryDoc
	if err == nil {
		err = cursor.All(ctx, &docs)
	}
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", unavailable(ctx, err))
	}
	for _, doc := range docs {
		found = append(found, doc.delivery())
	}
	return found, nil
}

// prunedAtOnce is how many deliveries one Prune looks at.
const prunedAtOnce = 10_000

// Prune implements webhooks.Store: of the oldest deliveries, which were mostly tried first, so that the index serves it.
func (s *Webhooks) Prune(ctx context.Context, id string, before time.Time) error {
	for _, status := range []webhooks.Status{webhooks.Delivered, webhooks.Failed} {
		found, err := s.find(ctx, append(ofEndpoint(id), bson.E{Key: "status", Value: status}), 1, prunedAtOnce)
		if err != nil {
			return err
		}
		keys := bson.A{}
		for _, d := range found {
			if d.Last.Before(before) {
				keys = append(keys, deliveryKey(id, d.Position))
			}
		}
		if len(keys) == 0 {
			continue
		}
		if _, err := s.deliveries.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}); err != nil {
			return fmt.Errorf("forget deliveries to endpoint %s: %w", id, unavailable(ctx, err))
		}
	}
	return nil
}
