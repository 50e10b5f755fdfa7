package mongo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Replays keep what is said about replays beside the log.
type Replays struct{ docs *mongo.Collection }

var _ projections.Replays = (*Replays)(nil)

// NewReplays needs nothing that is not there by itself.
func NewReplays(db *DB) *Replays { return &Replays{db.db.Collection(operationsCollection().name)} }

type replayDoc struct {
	ID        string `bson:"_id"`
	Doc       string `bson:"doc"` // projections.Replay as JSON
	Cancelled bool   `bson:"cancelled"`
}

const (
	replayKeys  = "replay/"
	keepReplays = 200
)

// Put implements projections.Replays.
func (s *Replays) Put(ctx context.Context, r projections.Replay) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = s.update(ctx, r.ID, doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		_, err = s.docs.InsertOne(ctx, replayDoc{ID: replayKeys + r.ID, Doc: string(doc)})
		switch {
		case err == nil:
			err = s.trim(ctx)
		case mongo.IsDuplicateKeyError(err): // one that was called off has come through after all
			err = s.update(ctx, r.ID, doc)
		}
	}
	if err != nil {
		return fmt.Errorf("replay %s: %w", r.ID, unavailable(ctx, err))
	}
	return nil
}

// update is mongo.ErrNoDocuments when nothing is said of the replay yet.
func (s *Replays) update(ctx context.Context, id string, doc []byte) error {
	put, err := s.docs.UpdateOne(ctx, bson.D{{Key: "_id", Value: replayKeys + id}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "doc", Value: string(doc)}}}})
	if err == nil && put.MatchedCount == 0 {
		err = mongo.ErrNoDocuments
	}
	return err
}

// trim forgets the oldest.
func (s *Replays) trim(ctx context.Context) error {
	var oldest replayDoc
	err := s.docs.FindOne(ctx, bson.D{{Key: "_id", Value: startingWith(replayKeys)}},
		options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}}).SetSkip(keepReplays)).Decode(&oldest)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	if err == nil {
		_, err = s.docs.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: replayKeys}, {Key: "$lte", Value: oldest.ID}}}})
	}
	return err
}

// Replays implements projections.Replays.
func (s *Replays) Replays(ctx context.Context, limit int) ([]projections.Replay, error) {
	found, err := s.docs.Find(ctx, bson.D{{Key: "_id", Value: startingWith(replayKeys)}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(int64(limit)))
	var docs []replayDoc
	if err == nil {
		err = found.All(ctx, &docs)
	}
	if err != nil {
		return nil, fmt.Errorf("replays: %w", unavailable(ctx, err))
	}
	replays := make([]projections.Replay, len(docs))
	for i, d := range docs {
		if err := json.Unmarshal([]byte(d.Doc), &replays[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", d.ID, err)
		}
	}
	return replays, nil
}

// Replay implements projections.Replays.
func (s *Replays) Replay(ctx context.Context, id string) (r projections.Replay, err error) {
	d, err := s.find(ctx, id)
	if err == nil {
		err = json.Unmarshal([]byte(d.Doc), &r)
	}
	return r, err
}

// Cancel implements projections.Replays.
func (s *Replays) Cancel(ctx context.Context, id string) error {
	asked, err := s.docs.UpdateOne(ctx, bson.D{{Key: "_id", Value: replayKeys + id}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "cancelled", Value: true}}}})
	if err != nil {
		return fmt.Errorf("cancel replay %s: %w", id, unavailable(ctx, err))
	}
	if asked.MatchedCount == 0 {
		return fmt.Errorf("replay %s: %w", id, domain.ErrNotFound)
	}
	return nil
}

// Cancelled implements projections.Replays.
func (s *Replays) Cancelled(ctx context.Context, id string) (bool, error) {
	d, err := s.find(ctx, id)
	if errors.Is(err, domain.ErrNotFound) {
		return false, nil
	}
	return d.Cancelled, err
}

func (s *Replays) find(ctx context.Context, id string) (d replayDoc, err error) {
	err = s.docs.FindOne(ctx, bson.D{{Key: "_id", Value: replayKeys + id}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return d, fmt.Errorf("replay %s: %w", id, domain.ErrNotFound)
	}
	if err != nil {
		return d, fmt.Errorf("replay %s: %w", id, unavailable(ctx, err))
	}
	return d, nil
}
