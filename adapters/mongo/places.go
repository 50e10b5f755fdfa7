package mongo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// Places keep how far consumer groups have come, for any number of processes.
type Places struct {
	db   *DB
	docs *mongo.Collection
}

var _ messaging.Places = (*Places)(nil)

// NewPlaces needs nothing that is not there by itself.
func NewPlaces(db *DB) *Places { return &Places{db, db.db.Collection(operationsCollection().name)} }

// placeDoc is a place with who holds it, and that it lives (see leaseDoc).
type placeDoc struct {
	ID      string `bson:"_id"`
	Version int    `bson:"version"`
	Letter  string `bson:"letter"`
	Reason  string `bson:"reason"`
	Holder  string `bson:"holder"` // empty for nobody
	Beat    int64  `bson:"beat"`
}

func placeID(group, video string) string { return "place/" + group + "/" + video }

// Place implements messaging.Places.
func (p *Places) Place(ctx context.Context, group, video string) (messaging.Place, error) {
	doc, err := p.read(ctx, placeID(group, video))
	if err != nil {
		return messaging.Place{}, fmt.Errorf("place of %s: %w", group, err)
	}
	return messaging.Place{Version: doc.Version, Letter: doc.Letter, Reason: doc.Reason}, nil
}

func (p *Places) read(ctx context.Context, id string) (doc placeDoc, err error) {
	err = p.docs.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return placeDoc{ID: id}, nil
	}
	return doc, unavailable(ctx, err)
}

// Move implements messaging.Places.
func (p *Places) Move(ctx context.Context, group, video string, from, to messaging.Place) error {
	id := placeID(group, video)
	if from == (messaging.Place{}) {
		if err := p.make(ctx, placeDoc{ID: id}); err != nil {
			return fmt.Errorf("move %s: %w", group, err)
		}
	}
	moved, err := p.change(ctx, bson.D{{Key: "_id", Value: id}, {Key: "version", Value: from.Version}, {Key: "letter", Value: from.Letter}},
		bson.D{{Key: "version", Value: to.Version}, {Key: "letter", Value: to.Letter}, {Key: "reason", Value: to.Reason}})
	switch {
	case err != nil:
		return fmt.Errorf("move %s: %w", group, err)
	case !moved:
		return fmt.Errorf("%w: %s is not at version %d of video %s", domain.ErrConflict, group, from.Version, video)
	}
	return nil
}

// make inserts a place where there is none.
func (p *Places) make(ctx context.Context, doc placeDoc) error {
	if _, err := p.docs.InsertOne(ctx, doc); !mongo.IsDuplicateKeyError(err) {
		return unavailable(ctx, err)
	}
	return nil
}

func (p *Places) change(ctx context.Context, which, to bson.D) (bool, error) {
	r, err := p.docs.UpdateOne(ctx, which, bson.D{{Key: "$set", Value: to}})
	if err != nil {
		return false, unavailable(ctx, err)
	}
	return r.MatchedCount == 1, nil
}

// Hold implements messaging.Places. That a holder is dead is seen by watching for a while, as with a lease.
func (p *Places) Hold(ctx context.Context, group, video string) (context.Context, func(), error) {
	id := placeID(group, video)
	newest, err := p.read(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	for waited := time.Duration(0); newest.Holder != "" && waited < p.db.leaseLife; waited += leaseBeat / 4 {
		if err := sleep(ctx, leaseBeat/4); err != nil {
			return nil, nil, err
		}
		now, err := p.read(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if now.Holder != "" && (now.Holder != newest.Holder || now.Beat != newest.Beat) {
			return nil, nil, fmt.Errorf("hold video %s for %s: %w", video, group, domain.ErrConflict)
		}
		newest = now
	}
	mine := rand.Text()
	if err := p.make(ctx, placeDoc{ID: id}); err != nil {
		return nil, nil, err
	}
	took, err := p.change(ctx, bson.D{{Key: "_id", Value: id}, {Key: "holder", Value: newest.Holder}, {Key: "beat", Value: newest.Beat}},
		bson.D{{Key: "holder", Value: mine}, {Key: "beat", Value: newest.Beat + 1}})
	switch {
	case err != nil:
		return nil, nil, err
	case !took:
		return nil, nil, fmt.Errorf("hold video %s for %s: %w", video, group, domain.ErrConflict)
	}
	which := bson.D{{Key: "_id", Value: id}, {Key: "holder", Value: mine}}
	held, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		beat := newest.Beat + 1
		err := p.db.stayAlive(held, func(ctx context.Context) error {
			beat++
			mine, err := p.change(ctx, which, bson.D{{Key: "beat", Value: beat}})
			if err == nil && !mine {
				err = fmt.Errorf("hold video %s for %s: %w", video, group, domain.ErrConflict)
			}
			return err
		})
		if err != nil {
			cancel()
		}
	}()
	return held, func() {
		cancel()
		<-stopped
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.db.leaseLife)
		defer cancel()
		// Where this fails the next one has to watch for a while.
		_, _ = p.change(ctx, which, bson.D{{Key: "holder", Value: ""}})
	}, nil
}
