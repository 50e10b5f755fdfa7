package mongo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	Day      int64                `bson:"day"`  // days since 1970 in UTC
	Time     int64                `bson:"time"` // microseconds since 1970
	Kind     projections.FactKind `bson:"kind"`
	Attempt  string               `bson:"attempt"` // of a video, as one string
	Code     domain.FailureCode   `bson:"code"`
	Bytes    int64                `bson:"bytes"`
}

func factsCollection() collection {
	return collection{name: "facts", indexes: []index{
		{name: "day", keys: bson.D{
			{Key: "day", Value: 1}, {Key: "kind", Value: 1}, {Key: "code", Value: 1}, {Key: "bytes", Value: 1},
		}},
		{name: "attempt", keys: bson.D{{Key: "attempt", Value: 1}, {Key: "kind", Value: 1}, {Key: "time", Value: 1}}},
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
		Position: f.Position, Day: projections.DayNumber(f.Time), Time: f.Time.UnixMicro(), Kind: f.Kind,
		Attempt: fmt.Sprintf("%s/%d", f.Video, f.Attempt), Code: f.Code, Bytes: f.Bytes,
	}
}

const recordAtOnce = 1000

// onlyDuplicates says that an unordered write did all that it was asked for but what a unique key kept out.
func onlyDuplicates(err error) bool {
	var failed mongo.BulkWriteException
	return errors.As(err, &failed) && failed.WriteConcernError == nil &&
		!slices.ContainsFunc(failed.WriteErrors, func(e mongo.BulkWriteError) bool { return !mongo.IsDuplicateKeyError(e) })
}

// Summary sums the days up that begin in [from, to).
func (a *Analytics) Summary(ctx context.Context, from, to time.Time) ([]projections.Day, error) {
	first, end := projections.DayNumbers(from, to)
	days := map[int64]*projections.Day{}
	err := a.count(ctx, days, first, end)
	if err == nil {
		err = a.measure(ctx, days, first, end)
	}
	if err != nil {
		return nil, fmt.Errorf("summary: %w", unavailable(ctx, err))
	}
	var summary []projections.Day
	for _, d := range days {
		summary = append(summary, *d)
	}
	slices.SortFunc(summary, func(a, b projections.Day) int { return a.Day.Compare(b.Day) })
	return summary, nil
}

func within(first, end int64) bson.D {
	return bson.D{{Key: "$gte", Value: first}, {Key: "$lt", Value: end}}
}

func (a *Analytics) count(ctx context.Context, days map[int64]*projections.Day, first, end int64) error {
	day := func(n int64) *projections.Day {
		if days[n] == nil {
			days[n] = &projections.Day{Day: projections.NumberedDay(n)}
		}
		return days[n]
	}
	err := a.sum(ctx, first, end, 1, func(g factGroup, n int64) {
		switch d := day(g.Day); g.Kind {
		case projections.FactUploaded:
			d.Uploads = int(n)
		case projections.FactRendition:
			d.Renditions = int(n)
		case projections.FactPublished:
			d.Publications = int(n)
		case projections.FactFailed:
			if d.Failures == nil {
				d.Failures = map[domain.FailureCode]int{}
			}
			d.Failures[g.Code] = int(n)
		case projections.FactRequested:
		}
	})
	if err != nil {
		return err
	}
	// FerretDB gives nothing for the second sum of one group, so this is a question of its own.
	return a.sum(ctx, first, end, "$bytes", func(g factGroup, bytes int64) {
		switch d := day(g.Day); g.Kind {
		case projections.FactUploaded:
			d.UploadedBytes = bytes
		case projections.FactRendition:
			d.RenditionBytes = bytes
		case projections.FactPublished, projections.FactFailed, projections.FactRequested:
		}
	})
}

type factGroup struct {
	Day  int64                `bson:"day"`
	Kind projections.FactKind `bson:"kind"`
	Code domain.FailureCode   `bson:"code"`
}

// sum adds something up for each day, kind and code.
func (a *Analytics) sum(ctx context.Context, first, end int64, what any, each func(factGroup, int64)) error {
	var found []struct {
		Group factGroup `bson:"_id"`
		Sum   int64     `bson:"sum"`
	}
	cursor, err := a.facts.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: bson.D{
			{Key: "day", Value: within(first, end)},
			{Key: "kind", Value: bson.D{{Key: "$ne", Value: projections.FactRequested}}}, // counts as a start only
		}}},
		{{Key: "$group", Value: bson.D{
			{Key: "_id", Value: bson.D{{Key: "day", Value: "$day"}, {Key: "kind", Value: "$kind"}, {Key: "code", Value: "$code"}}},
			{Key: "sum", Value: bson.D{{Key: "$sum", Value: what}}},
		}}},
	})
	if err == nil {
		err = cursor.All(ctx, &found)
	}
	for _, f := range found {
		each(f.Group, f.Sum)
	}
	return err
}

// measure adds the processing times. An attempt belongs to the day of its last rendition; one whose start is not
// known yet is not counted yet.
func (a *Analytics) measure(ctx context.Context, days map[int64]*projections.Day, first, end int64) error {
	attempts := map[string]bool{}
	err := a.each(ctx, bson.D{{Key: "day", Value: within(first, end)}, {Key: "kind", Value: projections.FactRendition}},
		func(f *factDoc) { attempts[f.Attempt] = true })
	if err != nil {
		return err
	}
	list := make([]string, 0, len(attempts))
	for attempt := range attempts {
		list = append(list, attempt)
	}
	for some := range slices.Chunk(list, recordAtOnce) {
		started, ended := map[string]int64{}, map[string]int64{}
		err := a.each(ctx, bson.D{
			{Key: "attempt", Value: bson.D{{Key: "$in", Value: some}}},
			{Key: "kind", Value: bson.D{{Key: "$in", Value: []projections.FactKind{
				projections.FactUploaded, projections.FactRequested, projections.FactRendition,
			}}}},
		}, func(f *factDoc) {
			if f.Kind == projections.FactRendition {
				ended[f.Attempt] = max(ended[f.Attempt], f.Time)
			} else if at, ok := started[f.Attempt]; !ok || f.Time < at {
				started[f.Attempt] = f.Time
			}
		})
		if err != nil {
			return err
		}
		for attempt, from := range started {
			to := ended[attempt]
			// The day of the last rendition has that rendition, so it is among the days, unless it is after the range.
			d := days[projections.DayNumber(time.UnixMicro(to))]
			if d == nil {
				continue
			}
			took := max(0, time.Duration(to-from)*time.Microsecond) // a clock may have been set back
			d.Processed++
			d.ProcessingTime += took
			d.LongestProcessing = max(d.LongestProcessing, took)
		}
	}
	return nil
}

func (a *Analytics) each(ctx context.Context, filter bson.D, f func(*factDoc)) error {
	cursor, err := a.facts.Find(ctx, filter, options.Find().
		SetProjection(bson.D{{Key: "attempt", Value: 1}, {Key: "kind", Value: 1}, {Key: "time", Value: 1}}))
	if err != nil {
		return err
	}
	for cursor.Next(ctx) {
		var fact factDoc
		if err = bson.Unmarshal(cursor.Current, &fact); err != nil {
			break
		}
		f(&fact)
	}
	return cmp.Or(err, cursor.Err(), cursor.Close(context.WithoutCancel(ctx)))
}
