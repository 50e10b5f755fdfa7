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
)

// A lease is held by one process at a time, as long as it says that it lives. Each holder has a document of its own,
// under the next number (epoch), so that of two who want it one gets it. That a holder is dead is seen by watching for
// a while, not by comparing clocks. Somebody who was stopped for longer than that and goes on may still believe that it
// holds the lease: what is done under one must bear that.
type leaseDoc struct {
	ID    string `bson:"_id"`
	Epoch int    `bson:"epoch"`
	Beat  int64  `bson:"beat"`
	Ended bool   `bson:"ended"`
}

// A holder says once in a leaseBeat that it lives. Whoever hears nothing of it for a leaseLife takes it for dead, and two beats
// before that it does so itself. Both are long beside what a busy database takes for an answer.
const (
	leaseBeat = time.Second
	leaseLife = 10 * time.Second
)

// lease takes a lease. ErrConflict: somebody else has it. The context that it returns ends with the lease; release ends
// it.
func (d *DB) lease(ctx context.Context, name string) (held context.Context, release func(), err error) {
	meta := d.db.Collection(metaCollection)
	prefix := "lease/" + name + "/"
	newest, err := newestLease(ctx, meta, prefix)
	if err != nil {
		return nil, nil, err
	}
	for waited := time.Duration(0); newest.Epoch > 0 && !newest.Ended && waited < d.leaseLife; waited += leaseBeat / 4 {
		if err := sleep(ctx, leaseBeat/4); err != nil {
			return nil, nil, err
		}
		now, err := newestLease(ctx, meta, prefix)
		if err != nil {
			return nil, nil, err
		}
		if now.Epoch != newest.Epoch || now.Beat != newest.Beat {
			return nil, nil, fmt.Errorf("%w: another process holds %s", domain.ErrConflict, name)
		}
		newest = now
	}
	mine := leaseDoc{ID: fmt.Sprintf("%s%06d", prefix, newest.Epoch+1), Epoch: newest.Epoch + 1}
	if _, err := meta.InsertOne(ctx, mine); mongo.IsDuplicateKeyError(err) {
		return nil, nil, fmt.Errorf("%w: another process has just taken %s", domain.ErrConflict, name)
	} else if err != nil {
		return nil, nil, unavailable(ctx, err)
	}
	held, cancel := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		err := d.stayAlive(held, func(ctx context.Context) error {
			mine.Beat++
			_, err := meta.UpdateOne(ctx, bson.D{{Key: "_id", Value: mine.ID}}, bson.D{{Key: "$set", Value: bson.D{{Key: "beat", Value: mine.Beat}}}})
			return err
		})
		if err != nil {
			cancel(fmt.Errorf("%w: a lease is lost: %w", domain.ErrUnavailable, err))
		}
	}()
	return held, func() {
		cancel(nil)
		<-stopped
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.leaseLife)
		defer cancel()
		// Where this fails the next one has to watch for a while.
		_, _ = meta.UpdateOne(ctx, bson.D{{Key: "_id", Value: mine.ID}}, bson.D{{Key: "$set", Value: bson.D{{Key: "ended", Value: true}}}})
	}, nil
}

// stayAlive says that a holder lives, again and again until ctx ends. It returns an error when that did not arrive for so long
// that others may soon take it for dead, and when say finds out that somebody else is the holder (ErrConflict).
func (d *DB) stayAlive(ctx context.Context, say func(context.Context) error) error {
	said, sure := d.now(), d.leaseLife-2*leaseBeat
	for sleep(ctx, leaseBeat) == nil {
		sent := d.now()
		try, stop := context.WithTimeout(ctx, sure/2-leaseBeat) // so that there is another one, where a connection hangs
		err := say(try)
		stop()
		switch {
		case err == nil:
			said = sent
		case errors.Is(err, domain.ErrConflict), d.now().Sub(said) >= sure:
			return err
		}
	}
	return nil
}

func newestLease(ctx context.Context, meta *mongo.Collection, prefix string) (newest leaseDoc, err error) {
	err = meta.FindOne(ctx, bson.D{{Key: "_id", Value: startingWith(prefix)}},
		options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}})).Decode(&newest)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return leaseDoc{}, nil
	}
	return newest, unavailable(ctx, err)
}
