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

// purpose says which generation is put beside the live one, and what becomes of it.
type purpose int

const (
	toSwitch   purpose = iota // a new one, or one that was cut off
	toCompare                 // a new one, and it is removed
	toRollBack                // the one before
)

// beside lets build fill a generation beside the one that current finds and, maybe, make it current. The one that was
// current is then kept, until the next time. ErrConflict: another rebuild is running.
func (gs *generations) beside(
	ctx context.Context, why purpose, o projections.RebuildOptions, current func(context.Context) (*generation, error),
	build func(ctx context.Context, live, next *generation) (switched bool, err error),
) error {
	ctx, release, err := gs.db.lease(ctx, "rebuild of "+gs.name)
	if err != nil {
		return err
	}
	defer release()
	if o.Begun != nil {
		o.Begun()
	}
	live, err := current(ctx)
	if err != nil {
		return err
	}
	failed := func(err error) error {
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		if err != nil {
			err = fmt.Errorf("rebuild %s: %w", gs.name, err)
		}
		return err
	}
	next, err := gs.next(ctx, why, o, live)
	if err != nil {
		return failed(err)
	}
	switched, err := build(ctx, live, next)
	err = failed(err)
	switch {
	case !switched:
		return errors.Join(err, gs.dropBuild(ctx, why, o, next))
	case err != nil: // the next one sweeps
		return err
	}
	return gs.sweep(ctx, next.name, live.name)
}

// next returns the generation to put beside live.
func (gs *generations) next(ctx context.Context, why purpose, o projections.RebuildOptions, live *generation) (*generation, error) {
	before, err := gs.before(ctx, live)
	if err != nil {
		return nil, err
	}
	if why == toRollBack {
		if err := gs.outdated(live); err != nil {
			return nil, fmt.Errorf("%w: %w", domain.ErrConflict, err)
		}
		if before == nil {
			return nil, fmt.Errorf("%w: no generation before the one in use is kept of %s", domain.ErrNotFound, gs.name)
		}
		return before, nil
	}
	if why == toSwitch && o.Vouch != nil && !o.Fresh {
		but := []string{live.name}
		if before != nil {
			but = append(but, before.name)
		}
		others, err := gs.others(ctx, but...)
		if err != nil {
			return nil, err
		}
		for _, name := range others {
			g := gs.db.generation(gs.view, 0, name)
			at, err := gs.db.vouched(ctx, g, o)
			if err != nil {
				return nil, err
			}
			if at > 0 {
				if o.Resumed != nil {
					o.Resumed(at)
				}
				return g, nil
			}
		}
	}
	return gs.db.create(ctx, gs.view)
}

// buildDoc says what a build is made of up to a position: the one that gave the text vouches for all up to there.
type buildDoc struct {
	ID      string          `bson:"_id"`
	UpTo    domain.Position `bson:"up_to"`
	Vouched string          `bson:"vouched"`
}

func buildKey(generation string) string { return "build/" + generation }

// vouch has a build say what it is made of up to a position, before it gets there.
func (d *DB) vouch(ctx context.Context, g *generation, o projections.RebuildOptions, upTo domain.Position) error {
	if o.Vouch == nil {
		return nil
	}
	text, err := o.Vouch(ctx, upTo)
	if err != nil {
		return fmt.Errorf("what the build is made of: %w", err)
	}
	doc := buildDoc{ID: buildKey(g.name), UpTo: upTo, Vouched: text}
	_, err = d.db.Collection(metaCollection).ReplaceOne(ctx, bson.D{{Key: "_id", Value: doc.ID}}, doc, options.Replace().SetUpsert(true))
	return unavailable(ctx, err)
}

// vouched returns how far a build has come, or 0 when it was made of something else than this one would be.
func (d *DB) vouched(ctx context.Context, g *generation, o projections.RebuildOptions) (domain.Position, error) {
	meta := d.db.Collection(metaCollection)
	var doc buildDoc
	err := meta.FindOne(ctx, bson.D{{Key: "_id", Value: buildKey(g.name)}}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, nil
	}
	if err != nil {
		return 0, unavailable(ctx, err)
	}
	// One that was in use, or given up, is none.
	if decided, err := meta.CountDocuments(ctx, bson.D{{Key: "_id", Value: "fate/" + g.name}}); err != nil || decided > 0 {
		return 0, unavailable(ctx, err)
	}
	newest, err := newBuildSteps(d, g).checkpoint(ctx)
	if err != nil || newest.To == 0 || newest.To > doc.UpTo {
		return 0, err
	}
	now, err := o.Vouch(ctx, doc.UpTo)
	if err != nil || now != doc.Vouched {
		return 0, err
	}
	return newest.To, nil
}

// newBuildSteps is for whoever holds the lease of the rebuild: what another one has decided and not applied is applied at
// once.
func newBuildSteps(d *DB, g *generation) *steps {
	s := newSteps(d, g)
	s.impatient = true
	return s
}

// use makes sure that nobody takes the build for dead.
func (gs *generations) use(ctx context.Context, build *generation) error {
	fate, err := gs.db.decide(ctx, build.name, true)
	if err != nil {
		return err
	}
	if !fate.Used {
		return fmt.Errorf("%w: another rebuild took this one for dead", domain.ErrConflict)
	}
	return nil
}

// after is the number of the pointer that follows live: the first one where live is of another version of the model.
func (gs *generations) after(live *generation) int {
	if live.view.version != gs.version {
		return 1
	}
	return live.number + 1
}

// dropBuild drops a build that was not switched to, if nobody will go on with it.
func (gs *generations) dropBuild(ctx context.Context, why purpose, o projections.RebuildOptions, build *generation) error {
	wanted := why == toSwitch && o.Vouch != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), projections.ErrCancelled)
	if why == toRollBack || wanted {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	return gs.db.drop(ctx, gs.view, build.name)
}

// sweep drops the generations before the one that was replaced, and what crashed rebuilds left, when everybody has moved
// over. Where it is cut off the next rebuild does it.
func (gs *generations) sweep(ctx context.Context, but ...string) error {
	if err := sleep(ctx, dropAge); err != nil {
		return err
	}
	return gs.dropOthers(ctx, but...)
}

// dropOthers drops the generations of which nobody needs any longer what is in them. Whoever was stopped for so long that
// another rebuild has followed leaves that to it.
func (gs *generations) dropOthers(ctx context.Context, but ...string) error {
	others, err := gs.others(ctx, but...)
	if err != nil {
		return err
	}
	if live, err := gs.acquire(ctx, true); err != nil || !slices.Contains(but, live.name) {
		return err
	}
	for _, name := range others {
		unused, err := gs.unused(ctx, name)
		if err == nil && unused {
			err = gs.db.drop(ctx, gs.view, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
