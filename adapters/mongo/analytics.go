package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Analytics keeps the facts behind the figures, in generations as the other read models. Figures are summed up when they
// are asked for: sums of what is there once cannot be wrong, whatever came twice or late.
//
// Facts come by messages, past the steps of a generation. The steps, which hold no rows, only say up to where facts have
// also been taken from the log itself.
type Analytics struct{ gens *generations }

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

func analyticsView() view {
	return view{projections.AnalyticsName, projections.AnalyticsVersion, []index{
		{name: "time", keys: bson.D{{Key: "time", Value: 1}}},
		{name: "attempt", keys: bson.D{{Key: "attempt", Value: 1}, {Key: "kind", Value: 1}}},
	}}
}

// OpenAnalytics opens the figures, which Provision has created. ErrNotFound when it has not. It needs no closing.
func OpenAnalytics(ctx context.Context, db *DB) (*Analytics, error) {
	return openAnalytics(ctx, db, analyticsView())
}

func openAnalytics(ctx context.Context, db *DB, v view) (*Analytics, error) {
	// Where the indexes are the same, facts of another version can be served.
	gens, err := openGenerations(ctx, db, v, nil)
	if err != nil {
		return nil, err
	}
	return &Analytics{gens: gens}, nil
}

// Record stores facts; one whose position is there already changes nothing. After an error some of them may be stored:
// giving them again stores the rest.
func (a *Analytics) Record(ctx context.Context, facts []projections.Fact) error {
	docs := factDocs(facts)
	g, err := a.gens.acquire(ctx, false)
	// A generation that is announced as the next one may have read the log before these facts' events were in it. Where
	// none is announced once they are stored, whoever announces one later finds the events in the log.
	for into := []*generation{g}; err == nil && len(into) > 0; into = into[1:] {
		if err = into[0].insertFacts(ctx, docs); err == nil {
			var announced []*generation
			announced, err = a.gens.announcedAfter(ctx, into[0])
			into = append(into, announced...)
		}
	}
	if err != nil {
		return fmt.Errorf("record facts: %w", err)
	}
	return nil
}

func factDocs(facts []projections.Fact) []factDoc {
	docs := make([]factDoc, len(facts))
	for i, f := range facts {
		docs[i] = factDoc{
			Position: f.Position, Time: f.Time.UnixMicro(), Kind: f.Kind, Video: f.Video, Number: f.Attempt,
			Attempt: fmt.Sprintf("%s/%d", f.Video, f.Attempt), Code: f.Code, Bytes: f.Bytes, Length: f.Length.Milliseconds(),
		}
	}
	return docs
}

func (g *generation) insertFacts(ctx context.Context, docs []factDoc) error {
	for some := range slices.Chunk(docs, recordAtOnce) {
		_, err := g.rows.InsertMany(ctx, some, options.InsertMany().SetOrdered(false))
		if err != nil && !onlyDuplicates(err) {
			return unavailable(ctx, err)
		}
	}
	return nil
}

const recordAtOnce = 1000

// onlyDuplicates says that an unordered write did all that it was asked for but what a unique key kept out.
func onlyDuplicates(err error) bool {
	var failed mongo.BulkWriteException
	return errors.As(err, &failed) && failed.WriteConcernError == nil &&
		!slices.ContainsFunc(failed.WriteErrors, func(e mongo.BulkWriteError) bool { return !mongo.IsDuplicateKeyError(e) })
}

// CatchUp takes the facts from the log that no message brought: those from before the figures were kept, and those of
// messages that were lost with the queues. Messages may come meanwhile. skip names events that mean nothing; it may be
// nil. ErrOutdated: the facts are those of another version.
func (a *Analytics) CatchUp(ctx context.Context, log projections.Log, skip func(domain.Position) bool) error {
	for {
		g, err := a.settled(ctx, log, skip)
		if err == nil {
			err = a.gens.outdated(g)
		}
		if err != nil {
			return fmt.Errorf("catch up %s: %w", a.gens.name, err)
		}
		_, err = projections.CatchUp(ctx, log, &factsTarget{newSteps(a.gens.db, g), skip}, projections.CatchUpOptions{})
		if errors.Is(err, domain.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("catch up %s: %w", a.gens.name, err)
		}
		if announced, err := a.gens.announcedAfter(ctx, g); err != nil || len(announced) == 0 {
			return err
		}
	}
}

// factsTarget takes the facts of one generation from the log.
type factsTarget struct {
	steps *steps
	skip  func(domain.Position) bool
}

var _ projections.Target = (*factsTarget)(nil)

// Checkpoint implements projections.Target.
func (t *factsTarget) Checkpoint(ctx context.Context) (domain.Position, error) {
	newest, err := t.steps.checkpoint(ctx)
	return newest.To, err
}

// Apply implements projections.Target. Facts are there before the checkpoint says so.
func (t *factsTarget) Apply(ctx context.Context, events []domain.Recorded) error {
	if len(events) == 0 {
		return nil
	}
	err := t.steps.gen.insertFacts(ctx, factDocs(projections.FactsOf(projections.Given(events, t.skip)...)))
	if err != nil {
		return err
	}
	return t.steps.save(ctx, nil, nil, events[0].Position-1, events[len(events)-1].Position)
}

// Stored says what is stored of the figures. They stand at their newest fact, or where the log was last read up to: what
// came after that by messages, and means nothing for the figures, leaves no trace.
func (a *Analytics) Stored(ctx context.Context) (s projections.Stored, err error) {
	g, err := a.gens.acquire(ctx, true)
	if err != nil {
		return s, err
	}
	s.Generation, s.Version = g.name, g.view.version
	read, err := g.newest(ctx)
	if err != nil {
		return s, err
	}
	newest, err := g.newestFact(ctx)
	if err != nil {
		return s, err
	}
	s.Position = max(read.To, newest)
	before, err := a.gens.before(ctx, g)
	if before != nil {
		s.Previous = before.name
	}
	return s, err
}

// newestFact is the position of the newest fact: of the events after it no message has come yet.
func (g *generation) newestFact(ctx context.Context) (domain.Position, error) {
	var newest factDoc
	err := g.rows.FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}})).Decode(&newest)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = nil
	}
	return newest.Position, unavailable(ctx, err)
}
