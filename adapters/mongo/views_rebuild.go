package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Rebuilt is the outcome of a rebuild.
type Rebuilt = projections.Rebuilt

const rebuildBatch = 5000

// Rebuild builds the read model from the first event on, beside the one in use, compares the two at the same position
// and makes the new one current; progress may be nil. Queries go on meanwhile, in all processes, and then move over, a
// moment before the old one is dropped. ErrConflict: another rebuild is running.
func (r *Rows[R]) Rebuild(ctx context.Context, log projections.Log, progress func(domain.Position)) (Rebuilt, error) {
	return r.rebuild(ctx, log, progress, true)
}

// Verify does all that Rebuild does except to switch: it says whether the read model is what the log gives.
func (r *Rows[R]) Verify(ctx context.Context, log projections.Log, progress func(domain.Position)) (Rebuilt, error) {
	return r.rebuild(ctx, log, progress, false)
}

func (r *Rows[R]) rebuild(
	ctx context.Context, log projections.Log, progress func(domain.Position), switchOver bool,
) (done Rebuilt, err error) {
	db := r.gens.db
	ctx, release, err := db.lease(ctx, "rebuild of "+r.model.Name)
	if err != nil {
		return Rebuilt{}, err
	}
	defer release()
	live, _, err := r.checkpoint(ctx)
	if err != nil {
		return Rebuilt{}, err
	}
	next, err := db.create(ctx, r.gens.view)
	if err != nil {
		return Rebuilt{}, err
	}
	c := newComparison(r, log, live, next, switchOver)
	if err = c.build(ctx, progress); err == nil {
		done, err = c.compare(ctx)
	}
	if c.switched && err == nil {
		_, err = db.point(ctx, r.gens.view, live.number+1, next.name)
	}
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if err != nil {
		err = fmt.Errorf("rebuild %s: %w", r.model.Name, err)
	}
	return done, errors.Join(err, r.sweep(ctx, c.switched, live, next))
}

// sweep drops what is not needed any longer: the build if it was not switched to, else the generation before it, and
// what crashed rebuilds left. Where it is cut off the next rebuild does it.
func (r *Rows[R]) sweep(ctx context.Context, switched bool, live, next *generation) error {
	if !switched {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
		defer cancel()
		return r.gens.db.drop(ctx, r.gens.view, next.name)
	}
	if err := sleep(ctx, dropAge); err != nil {
		return err
	}
	others, err := r.gens.others(ctx, next.name)
	for _, name := range others {
		if name != live.name {
			var unused bool
			if unused, err = r.gens.unused(ctx, name); err == nil && !unused {
				continue
			}
		}
		if err == nil {
			err = r.gens.db.drop(ctx, r.gens.view, name)
		}
		if err != nil {
			break
		}
	}
	return err
}

// comparison is a rebuild under way.
type comparison[R any] struct {
	rows       *Rows[R]
	log        projections.Log
	live       *steps // of the generation in use
	next       *building[R]
	switchOver bool
	switched   bool
}

func newComparison[R any](r *Rows[R], log projections.Log, live, next *generation, switchOver bool) *comparison[R] {
	return &comparison[R]{
		rows: r, log: log, live: newSteps(r.gens.db, live), next: &building[R]{rows: r, gen: next}, switchOver: switchOver,
	}
}

// catchUp brings the build to a position.
func (c *comparison[R]) catchUp(ctx context.Context, until domain.Position, progress func(domain.Position)) error {
	if until <= c.next.at { // 0 would mean the head
		return nil
	}
	target := projections.NewReadModel(c.rows.model, c.next)
	_, err := projections.CatchUp(ctx, c.log, target, projections.CatchUpOptions{Batch: rebuildBatch, Until: until, Progress: progress})
	return err
}

// build fills the new generation, and helps the one in use to get as far.
func (c *comparison[R]) build(ctx context.Context, progress func(domain.Position)) error {
	// A head that is fixed now: writers that are faster than a rebuild must not keep it from ending.
	head, err := c.log.Head(ctx)
	if err != nil {
		return err
	}
	if err := c.catchUp(ctx, head, progress); err != nil {
		return err
	}
	// The one in use may be behind, where nobody keeps it up to date: help it, as any projector may.
	for {
		at, err := c.rows.Checkpoint(ctx)
		if err != nil || at >= head {
			return err
		}
		live := projections.NewReadModel(c.rows.model, c.rows)
		_, err = projections.CatchUp(ctx, c.log, live, projections.CatchUpOptions{Batch: rebuildBatch, Until: head})
		if err != nil && !errors.Is(err, domain.ErrConflict) {
			return fmt.Errorf("catch up the one in use: %w", err)
		}
	}
}

