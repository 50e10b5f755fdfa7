package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
)

// A step takes a generation from one checkpoint to the next. Steps are numbered from 1 on without a gap; the newest
// one holds the checkpoint. Inserting the document of step n+1 decides what happens after step n: of all who try, one
// succeeds. The document holds everything that is to be written, so whoever finds a step that was decided and not
// applied can finish it: a crash leaves no row ahead of the checkpoint for good, and needs no transaction for that.
//
// Each row carries the number of the step that wrote it, and is only ever replaced by a later step; rows that were
// removed leave a document that says so. So applying a step twice, or much too late, changes nothing.
type stepDoc struct {
	N       int64           `bson:"_id"`
	From    domain.Position `bson:"from"`
	To      domain.Position `bson:"to"` // the checkpoint when it is applied
	Owner   string          `bson:"owner"`
	Applied bool            `bson:"applied"`
	Retired string          `bson:"retired,omitempty"` // the generation that has replaced this one: no step follows
	Rows    []bson.D        `bson:"rows,omitempty"`
	Drop    []string        `bson:"drop,omitempty"`  // prefixes
	Parts   int             `bson:"parts,omitempty"` // so many documents hold the rest of the rows
}

// partDoc holds rows of a step that is too large for one document.
type partDoc struct {
	ID   string   `bson:"_id"` // a string, so that it is not taken for a step
	Rows []bson.D `bson:"rows"`
}

const (
	// takeover is how long others wait for the owner of a step to apply it.
	takeover = 10 * time.Second
	// applyTimeout bounds the work on a step after it was decided.
	applyTimeout = time.Minute
	// maxStepBytes is how many bytes of rows go into one document.
	maxStepBytes = 6 << 20
	// keepSteps is how many steps are kept, for those who are late to learn that they are.
	keepSteps = 1000
	// knownAge is how long a writer may go on from a step without looking whether it is still the newest.
	knownAge = 5 * time.Second
)

// steps writes one generation, as one of perhaps many.
type steps struct {
	gen   *generation
	owner string
	now   func() time.Time
	keep  int64 // so many steps

	mu    sync.Mutex
	known stepDoc   // the newest applied step that this process knows, without its rows
	since time.Time // when it was the newest
}

// checkpoint returns the newest step when it is applied.
func (s *steps) checkpoint(ctx context.Context) (stepDoc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled(ctx)
}

// settled returns the newest step when it is applied. It finishes one that this writer decided, at once, and anybody
// else's after waiting for its owner.
func (s *steps) settled(ctx context.Context) (stepDoc, error) {
	var waitingFor int64
	var since time.Time
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		newest, err := s.gen.newest(ctx)
		if err != nil {
			return stepDoc{}, err
		}
		if newest.Applied || newest.N == 0 {
			s.known, s.since = newest, s.now()
			return newest, nil
		}
		now := s.now()
		if newest.N != waitingFor {
			waitingFor, since = newest.N, now
		}
		if newest.Owner == s.owner || now.Sub(since) >= takeover {
			if err := s.finish(ctx, newest.N); err != nil {
				return stepDoc{}, err
			}
			continue
		}
		if err := sleep(ctx, wait); err != nil {
			return stepDoc{}, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newest returns the newest step without its rows; the zero value where there is none.
func (g *generation) newest(ctx context.Context) (newest stepDoc, err error) {
	err = g.steps.FindOne(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: 0}}}}, options.FindOne().
		SetSort(bson.D{{Key: "_id", Value: -1}}).SetProjection(bson.D{{Key: "rows", Value: 0}, {Key: "drop", Value: 0}})).Decode(&newest)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return stepDoc{}, nil
	}
	return newest, unavailable(ctx, err)
}

// take decides the step after the one that is known. ErrConflict when somebody else has decided another one.
func (s *steps) take(ctx context.Context, next *stepDoc) error {
	next.N, next.Owner = s.known.N+1, s.owner
	rest := next.Rows
	if next.Rows, rest = part(rest); len(rest) > 0 {
		var parts []partDoc
		for len(rest) > 0 {
			p := partDoc{ID: fmt.Sprintf("%012d/%s/%d", next.N, s.owner, len(parts))}
			p.Rows, rest = part(rest)
			parts = append(parts, p)
		}
		for _, p := range parts {
			if _, err := s.gen.steps.InsertOne(ctx, p); err != nil {
				return unavailable(ctx, err)
			}
		}
		next.Parts = len(parts)
	}
	_, err := s.gen.steps.InsertOne(ctx, next)
	if mongo.IsDuplicateKeyError(err) {
		s.known = stepDoc{}
		return fmt.Errorf("%w: another process has gone on from %d", domain.ErrConflict, next.From)
	}
	return unavailable(ctx, err)
}

// part cuts off as many rows as fit into one document.
func part(rows []bson.D) (first, rest []bson.D) {
	size := 0
	for i, row := range rows {
		for _, field := range row {
			if text, ok := field.Value.(string); ok {
				size += len(text)
			}
			size += rowOverhead
		}
		if size > maxStepBytes && i > 0 {
			return rows[:i], rows[i:]
		}
	}
	return rows, nil
}

const rowOverhead = 50 // of a field, its name and what is not text

