package mongo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/cinelog/cinelog/projections"
)

// Each implements projections.Facts. What it adds to a fact it asks for first: a fact that comes meanwhile may be handed
// out without.
func (a *Analytics) Each(ctx context.Context, from, to time.Time, f func(projections.CountedFact) error) error {
	var facts []projections.CountedFact // handed out when a rebuild can no longer begin the query anew
	err := a.gens.with(ctx, func(g *generation) error {
		facts = nil
		known, err := g.attempts(ctx, from, to)
		if err != nil {
			return err
		}
		return g.eachFact(ctx, bson.D{
			{Key: "time", Value: within(from.UnixMicro(), to.UnixMicro())},
			{Key: "kind", Value: bson.D{{Key: "$in", Value: []projections.FactKind{
				projections.FactUploaded, projections.FactRendition, projections.FactFailed, projections.FactPublished,
			}}}},
		}, func(doc *factDoc) error {
			facts = append(facts, known[doc.Attempt].counted(doc))
			return nil
		})
	})
	for _, fact := range facts {
		if err != nil {
			break
		}
		err = f(fact)
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

// counted is a fact with what its attempt says about it.
func (a attempt) counted(doc *factDoc) projections.CountedFact {
	fact := projections.CountedFact{Fact: projections.Fact{
		Position: doc.Position, Kind: doc.Kind, Time: time.UnixMicro(doc.Time).UTC(), Video: doc.Video, Attempt: doc.Number,
		Code: doc.Code, Bytes: doc.Bytes,
	}}
	switch {
	case doc.Kind == projections.FactUploaded:
		fact.Length = time.Duration(a.length.Length) * time.Millisecond
	case doc.Position == a.last.Position && a.start.Position > 0: // a clock may have been set back meanwhile
		fact.Done, fact.Took = true, max(0, time.Duration(doc.Time-a.start.Time)*time.Microsecond)
	}
	return fact
}

// attempts finds what there is of the attempts that began or came further in [from, to).
func (g *generation) attempts(ctx context.Context, from, to time.Time) (map[string]attempt, error) {
	known := map[string]attempt{}
	err := g.eachFact(ctx, bson.D{
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
		err := g.eachFact(ctx, bson.D{
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

func (g *generation) eachFact(ctx context.Context, filter bson.D, f func(*factDoc) error) error {
	cursor, err := g.rows.Find(ctx, filter)
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
