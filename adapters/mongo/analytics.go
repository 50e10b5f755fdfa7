package mongo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Analytics keeps the facts behind the figures. Figures are summed up when they are asked for: sums of what is there
// once cannot be wrong, whatever came twice or late.
type Analytics struct{ facts *mongo.Collection }

var _ projections.Facts = (*Analytics)(nil)

type factDoc struct {
	Position domain.Position      `bson:"_id"`
	Time     int64                `bson:"time"` // microseconds since 1970
	Kind     projections.FactKind `bson:"kind"`
	Video    domain.VideoID       `bson:"video"`
	Number   int                  `bson:"number"`  // of the attempt
	Attempt  string               `bson:"attempt"` // of a video, as one string
	Code     domain.FailureCode   `bson:"code"`
	Bytes    int64                `bson:"bytes"`
	Length   int64                `bson:"length"` // milliseconds
}

// factsCollection is one for each version: programs of two releases work beside each other, and the newer one takes all
// facts from the log.
func factsCollection() collection {
	return collection{name: fmt.Sprintf("facts_%d", projections.AnalyticsVersion), indexes: []index{
		{name: "time", keys: bson.D{{Key: "time", Value: 1}}},
		{name: "attempt", keys: bson.D{{Key: "attempt", Value: 1}, {Key: "kind", Value: 1}}},
	}}
}

// OpenAnalytics opens the figures, which Provision has created. ErrNotFound when it has not. It needs no closing.
func OpenAnalytics(ctx context.Context, db *DB) (*Analytics, error) {
	c := factsCollection()
	if err := db.provisioned(ctx, c); err != nil {
		return nil, fmt.Errorf("open analytics: %w", err)
	}
	return &Analytics{facts: db.db.Collection(c.name)}, nil
}

// Record stores facts; one whose position is there already changes nothing. After an error some of them may be stored:
// giving them again stores the rest.
func (a *Analytics) Record(ctx context.Context, facts []projections.Fact) error {
	for some := range slices.Chunk(facts, recordAtOnce) {
		docs := make([]factDoc, len(some))
		for i, f := range some {
			docs[i] = docOf(f)
		}
		_, err := a.facts.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		if err != nil && !onlyDuplicates(err) {
			return fmt.Errorf("record facts: %w", unavailable(ctx, err))
		}
	}
	return nil
}

func docOf(f projections.Fact) factDoc {
	return factDoc{
		Position: f.Position, Time: f.Time.UnixMicro(), Kind: f.Kind, Video: f.Video, Number: f.Attempt,
		Attempt: fmt.Sprintf("%s/%d", f.Video, f.Attempt), Code: f.Code, Bytes: f.Bytes, Length: f.Length.Milliseconds(),
	}
}

const recordAtOnce = 1000

// onlyDuplicates says that an unordered write did all that it was asked for but what a unique key kept out.
func onlyDuplicates(err error) bool {
	var failed mongo.BulkWriteException
	return errors.As(err, &failed) && failed.WriteConcernError == nil &&
		!slices.ContainsFunc(failed.WriteErrors, func(e mongo.BulkWriteError) bool { return !mongo.IsDuplicateKeyError(e) })
}

// Each implements projections.Facts. What it adds to a fact it asks for first: a fact that comes meanwhile may be handed
// out without.
func (a *Analytics) Each(ctx context.Context, from, to time.Time, f func(projections.CountedFact) error) error {
	known, err := a.attempts(ctx, from, to)
	if err == nil {
		err = a.each(ctx, bson.D{
			{Key: "time", Value: within(from.UnixMicro(), to.UnixMicro())},
			{Key: "kind", Value: bson.D{{Key: "$in", Value: []projections.FactKind{
				projections.FactUploaded, projections.FactRendition, projections.FactFailed, projections.FactPublished,
			}}}},
		}, func(doc *factDoc) error {
			fact := projections.CountedFact{Fact: projections.Fact{
				Position: doc.Position, Kind: doc.Kind, Time: time.UnixMicro(doc.Time).UTC(), Video: doc.Video, Attempt: doc.Number,
				Code: doc.Code, Bytes: doc.Bytes,
			}}
			switch of := known[doc.Attempt]; {
			case doc.Kind == projections.FactUploaded:
				fact.Length = time.Duration(of.length.Length) * time.Millisecond
			case doc.Position == of.last.Position && of.start.Position > 0: // a clock may have been set back meanwhile
				fact.Done, fact.Took = true, max(0, time.Duration(doc.Time-of.start.Time)*time.Microsecond)
			}
			return f(fact)
		})
	}
	if err != nil {
		return fmt.Errorf("read facts: %w", unavailable(ctx, err))
	}
	return nil
}

func within(first, end int64) bson.D {
	return bson.D{{Key: "$gte", Value: first}, {Key: "$lt", Value: end}}
}

// attempt is what belongs together: its start, the length of its source, and its last rendition.
type attempt struct{ start, length, last factDoc }

// attempts finds what there is of the attempts that began or came further in [from, to).
func (a *Analytics) attempts(ctx context.Context, from, to time.Time) (map[string]attempt, error) {
	known := map[string]attempt{}
	err := a.each(ctx, bson.D{
		{Key: "time", Value: within(from.UnixMicro(), to.UnixMicro())},
		{Key: "kind", Value: bson.D{{Key: "$in", Value: []projections.FactKind{projections.FactUploaded, projections.FactRendition}}}},
	}, func(f *factDoc) error {
		known[f.Attempt] = attempt{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(slices.Collect(maps.Keys(known)), recordAtOnce) {
		err := a.each(ctx, bson.D{
			{Key: "attempt", Value: bson.D{{Key: "$in", Value: some}}},
			{Key: "kind", Value: bson.D{{Key: "$in", Value: []projections.FactKind{
				projections.FactUploaded, projections.FactRequested, projections.FactInspected, projections.FactRendition,
			}}}},
		}, func(f *factDoc) error {
			of := known[f.Attempt]
			first := func(was factDoc) factDoc {
				if was.Position == 0 || f.Position < was.Position {
					return *f
				}
				return was
			}
			switch f.Kind { //nolint:exhaustive // those that were asked for
			case projections.FactUploaded, projections.FactRequested:
				of.start = first(of.start)
			case projections.FactInspected:
				of.length = first(of.length)
			case projections.FactRendition:
				if f.Position > of.last.Position {
					of.last = *f
				}
			}
			known[f.Attempt] = of
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}

func (a *Analytics) each(ctx context.Context, filter bson.D, f func(*factDoc) error) error {
	cursor, err := a.facts.Find(ctx, filter)
	if err != nil {
		return err
	}
	for err == nil && cursor.Next(ctx) {
		var fact factDoc
		if err = bson.Unmarshal(cursor.Current, &fact); err == nil {
			err = f(&fact)
		}
	}
	return cmp.Or(err, cursor.Err(), cursor.Close(context.WithoutCancel(ctx)))
}