// save decides and applies a step from a checkpoint to another.
func (s *steps) save(ctx context.Context, rows []bson.D, drop []string, from, to domain.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A writer that slept longer than steps are kept must not take the place of one that is gone.
	if s.known.N == 0 || s.known.To != from || s.known.Retired != "" || s.now().Sub(s.since) > knownAge {
		if _, err := s.settled(ctx); err != nil {
			return err
		}
	}
	if s.known.To != from || s.known.Retired != "" {
		return fmt.Errorf("%w: the checkpoint is not at %d", domain.ErrConflict, from)
	}
	step := &stepDoc{From: from, To: to, Rows: rows, Drop: drop}
	if err := s.take(ctx, step); err != nil {
		return err
	}
	// It is decided: what ends now does not end the work, or the others would have to wait for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	if err := s.apply(ctx, step, rows); err != nil {
		return err
	}
	s.known, s.since = stepDoc{N: step.N, From: from, To: to, Applied: true}, s.now()
	return nil
}

// finish applies a step that is read back.
func (s *steps) finish(ctx context.Context, n int64) error {
	var step stepDoc
	if err := s.gen.steps.FindOne(ctx, bson.D{{Key: "_id", Value: n}}).Decode(&step); err != nil {
		return fmt.Errorf("finish step %d: %w", n, unavailable(ctx, err))
	}
	if step.Applied {
		return nil
	}
	rows := step.Rows
	for i := range step.Parts {
		var p partDoc
		id := fmt.Sprintf("%012d/%s/%d", n, step.Owner, i)
		err := s.gen.steps.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&p)
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil // somebody else has just finished it
		}
		if err != nil {
			return fmt.Errorf("finish step %d: %w", n, unavailable(ctx, err))
		}
		rows = append(rows, p.Rows...)
	}
	return s.apply(ctx, &step, rows)
}

// apply writes the rows, then removes others, then says so. Rows come in the reverse order of their keys, so that a
// row is there before the one that leads to it ("video" leads to "video/1/chunk").
func (s *steps) apply(ctx context.Context, step *stepDoc, rows []bson.D) error {
	err := s.replace(ctx, step.N, rows)
	for _, prefix := range step.Drop {
		if err == nil {
			err = s.remove(ctx, step.N, prefix)
		}
	}
	if err != nil {
		return fmt.Errorf("apply step %d: %w", step.N, unavailable(ctx, err))
	}
	_, err = s.gen.steps.UpdateOne(ctx, bson.D{{Key: "_id", Value: step.N}}, bson.D{
		{Key: "$set", Value: bson.D{{Key: "applied", Value: true}}},
		{Key: "$unset", Value: bson.D{{Key: "rows", Value: ""}, {Key: "drop", Value: ""}, {Key: "parts", Value: ""}}},
	})
	if err == nil && (step.Parts > 0 || step.N%s.keep == 0) {
		err = s.trim(ctx, step)
	}
	return unavailable(ctx, err)
}

// replace writes rows that no later step has written: first those that are there, then, if that was not all, those that
// are not. One upsert would do both, but one that meets a row of a later step fails, and FerretDB then leaves the rest
// of the command undone.
func (s *steps) replace(ctx context.Context, n int64, rows []bson.D) error {
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b bson.D) int { return strings.Compare(keyOf(b), keyOf(a)) })
	docs := make([]bson.D, len(rows))
	models := make([]mongo.WriteModel, len(rows))
	for i, row := range rows {
		docs[i] = append(slices.Clip(row), bson.E{Key: "n", Value: n})
		models[i] = mongo.NewReplaceOneModel().SetReplacement(docs[i]).
			SetFilter(bson.D{row[0], {Key: "n", Value: bson.D{{Key: "$lt", Value: n}}}})
	}
	done, err := s.gen.rows.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	if err != nil || done.MatchedCount == int64(len(rows)) {
		return err
	}
	_, err = s.gen.rows.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	if onlyDuplicates(err) {
		return nil
	}
	return err
}

// remove leaves a mark in the place of every row under a prefix that this step or a later one has not written.
func (s *steps) remove(ctx context.Context, n int64, prefix string) error {
	cursor, err := s.gen.rows.Find(ctx, bson.D{
		{Key: "_id", Value: startingWith(prefix)}, {Key: "n", Value: bson.D{{Key: "$lt", Value: n}}},
	}, options.Find().SetProjection(bson.D{{Key: "gone", Value: 1}}))
	if err != nil {
		return err
	}
	var found []struct {
		Key  string `bson:"_id"`
		Gone bool   `bson:"gone"`
	}
	if err := cursor.All(ctx, &found); err != nil {
		return err
	}
	var marks []bson.D
	for _, f := range found {
		if !f.Gone {
			marks = append(marks, bson.D{{Key: "_id", Value: f.Key}, {Key: "gone", Value: true}})
		}
	}
	return s.replace(ctx, n, marks)
}

// trim removes steps that everybody knows, and parts that no step needs any longer.
func (s *steps) trim(ctx context.Context, step *stepDoc) error {
	for i := range step.Parts {
		id := fmt.Sprintf("%012d/%s/%d", step.N, step.Owner, i)
		if _, err := s.gen.steps.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}}); err != nil {
			return err
		}
	}
	before := step.N - s.keep
	if before <= 0 {
		return nil
	}
	_, err := s.gen.steps.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: 0}, {Key: "$lt", Value: before}}}})
	if err == nil {
		_, err = s.gen.steps.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{
			{Key: "$gte", Value: ""}, {Key: "$lt", Value: fmt.Sprintf("%012d", before)},
		}}})
	}
	return err
}

// keyOf returns the key of a row: its first field.
func keyOf(row bson.D) string {
	key, _ := row[0].Value.(string)
	return key
}
