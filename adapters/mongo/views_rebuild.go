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
// and makes the new one current; o may be nil. Queries go on meanwhile, in all processes, and then move over. The one
// before is kept until the next rebuild. One that ctx or a crash has cut off is gone on with, if o.Vouch says the same as
// then. ErrConflict: another rebuild is running.
func (r *Rows[R]) Rebuild(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return r.rebuild(ctx, log, o.OrZero(), toSwitch)
}

// Verify builds and compares as Rebuild does, and changes nothing: it says whether the read model is what the log gives,
// as far as it has come.
func (r *Rows[R]) Verify(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return r.rebuild(ctx, log, o.OrZero(), toCompare)
}

// Rollback makes the generation before the current one, after bringing it up to date. ErrNotFound: none is kept.
// ErrConflict: a rebuild is running.
func (r *Rows[R]) Rollback(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return r.rebuild(ctx, log, o.OrZero(), toRollBack)
}

func (r *Rows[R]) rebuild(
	ctx context.Context, log projections.Log, o projections.RebuildOptions, why purpose,
) (done Rebuilt, err error) {
	var newest stepDoc
	current := func(ctx context.Context) (live *generation, err error) {
		live, newest, err = r.checkpoint(ctx)
		return live, err
	}
	err = r.gens.beside(ctx, why, o, current, func(ctx context.Context, live, next *generation) (switched bool, err error) {
		c := newComparison(r, log, live, next, o, why)
		c.alone = why == toRollBack || newest.To == 0 || r.gens.outdated(live) != nil
		if err = c.build(ctx, newest.To); err == nil {
			done, err = c.compare(ctx)
		}
		if c.switched && err == nil {
			if err = c.point(ctx); err == nil && c.head > c.next.at {
				err = c.goOn(ctx)
			}
		}
		return c.switched, err
	})
	return done, err
}

// comparison is a rebuild under way.
type comparison[R any] struct {
	rows     *Rows[R]
	log      projections.Log
	o        projections.RebuildOptions
	why      purpose
	live     *steps // of the generation in use
	next     *building[R]
	alone    bool // there is nothing to compare with
	head     domain.Position
	switched bool
}

func newComparison[R any](
	r *Rows[R], log projections.Log, live, next *generation, o projections.RebuildOptions, why purpose,
) *comparison[R] {
	return &comparison[R]{
		rows: r, log: log, o: o, why: why, live: newSteps(r.gens.db, live), next: newBuilding(r, next, o.Skip),
	}
}

func (c *comparison[R]) model() projections.Model[R] {
	m := c.rows.model
	m.Skip = c.o.Skip
	return m
}

// catchUp brings the build to a position.
func (c *comparison[R]) catchUp(ctx context.Context, until domain.Position, how projections.CatchUpOptions) error {
	if until <= c.next.at { // 0 would mean the head
		return nil
	}
	how.Batch, how.Until = rebuildBatch, until
	_, err := projections.CatchUp(ctx, c.log, projections.NewReadModel(c.model(), c.next), how)
	return err
}

// build fills the new generation: as far as the one in use has come, which stood at liveAt, or to the head where there is
// nothing to compare with.
func (c *comparison[R]) build(ctx context.Context, liveAt domain.Position) (err error) {
	// A head that is fixed now: writers that are faster than a rebuild must not keep it from ending.
	if c.head, err = c.log.Head(ctx); err != nil {
		return err
	}
	if c.why == toRollBack {
		err = c.next.revive(ctx)
	} else {
		err = c.rows.gens.db.vouch(ctx, c.next.gen, c.o, c.head)
	}
	if err == nil {
		_, err = c.next.Checkpoint(ctx)
	}
	if err != nil {
		return err
	}
	until := c.head
	if !c.alone {
		until = min(until, liveAt)
	}
	return c.catchUp(ctx, until, projections.CatchUpOptions{Progress: c.o.Progress, Rate: c.o.Rate, GiveWay: c.o.GiveWay})
}

// goOn brings the new generation, which is in use by now, to the head, as any projector may: the one before was behind.
func (c *comparison[R]) goOn(ctx context.Context) error {
	for {
		_, err := projections.CatchUp(ctx, c.log, projections.NewReadModel(c.model(), c.rows),
			projections.CatchUpOptions{Batch: rebuildBatch, Until: c.head, Progress: c.o.Progress, Rate: c.o.Rate, GiveWay: c.o.GiveWay})
		if !errors.Is(err, domain.ErrConflict) {
			return err
		}
	}
}

// compare looks at all rows while the one in use goes on changing, then stops that for a moment to look again at those
// that differed, and switches in that moment.
func (c *comparison[R]) compare(ctx context.Context) (done Rebuilt, err error) {
	var suspects []string
	if c.alone {
		err = c.next.countAll(ctx)
	} else {
		suspects, err = c.scan(ctx)
	}
	if err == nil && c.o.Settled != nil && c.why != toCompare {
		err = c.o.Settled(ctx)
	}
	if err != nil {
		return Rebuilt{}, err
	}
	if c.rows.gens.outdated(c.live.gen) != nil { // those who keep that one have pointers of their own
		done = Rebuilt{Position: c.next.at, Rows: c.next.sum.rows, Hash: c.next.sum.String(), New: true}
		if c.why == toCompare {
			return done, nil
		}
		return done, c.use(ctx)
	}
	for {
		at, err := c.rows.Checkpoint(ctx)
		if err != nil {
			return Rebuilt{}, err
		}
		if err := c.catchUp(ctx, at, projections.CatchUpOptions{}); err != nil { // most of it before the others have to wait
			return Rebuilt{}, err
		}
		done, err := c.holding(ctx, suspects)
		if !errors.Is(err, errOvertaken) {
			return done, err
		}
	}
}

// use makes sure that nobody takes the build for dead.
func (c *comparison[R]) use(ctx context.Context) error {
	if err := c.rows.gens.use(ctx, c.next.gen); err != nil {
		return err
	}
	c.switched = true
	return nil
}

// point names the build as the current generation.
func (c *comparison[R]) point(ctx context.Context) error {
	_, err := c.rows.gens.db.point(ctx, c.rows.gens.view, c.rows.gens.after(c.live.gen), c.next.gen.name)
	return err
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
	if err := c.catchUp(ctx, hold.To, projections.CatchUpOptions{}); err != nil {
		return Rebuilt{}, err
	}
	if c.alone || c.next.at > hold.To { // one that was cut off may have come further than the one in use
		done = Rebuilt{Position: c.next.at, Rows: c.next.sum.rows, Hash: c.next.sum.String(), New: true}
	} else if done, err = c.look(ctx, suspects); err != nil {
		return done, err
	}
	if c.why != toCompare {
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
	if err := c.use(ctx); err != nil {
		return err
	}
	c.switched = false // not before the last step is taken
	c.live.known = hold
	last := stepDoc{From: hold.To, To: hold.To, Retired: c.next.gen.name, Applied: true}
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
