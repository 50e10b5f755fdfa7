package mongo

import (
	"context"
	"errors"
	"fmt"
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
	Key     string          `bson:"_id"` // stepKey(N): text, as the keys of commits are
	N       int64           `bson:"n"`
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
	Key  string   `bson:"_id"`
	Rows []bson.D `bson:"rows"`
}

func stepKey(n int64) string { return fmt.Sprintf("%012d", n) }

// stepKeys selects steps, and no parts.
func stepKeys() bson.D { return bson.D{{Key: "$gte", Value: "0"}, {Key: "$lt", Value: ":"}} }

// partKey is the key of a part, after those of all steps. Of two who decide about a step each has parts of its own.
func partKey(n int64, owner string, i int) string {
	return fmt.Sprintf("%s%s/%s/%d", parts, stepKey(n), owner, i)
}

const parts = "part/"

const (
	// takeover is how long others wait for the owner of a step to apply it.
	takeover = 10 * time.Second
	// applyTimeout bounds the work on a step after it was decided.
	applyTimeout = time.Minute
	// maxStepBytes is how many bytes of rows go into one document.
	maxStepBytes = 6 << 20
	// keepSteps is how many steps are kept, for those who are late to learn that they are.
	keepSteps = 1000
	// knownAge is how long a writer may go on from a step without looking whether it is still there: not as long as a
	// generation is kept that was replaced (dropAge), or the next step would be taken in what is gone.
	knownAge = time.Second
)

// steps writes one generation, as one of perhaps many.
type steps struct {
	gen   *generation
	owner string
	now   func() time.Time
	keep  int64 // so many steps
	// impatient does not wait for the owner of a step to apply it.
	impatient bool

	mu    sync.Mutex
	known stepDoc   // the newest applied step that this process knows, without its rows
	since time.Time // when it was the newest

	existing existing
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
		now := s.now()
		newest, err := s.newest(ctx)
		if err != nil {
			return stepDoc{}, err
		}
		if newest.Applied || newest.N == 0 {
			s.known, s.since = newest, now
			return newest, nil
		}
		if newest.N != waitingFor {
			waitingFor, since = newest.N, now
		}
		if newest.Owner == s.owner || s.impatient || now.Sub(since) >= takeover {
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

// newest returns the newest step without its rows; the zero value where there is none. From the one that is known it
// goes on by keys.
func (s *steps) newest(ctx context.Context) (stepDoc, error) {
	at := s.known
	if at.N == 0 {
		return s.gen.newest(ctx)
	}
	for range stepByStep {
		next, err := s.gen.step(ctx, at.N+1)
		if err != nil {
			return stepDoc{}, err
		}
		if next.N > 0 {
			at = next
			continue
		}
		// Nothing follows; or what followed is gone, and then this one too, since the older ones go first.
		if at, err = s.gen.step(ctx, at.N); err != nil || at.N > 0 {
			return at, err
		}
		break
	}
	return s.gen.newest(ctx)
}

// stepByStep is how many steps are looked at one by one, before the newest is searched for.
const stepByStep = 4

// newest searches for the newest step.
func (g *generation) newest(ctx context.Context) (stepDoc, error) {
	return g.one(ctx, stepKeys(), options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}}))
}

// step returns one step, which may not be there.
func (g *generation) step(ctx context.Context, n int64) (stepDoc, error) {
	return g.one(ctx, stepKey(n), options.FindOne())
}

// one returns a step without its rows; the zero value where there is none.
func (g *generation) one(ctx context.Context, key any, o *options.FindOneOptionsBuilder) (found stepDoc, err error) {
	o.SetProjection(bson.D{{Key: "rows", Value: 0}, {Key: "drop", Value: 0}})
	err = g.steps.FindOne(ctx, bson.D{{Key: "_id", Value: key}}, o).Decode(&found)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return stepDoc{}, nil
	}
	return found, unavailable(ctx, err)
}

// take decides the step after the one that is known. ErrConflict when somebody else has decided another one.
func (s *steps) take(ctx context.Context, next *stepDoc) error {
	next.N, next.Owner = s.known.N+1, s.owner
	next.Key = stepKey(next.N)
	rest := next.Rows
	if next.Rows, rest = part(rest); len(rest) > 0 {
		var parts []partDoc
		for len(rest) > 0 {
			p := partDoc{Key: partKey(next.N, s.owner, len(parts))}
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
		s.since = time.Time{}
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
	// What changes no row, as a relay's step, is applied when it is decided.
	step := &stepDoc{From: from, To: to, Rows: rows, Drop: drop, Applied: len(rows)+len(drop) == 0}
	now := s.now()
	if err := s.take(ctx, step); err != nil {
		return err
	}
	// It is decided: what ends now does not end the work, or the others would have to wait for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	if !step.Applied {
		if err := s.apply(ctx, step, rows); err != nil {
			return err
		}
	}
	s.known, s.since = stepDoc{N: step.N, From: from, To: to, Applied: true}, now
	return s.tidy(ctx, step)
}

// finish applies a step that is read back.
func (s *steps) finish(ctx context.Context, n int64) error {
	var step stepDoc
	if err := s.gen.steps.FindOne(ctx, bson.D{{Key: "_id", Value: stepKey(n)}}).Decode(&step); err != nil {
		return fmt.Errorf("finish step %d: %w", n, unavailable(ctx, err))
	}
	if step.Applied {
		return nil
	}
	rows := step.Rows
	for i := range step.Parts {
		var p partDoc
		err := s.gen.steps.FindOne(ctx, bson.D{{Key: "_id", Value: partKey(n, step.Owner, i)}}).Decode(&p)
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil // somebody else has just finished it
		}
		if err != nil {
			return fmt.Errorf("finish step %d: %w", n, unavailable(ctx, err))
		}
		rows = append(rows, p.Rows...)
	}
	if err := s.apply(ctx, &step, rows); err != nil {
		return err
	}
	return s.tidy(ctx, &step)
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
	_, err = s.gen.steps.UpdateOne(ctx, bson.D{{Key: "_id", Value: stepKey(step.N)}}, bson.D{
		{Key: "$set", Value: bson.D{{Key: "applied", Value: true}}},
		{Key: "$unset", Value: bson.D{{Key: "rows", Value: ""}, {Key: "drop", Value: ""}, {Key: "parts", Value: ""}}},
	})
	return unavailable(ctx, err)
}

// tidy trims, where there is something to trim after a step.
func (s *steps) tidy(ctx context.Context, step *stepDoc) error {
	if step.Parts == 0 && step.N%s.keep != 0 {
		return nil
	}
	return unavailable(ctx, s.trim(ctx, step))
}

// trim removes steps that everybody knows, and parts that no step needs any longer.
func (s *steps) trim(ctx context.Context, step *stepDoc) error {
	for i := range step.Parts {
		if _, err := s.gen.steps.DeleteOne(ctx, bson.D{{Key: "_id", Value: partKey(step.N, step.Owner, i)}}); err != nil {
			return err
		}
	}
	before := step.N - s.keep
	if before <= 0 {
		return nil
	}
	for _, prefix := range []string{"", parts} {
		_, err := s.gen.steps.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{
			{Key: "$gte", Value: prefix}, {Key: "$lt", Value: prefix + stepKey(before)},
		}}})
		if err != nil {
			return err
		}
	}
	return nil
}