// compare looks at all rows while the one in use goes on changing, then stops that for a moment to look again at those
// that differed, and switches in that moment.
func (c *comparison[R]) compare(ctx context.Context) (Rebuilt, error) {
	suspects, err := c.scan(ctx)
	if err != nil {
		return Rebuilt{}, err
	}
	for {
		at, err := c.rows.Checkpoint(ctx)
		if err != nil {
			return Rebuilt{}, err
		}
		if err := c.catchUp(ctx, at, nil); err != nil { // most of it before the others have to wait
			return Rebuilt{}, err
		}
		done, err := c.holding(ctx, suspects)
		if !errors.Is(err, errOvertaken) {
			return done, err
		}
	}
}

// errOvertaken says that somebody was faster with a step, or went on from one that was meant to hold all up.
var errOvertaken = errors.New("overtaken")

// holding decides a step that nobody else applies, so that all writers wait, and compares and switches behind it.
func (c *comparison[R]) holding(ctx context.Context, suspects []string) (done Rebuilt, err error) {
	before, err := c.live.checkpoint(ctx)
	if err != nil {
		return Rebuilt{}, err
	}
	if before.Retired != "" {
		return Rebuilt{}, fmt.Errorf("%w: it was rebuilt meanwhile", domain.ErrConflict)
	}
	hold := stepDoc{From: before.To, To: before.To}
	if err := c.live.take(ctx, &hold); err != nil {
		if errors.Is(err, domain.ErrConflict) {
			err = errOvertaken
		}
		return Rebuilt{}, err
	}
	defer func() {
		if !c.switched {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
			defer cancel()
			err = errors.Join(err, c.live.apply(ctx, &hold, nil))
		}
	}()
	if err := c.catchUp(ctx, hold.To, nil); err != nil {
		return Rebuilt{}, err
	}
	if done, err = c.look(ctx, suspects); err != nil {
		return done, err
	}
	if c.switchOver {
		return done, c.switchTo(ctx, hold)
	}
	if now, err := c.live.gen.newest(ctx); err != nil || now.N != hold.N || now.Applied {
		return done, errors.Join(err, errOvertaken)
	}
	return done, nil
}

// switchTo makes the build current. The step that says so is the last one of the generation before: nobody can go on
// there believing that it is current, and whoever finds it sees to the pointer.
func (c *comparison[R]) switchTo(ctx context.Context, hold stepDoc) error {
	next := c.next.gen
	if err := c.next.finish(ctx); err != nil {
		return err
	}
	fate, err := c.rows.gens.db.decide(ctx, next.name, true)
	if err != nil {
		return err
	}
	if !fate.Used {
		return fmt.Errorf("%w: another rebuild took this one for dead", domain.ErrConflict)
	}
	c.live.known = hold
	last := stepDoc{From: hold.To, To: hold.To, Retired: next.name, Applied: true}
	if err := c.live.take(ctx, &last); errors.Is(err, domain.ErrConflict) {
		return errOvertaken
	} else if err != nil {
		return err
	}
	c.switched = true
	return nil
}

// scan reads both generations side by side and returns the keys of the rows that differ. It counts the build's rows.
func (c *comparison[R]) scan(ctx context.Context) (suspects []string, err error) {
	sum := &rowSum{}
	live := rowCursor{rows: c.live.gen.rows, filter: bson.D{}}
	defer func() { err = errors.Join(err, live.close(ctx)) }()
	old, err := live.next(ctx)
	if err != nil {
		return nil, err
	}
	err = eachRow(ctx, c.next.gen.rows, bson.D{}, func(row *rowDoc) error {
		sum.add(row)
		for old != nil && old.Key < row.Key {
			suspects = append(suspects, old.Key)
			if old, err = live.next(ctx); err != nil {
				return err
			}
		}
		if old == nil || old.Key > row.Key || old.Doc != row.Doc {
			suspects = append(suspects, row.Key)
		}
		if old != nil && old.Key == row.Key {
			old, err = live.next(ctx)
		}
		return err
	})
	for err == nil && old != nil {
		suspects = append(suspects, old.Key)
		old, err = live.next(ctx)
	}
	c.next.sum = sum
	return suspects, err
}

// look compares the rows with these keys, while both generations stand still at one position.
func (c *comparison[R]) look(ctx context.Context, suspects []string) (Rebuilt, error) {
	done := Rebuilt{Position: c.next.at, Rows: c.next.sum.rows, Hash: c.next.sum.String()}
	liveSum := *c.next.sum
	for keys := range slices.Chunk(suspects, lookAtOnce) {
		filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}
		next := map[string]string{}
		err := eachRow(ctx, c.next.gen.rows, filter, func(row *rowDoc) error {
			next[row.Key] = row.Doc
			liveSum.remove(row)
			return nil
		})
		if err != nil {
			return done, err
		}
		err = eachRow(ctx, c.live.gen.rows, filter, func(row *rowDoc) error {
			if doc, ok := next[row.Key]; !ok || doc != row.Doc {
				done.Differ(row.Key)
			}
			delete(next, row.Key)
			liveSum.add(row)
			return nil
		})
		if err != nil {
			return done, err
		}
		for key := range next {
			done.Differ(key)
		}
	}
	done.LiveHash = liveSum.String()
	return done, nil
}

const lookAtOnce = 1000
