package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Rebuild builds the figures from the first event on, beside those in use, compares the two by day and makes the new
// ones current; o may be nil. Messages and queries go on meanwhile, in all processes, and then move over; no fact is lost
// on the way. One that was cut off is gone on with as that of Rows. ErrConflict: another rebuild is running.
func (a *Analytics) Rebuild(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return a.rebuild(ctx, log, o.OrZero(), toSwitch)
}

// Verify builds and compares as Rebuild does, and changes nothing: it says whether the figures are those of the log.
func (a *Analytics) Verify(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return a.rebuild(ctx, log, o.OrZero(), toCompare)
}

// Rollback makes the figures before those in use current, after bringing them up to date. Errors as those of Rows.
func (a *Analytics) Rollback(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return a.rebuild(ctx, log, o.OrZero(), toRollBack)
}

func (a *Analytics) rebuild(
	ctx context.Context, log projections.Log, o projections.RebuildOptions, why purpose,
) (done Rebuilt, err error) {
	current := func(ctx context.Context) (*generation, error) { return a.settled(ctx, log, o.Skip) }
	err = a.gens.beside(ctx, why, o, current, func(ctx context.Context, live, next *generation) (switched bool, err error) {
		// A head that is fixed now: writers that are faster than a rebuild must not keep it from ending.
		head, err := log.Head(ctx)
		if err == nil && why != toRollBack {
			err = a.gens.db.vouch(ctx, next, o, head)
		}
		if err == nil && head > 0 {
			done.Position, err = projections.CatchUp(ctx, log, &factsTarget{newBuildSteps(a.gens.db, next), o.Skip}, projections.CatchUpOptions{
				Batch: rebuildBatch, Until: head, Progress: o.Progress, Rate: o.Rate, GiveWay: o.GiveWay,
			})
		}
		if err != nil {
			return false, err
		}
		rows, err := next.rows.CountDocuments(ctx, bson.D{})
		if err != nil {
			return false, unavailable(ctx, err)
		}
		done.Rows = int(rows)
		done.New = why == toRollBack || a.gens.outdated(live) != nil
		if built := done; !built.New {
			done, err = projections.CompareUntilEqual(ctx, func() (Rebuilt, error) { return compareFacts(ctx, live, next, built) })
		}
		if err == nil && o.Settled != nil && why != toCompare {
			err = o.Settled(ctx)
		}
		if err != nil || why == toCompare {
			return false, err
		}
		return a.switchTo(ctx, log, live, next, o.Skip)
	})
	return done, err
}

// switchTo makes next current. It is announced first, so that whoever records facts in live records them in next too;
// next takes from the log what was recorded before.
func (a *Analytics) switchTo(
	ctx context.Context, log projections.Log, live, next *generation, skip func(domain.Position) bool,
) (switched bool, err error) {
	if err := a.gens.use(ctx, next); err != nil {
		return false, err
	}
	// What is stopped now is stopped before: a switch that is announced is finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	announced, err := a.gens.announce(ctx, a.gens.after(live), next.name)
	if err != nil {
		return true, err // it may be announced all the same
	}
	if announced.name != next.name {
		return false, fmt.Errorf("%w: it was rebuilt meanwhile", domain.ErrConflict)
	}
	return true, a.follow(ctx, log, announced, skip)
}

// settled returns the current generation, after the end of a switch that somebody may have died in.
func (a *Analytics) settled(ctx context.Context, log projections.Log, skip func(domain.Position) bool) (*generation, error) {
	for {
		g, err := a.gens.acquire(ctx, true)
		if err != nil {
			return nil, err
		}
		next, err := a.gens.announced(ctx, a.gens.view, a.gens.after(g))
		if err != nil || next == nil {
			return g, err
		}
		if err := a.follow(ctx, log, next, skip); err != nil {
			return nil, err
		}
	}
}

// follow makes a generation that was announced the current one. Any number may do it at once, and again.
func (a *Analytics) follow(ctx context.Context, log projections.Log, next *generation, skip func(domain.Position) bool) error {
	// Facts that were recorded without a look at what is announced have their events in the log by now.
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	target := &factsTarget{newBuildSteps(a.gens.db, next), skip}
	for head > 0 { // 0 would mean the head
		_, err := projections.CatchUp(ctx, log, target, projections.CatchUpOptions{Batch: rebuildBatch, Until: head})
		if err == nil {
			break
		}
		if !errors.Is(err, domain.ErrConflict) { // somebody else does the same
			return err
		}
	}
	_, err = a.gens.db.point(ctx, next.view, next.number, next.name)
	return err
}

