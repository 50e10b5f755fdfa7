package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// CatchUp takes all facts from the log where none is stored yet: those from before the figures were kept. skip names
// events that mean nothing; it may be nil.
func (a *Analytics) CatchUp(ctx context.Context, log projections.Log, skip func(domain.Position) bool) error {
	n, err := a.facts.EstimatedDocumentCount(ctx)
	if err != nil {
		return fmt.Errorf("catch up analytics: %w", unavailable(ctx, err))
	}
	if n > 0 {
		return nil
	}
	_, err = a.Rebuild(ctx, log, &projections.RebuildOptions{Skip: skip})
	return err
}

// Rebuild compares what is stored with the facts of the log and mends what differs, where it stands: every fact is by
// itself, so nobody meets half a build, and one that was cut off has done a part of it. o may be nil. Messages and queries
// go on meanwhile.
func (a *Analytics) Rebuild(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	if o != nil && o.Begun != nil {
		o.Begun() // any number may
	}
	return a.compare(ctx, log, o.OrZero(), true)
}

// Verify says whether the figures are those of the log, and changes nothing.
func (a *Analytics) Verify(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return projections.CompareUntilEqual(ctx, func() (Rebuilt, error) { return a.compare(ctx, log, o.OrZero(), false) })
}

// Rollback is ErrNotFound: the figures are mended where they stand.
func (a *Analytics) Rollback(context.Context, projections.Log, *projections.RebuildOptions) (Rebuilt, error) {
	return Rebuilt{}, fmt.Errorf("%w: figures in MongoDB are mended where they stand, no generation before is kept", domain.ErrNotFound)
}

// Stored says what is stored of the figures: they stand at the newest fact.
func (a *Analytics) Stored(ctx context.Context) (projections.Stored, error) {
	newest, err := a.newest(ctx)
	return projections.Stored{Generation: a.facts.Name(), Version: projections.AnalyticsVersion, Position: newest}, err
}

func (a *Analytics) compare(ctx context.Context, log projections.Log, o projections.RebuildOptions, mend bool) (Rebuilt, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild analytics: %w", err)
	}
	c := factCompare{a: a, mend: mend, skip: o.Skip, stored: sha256.New(), want: sha256.New(), days: map[string]bool{}}
	if c.newest, err = a.newest(ctx); err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild analytics: %w", err)
	}
	to := projections.CatchUpOptions{Batch: rebuildBatch, Until: head, Progress: o.Progress, Rate: o.Rate, GiveWay: o.GiveWay}
	if head > 0 {
		if c.at, err = projections.CatchUp(ctx, log, &c, to); err != nil {
			return Rebuilt{}, fmt.Errorf("rebuild analytics: %w", err)
		}
	}
	done := Rebuilt{
		Position: c.at, Rows: c.rows, Hash: hex.EncodeToString(c.want.Sum(nil)), LiveHash: hex.EncodeToString(c.stored.Sum(nil)),
		New: c.newest == 0,
	}
	if done.New {
		done.LiveHash = ""
	} else {
		done.Differ(slices.Sorted(maps.Keys(c.days))...)
	}
	return done, nil
}

// newest is the position of the newest fact: of the events after it no message has come yet.
func (a *Analytics) newest(ctx context.Context) (domain.Position, error) {
	var newest []factDoc
	found, err := a.facts.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(1))
	if err == nil {
		err = found.All(ctx, &newest)
	}
	if err != nil || len(newest) == 0 {
		return 0, unavailable(ctx, err)
	}
	return newest[0].Position, nil
}

// factCompare is a projection that compares, and mends if it may.
type factCompare struct {
	a            *Analytics
	mend         bool
	skip         func(domain.Position) bool
	newest, at   domain.Position
	rows         int
	stored, want hash.Hash
	days         map[string]bool
}

var _ projections.Target = (*factCompare)(nil)

// Checkpoint implements projections.Target.
func (c *factCompare) Checkpoint(context.Context) (domain.Position, error) { return c.at, nil }

// Apply implements projections.Target.
func (c *factCompare) Apply(ctx context.Context, events []domain.Recorded) error {
	to := events[len(events)-1].Position
	stored, err := c.a.between(ctx, c.at, to)
	if err != nil {
		return err
	}
	var missing []projections.Fact
	var wrong []domain.Position
	for _, f := range projections.FactsOf(projections.Given(events, c.skip)...) {
		c.rows++
		want := docOf(f)
		have, ok := stored[f.Position]
		delete(stored, f.Position)
		if f.Position <= c.newest {
			_, _ = fmt.Fprintf(c.want, "%+v\n", want) // a hash takes everything
			if ok {
				_, _ = fmt.Fprintf(c.stored, "%+v\n", have)
			}
		}
		if ok && have == want {
			continue
		}
		missing = append(missing, f)
		if ok {
			wrong = append(wrong, f.Position)
			c.differs(have)
		}
		if f.Position <= c.newest {
			c.differs(want)
		}
	}
	for _, position := range slices.Sorted(maps.Keys(stored)) { // no event gives these
		_, _ = fmt.Fprintf(c.stored, "%+v\n", stored[position])
		wrong = append(wrong, position)
		c.differs(stored[position])
	}
	c.at = to
	if !c.mend {
		return nil
	}
	if len(wrong) > 0 {
		_, err := c.a.facts.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: wrong}}}})
		if err != nil {
			return fmt.Errorf("remove wrong facts: %w", unavailable(ctx, err))
		}
	}
	return c.a.Record(ctx, missing)
}

// between returns the facts of the events after one position and up to another.
func (a *Analytics) between(ctx context.Context, after, to domain.Position) (map[domain.Position]factDoc, error) {
	found, err := a.facts.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}, {Key: "$lte", Value: to}}}})
	var docs []factDoc
	if err == nil {
		err = found.All(ctx, &docs)
	}
	byPosition := make(map[domain.Position]factDoc, len(docs))
	for _, f := range docs {
		byPosition[f.Position] = f
	}
	return byPosition, unavailable(ctx, err)
}

func (c *factCompare) differs(f factDoc) {
	c.days[time.UnixMicro(f.Time).UTC().Format(time.DateOnly)] = true
}
