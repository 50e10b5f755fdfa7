package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Head implements projections.Log.
func (r *LogReader) Head(ctx context.Context) (domain.Position, error) {
	if err := r.tail.advance(ctx); err != nil {
		return 0, fmt.Errorf("read the log's head: %w", err)
	}
	end, _ := r.tail.last()
	return end.Position, nil
}

// newest returns where the newest commit ends, with its hash; the zero value for an empty log.
func (r *LogReader) newest(ctx context.Context) (newest commitDoc, err error) {
	err = r.commits.FindOne(ctx, bson.D{}, options.FindOne().
		SetSort(bson.D{{Key: "_id", Value: -1}}).
		SetProjection(bson.D{{Key: "last", Value: 1}, {Key: "hash", Value: 1}})).Decode(&newest)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return commitDoc{}, nil
	}
	return newest, unavailable(ctx, err)
}

// ReadAfter implements projections.Log.
func (r *LogReader) ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	if limit < 1 {
		return nil, nil
	}
	after = max(after, 0)
	events, err := r.readAfter(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	return events, nil
}

func (r *LogReader) readAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	wanted := func(e domain.Recorded) bool { return e.Position > after }
	if err := r.tail.advance(ctx); err != nil {
		return nil, err
	}
	if kept, ok := r.tail.after(after, limit); ok {
		events, err := eventsOf(kept, wanted)
		return events[:min(limit, len(events))], err
	}
	// The first event asked for may be in the middle of a commit, which then begins less than MaxCommitEvents before
	// it: the one bound is for the index, the other one leaves out what ends before.
	filter := bson.D{
		{Key: "_id", Value: bson.D{{Key: "$gt", Value: commitKey(after + 1 - commands.MaxCommitEvents)}}},
		{Key: "last", Value: bson.D{{Key: "$gt", Value: after}}},
	}
	// Every commit has an event, so limit commits have enough of them.
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(limit))
	return r.read(ctx, filter, o, limit, wanted)
}

// ReadStream implements commands.EventLog.
func (r *LogReader) ReadStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error) {
	events, err := r.readStream(ctx, stream, max(after, 0))
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return events, nil
}

func (r *LogReader) readStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error) {
	wanted := func(e domain.Recorded) bool { return e.Version > after }
	if err := r.tail.advance(ctx); err != nil {
		return nil, err
	}
	if kept, ok := r.tail.stream(stream, after); ok {
		return eventsOf(kept, wanted)
	}
	filter := bson.D{
		{Key: "stream", Value: stream},
		{Key: "version", Value: bson.D{{Key: "$gt", Value: after + 1 - commands.MaxCommitEvents}}},
		{Key: "next", Value: bson.D{{Key: "$gt", Value: after + 1}}},
	}
	o := options.Find().SetSort(bson.D{{Key: "version", Value: 1}})
	return r.read(ctx, filter, o, -1, wanted)
}

// Streams returns the ids of all streams, sorted.
func (r *LogReader) Streams(ctx context.Context) ([]string, error) {
	o := options.Find().SetSort(bson.D{{Key: "stream", Value: 1}}).SetProjection(bson.D{{Key: "stream", Value: 1}})
	found, err := r.commits.Find(ctx, bson.D{{Key: "version", Value: 1}}, o)
	var first []commitDoc
	if err == nil {
		err = found.All(ctx, &first)
	}
	if err != nil {
		return nil, fmt.Errorf("list the streams: %w", unavailable(ctx, err))
	}
	ids := make([]string, len(first))
	for i, c := range first {
		ids[i] = c.Stream
	}
	return ids, nil
}

// ReadCommit implements commands.EventLog.
func (r *LogReader) ReadCommit(ctx context.Context, id string) ([]domain.Recorded, error) {
	events, err := r.readCommit(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", id, err)
	}
	return events, nil
}

func (r *LogReader) readCommit(ctx context.Context, id string) ([]domain.Recorded, error) {
	all := func(domain.Recorded) bool { return true }
	if err := r.tail.advance(ctx); err != nil {
		return nil, err
	}
	switch kept, whole := r.tail.commit(id); {
	case kept != nil:
		return eventsOf([]*keptCommit{kept}, all)
	case whole:
		return nil, nil
	}
	return r.read(ctx, bson.D{{Key: "id", Value: id}}, options.Find(), -1, all)
}

// eventsOf returns the events of commits that keep allows.
func eventsOf(commits []*keptCommit, keep func(domain.Recorded) bool) (out []domain.Recorded, err error) {
	for _, c := range commits {
		events, err := c.events(keep)
		if err != nil {
			return nil, err
		}
		out = append(out, events...)
	}
	return out, nil
}

// read returns the events of the commits that a filter selects, those that keep allows, up to limit if that is not
// negative.
func (r *LogReader) read(
	ctx context.Context, filter bson.D, o *options.FindOptionsBuilder, limit int, keep func(domain.Recorded) bool,
) (out []domain.Recorded, err error) {
	err = eachCommit(ctx, r.commits, filter, o, func(c *commitDoc) error {
		events, err := c.decode(keep)
		if err != nil {
			return err
		}
		if out = append(out, events...); limit >= 0 && len(out) >= limit {
			out = out[:limit]
			return errEnough
		}
		return nil
	})
	return out, err
}

// errEnough ends eachCommit without an error.
var errEnough = errors.New("enough")

// eachCommit calls f for every commit that a filter selects. What f is given is good until it returns.
func eachCommit(
	ctx context.Context, commits *mongo.Collection, filter bson.D, o *options.FindOptionsBuilder, f func(*commitDoc) error,
) error {
	cursor, err := commits.Find(ctx, filter, o)
	if err != nil {
		return unavailable(ctx, err)
	}
	for cursor.Next(ctx) {
		var c commitDoc
		if err = bson.Unmarshal(cursor.Current, &c); err == nil {
			err = f(&c)
		}
		if err != nil {
			break
		}
	}
	err = errors.Join(err, unavailable(ctx, cursor.Err()), cursor.Close(ctx))
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// decode returns the events that keep allows; only those are decoded in full.
func (c *commitDoc) decode(keep func(domain.Recorded) bool) ([]domain.Recorded, error) {
	recorded := domain.Recorded{Stream: c.Stream, Time: time.UnixMicro(c.Time).UTC(), Meta: domain.Meta(c.Meta)}
	out := make([]domain.Recorded, 0, len(c.Events))
	for i, e := range c.Events {
		recorded.Position = c.First + domain.Position(i)
		recorded.Version = c.Version + i
		if !keep(recorded) {
			continue
		}
		var err error
		if recorded.Event, err = domain.DecodeEvent(e.Type, []byte(e.Data)); err != nil {
			return nil, fmt.Errorf("decode the event at %d: %w", recorded.Position, err)
		}
		out = append(out, recorded)
	}
	return out, nil
}