func (v view) announcementKey(number int) string {
	return fmt.Sprintf("announced/%s.%d/%06d", v.name, v.version, number)
}

// announce says which generation the pointer with this number is going to name, and returns that of whoever says it first.
func (gs *generations) announce(ctx context.Context, number int, name string) (*generation, error) {
	mine, err := gs.db.insertOnce(ctx, pointerDoc{ID: gs.announcementKey(number), Number: number, Generation: name})
	if err != nil {
		return nil, fmt.Errorf("announce the next %s: %w", gs.name, err)
	}
	if mine {
		return gs.db.generation(gs.view, number, name), nil
	}
	return gs.announced(ctx, gs.view, number)
}

// announced returns the generation that the pointer with this number names, or is going to; nil for none.
func (gs *generations) announced(ctx context.Context, v view, number int) (*generation, error) {
	return gs.db.named(ctx, v, v.announcementKey(number))
}

// announcedAfter returns the generations that follow one: of its version of the model, and of this one.
func (gs *generations) announcedAfter(ctx context.Context, g *generation) (found []*generation, err error) {
	views := map[int]int{g.view.version: g.number + 1, gs.version: gs.after(g)}
	for version, number := range views {
		next, err := gs.announced(ctx, gs.at(version), number)
		if err != nil {
			return nil, err
		}
		if next != nil {
			found = append(found, next)
		}
	}
	return found, nil
}

// compareFacts compares up to the newest fact that live has: of those after it no message has come yet.
func compareFacts(ctx context.Context, live, next *generation, done Rebuilt) (_ Rebuilt, err error) {
	newest, err := live.newestFact(ctx)
	if err != nil {
		return done, err
	}
	newest = min(newest, done.Position)
	old, err := scanFacts(ctx, live, newest)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, old.close(ctx)) }()
	built, err := scanFacts(ctx, next, newest)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, built.close(ctx)) }()
	days := map[string]bool{}
	for old.ok || built.ok {
		was, is := old.fact, built.fact
		switch {
		case !built.ok || (old.ok && was.Position < is.Position):
			days[was.day()] = true
			old.next(ctx)
		case !old.ok || is.Position < was.Position:
			days[is.day()] = true
			built.next(ctx)
		default:
			if was != is {
				days[was.day()], days[is.day()] = true, true
			}
			old.next(ctx)
			built.next(ctx)
		}
	}
	done.Hash, done.LiveHash, done.New = built.hash(), old.hash(), newest == 0
	if done.New {
		done.LiveHash = ""
	}
	done.Differ(slices.Sorted(maps.Keys(days))...)
	return done, errors.Join(old.err, built.err)
}

func (f factDoc) day() string { return time.UnixMicro(f.Time).UTC().Format(time.DateOnly) }

// factScan goes through the facts in the order of their events.
type factScan struct {
	cursor *mongo.Cursor
	sum    hash.Hash
	fact   factDoc // the current one, if ok
	ok     bool
	err    error
}

// scanFacts begins at the first fact.
func scanFacts(ctx context.Context, g *generation, upTo domain.Position) (*factScan, error) {
	cursor, err := g.rows.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$lte", Value: upTo}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	s := &factScan{cursor: cursor, sum: sha256.New()}
	s.next(ctx)
	return s, nil
}

func (s *factScan) next(ctx context.Context) {
	s.ok = false
	if !s.cursor.Next(ctx) {
		s.err = unavailable(ctx, s.cursor.Err())
		return
	}
	s.fact = factDoc{}
	s.err = bson.Unmarshal(s.cursor.Current, &s.fact)
	s.ok = s.err == nil
	_, _ = fmt.Fprintf(s.sum, "%+v\n", s.fact) // a hash takes everything
}

func (s *factScan) hash() string { return hex.EncodeToString(s.sum.Sum(nil)) }

func (s *factScan) close(ctx context.Context) error {
	return s.cursor.Close(context.WithoutCancel(ctx))
}
