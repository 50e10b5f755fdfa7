package mongo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// A generation is one build of a read model: a collection of rows and a collection of steps. Which one is in use say
// the pointer documents: the one with the highest number counts, and the next one is a new document under the next
// number, so that of two who switch at once one does. Each version of a model has pointers of its own, and so programs
// of two releases can run beside each other. The generation before the current one is kept for a way back.
type generation struct {
	view   view // with the version of the model that gave the rows
	number int  // of the pointer
	name   string
	rows   *mongo.Collection
	steps  *mongo.Collection
}

// view is what there is to know of a read model to provision it.
type view struct {
	name    string
	version int
	indexes []index // of its rows
}

type generations struct {
	db *DB
	view
	// readable says whether rows that another version of the model gave can be served; the indexes are known to be there.
	readable func(context.Context, *generation) error

	mu      sync.Mutex
	current *generation
	checked time.Time // when current was last looked up
}

const (
	// pointerAge is how old the knowledge of the pointer may be when a query begins, queryAge when it ends, and dropAge
	// is how long a generation is kept after it was replaced: longer, so that no query finds it gone.
	pointerAge = 500 * time.Millisecond
	queryAge   = 2 * time.Second
	dropAge    = 3 * time.Second
)

func (v view) pointers() string { return fmt.Sprintf("generation/%s.%d/", v.name, v.version) }

func (v view) pointerKey(number int) string { return fmt.Sprintf("%s%06d", v.pointers(), number) }

// prefix is how the collections of the view's generations begin.
func (v view) prefix() string { return fmt.Sprintf("views_%s_%d_", v.name, v.version) }

// at is the view of another version.
func (v view) at(version int) view {
	v.version = version
	return v
}

func (d *DB) generation(v view, number int, name string) *generation {
	return &generation{view: v, number: number, name: name, rows: d.db.Collection(name), steps: d.db.Collection(name + stepsSuffix)}
}

const stepsSuffix = "_steps"

// insertOnce returns false when a document with this key is there already.
func (d *DB) insertOnce(ctx context.Context, doc any) (bool, error) {
	_, err := d.db.Collection(metaCollection).InsertOne(ctx, doc)
	if mongo.IsDuplicateKeyError(err) {
		return false, nil
	}
	return err == nil, unavailable(ctx, err)
}

// fateDoc says once and for all whether a generation may come into use or was given up: whoever inserts it first decides.
type fateDoc struct {
	ID   string `bson:"_id"`
	Used bool   `bson:"used"`
	Time int64  `bson:"time"` // microseconds since 1970
}

// decide decides the fate of a generation, if nobody has, and returns it.
func (d *DB) decide(ctx context.Context, generation string, used bool) (fateDoc, error) {
	fate := fateDoc{ID: "fate/" + generation, Used: used, Time: d.now().UnixMicro()}
	mine, err := d.insertOnce(ctx, fate)
	if err != nil || mine {
		return fate, err
	}
	err = d.db.Collection(metaCollection).FindOne(ctx, bson.D{{Key: "_id", Value: fate.ID}}).Decode(&fate)
	return fate, unavailable(ctx, err)
}

// collections are what a generation consists of.
func (v view) collections(generation string) []collection {
	return []collection{{name: generation, indexes: v.indexes}, {name: generation + stepsSuffix}}
}

// create makes an empty generation that nobody uses yet.
func (d *DB) create(ctx context.Context, v view) (*generation, error) {
	name := v.prefix() + strings.ToLower(rand.Text()[:10])
	if _, err := d.provision(ctx, false, v.collections(name)...); err != nil {
		return nil, err
	}
	return d.generation(v, 0, name), nil
}

// provisionView makes an empty generation the first one where there is none, not even one of another version that can be
// served until a server has built the new one; and it mends the indexes of the current one.
func (d *DB) provisionView(ctx context.Context, dryRun bool, v view) ([]string, error) {
	g, err := d.pointer(ctx, v)
	if err == nil {
		return d.provision(ctx, dryRun, v.collections(g.name)...)
	}
	if errors.Is(err, domain.ErrNotFound) {
		gs := &generations{db: d, view: v}
		if _, err := gs.first(ctx); err == nil || !errors.Is(err, domain.ErrNotFound) {
			return nil, err
		}
	}
	done := []string{fmt.Sprintf("create read model %s of version %d", v.name, v.version)}
	if dryRun || !errors.Is(err, domain.ErrNotFound) {
		return done, asNil(err, domain.ErrNotFound)
	}
	if g, err = d.create(ctx, v); err != nil {
		return nil, err
	}
	if _, err := d.decide(ctx, g.name, true); err != nil {
		return nil, err
	}
	mine, err := d.point(ctx, v, 1, g.name)
	if err == nil && !mine { // two provision at once
		return nil, d.drop(ctx, v, g.name)
	}
	return done, err
}

// asNil returns err unless it is target.
func asNil(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

// openGenerations looks the current generation up. ErrNotFound when something is not provisioned.
func openGenerations(
	ctx context.Context, d *DB, v view, readable func(context.Context, *generation) error,
) (*generations, error) {
	gs := &generations{db: d, view: v, readable: readable}
	g, err := gs.acquire(ctx, true)
	if err != nil {
		return nil, err
	}
	for _, c := range v.collections(g.name) {
		if err := d.provisioned(ctx, c); err != nil {
			return nil, fmt.Errorf("read model %s: %w", v.name, err)
		}
	}
	return gs, nil
}

// acquire returns the current generation, after a look at the pointer if the last one is too long ago, or now.
func (gs *generations) acquire(ctx context.Context, now bool) (*generation, error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	at := gs.db.now()
	if !now && gs.current != nil && at.Sub(gs.checked) < pointerAge {
		return gs.current, nil
	}
	g, err := gs.pointerAfter(ctx, gs.current)
	if err != nil {
		return nil, err
	}
	gs.current, gs.checked = g, at
	return g, nil
}

// with runs a query on the current generation, and again if that may have been dropped meanwhile.
func (gs *generations) with(ctx context.Context, query func(*generation) error) error {
	for {
		g, err := gs.acquire(ctx, false)
		if err != nil {
			return err
		}
		err = query(g)
		gs.mu.Lock()
		sure := gs.db.now().Sub(gs.checked) < queryAge
		gs.mu.Unlock()
		if sure || ctx.Err() != nil {
			return err
		}
		now, perr := gs.acquire(ctx, true)
		if perr != nil || now.name == g.name {
			return errors.Join(err, perr)
		}
	}
}

// others returns the generations of this version of the model but some.
func (gs *generations) others(ctx context.Context, but ...string) ([]string, error) {
	names, err := gs.db.db.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, gs.prefix()) || strings.HasSuffix(n, stepsSuffix) || slices.Contains(but, n)
	})
	return names, nil
}

// unused says whether a generation that is not current may be dropped, and sees to it that it never comes into use.
func (gs *generations) unused(ctx context.Context, name string) (bool, error) {
	fate, err := gs.db.decide(ctx, name, false)
	if err != nil || !fate.Used {
		return err == nil, err
	}
	// It was in use before, or somebody died between the decision and the switch. Only a day later is that sure: he may
	// have been stopped and go on.
	n, err := gs.db.db.Collection(metaCollection).CountDocuments(ctx, bson.D{
		{Key: "_id", Value: startingWith(gs.pointers())}, {Key: "generation", Value: name},
	})
	return n > 0 || gs.db.now().Sub(time.UnixMicro(fate.Time)) > 24*time.Hour, unavailable(ctx, err)
}

// drop removes a generation that is not used any longer, or never will be.
func (d *DB) drop(ctx context.Context, v view, name string) error {
	for _, c := range v.collections(name) {
		if err := d.db.Collection(c.name).Drop(ctx); err != nil {
			return fmt.Errorf("drop an old %s: %w", v.name, unavailable(ctx, err))
		}
	}
	_, err := d.db.Collection(metaCollection).DeleteOne(ctx, bson.D{{Key: "_id", Value: buildKey(name)}})
	return unavailable(ctx, err)
}

// outdated is an error if the rows are those of another version of the model.
func (gs *generations) outdated(g *generation) error {
	if g.view.version != gs.version {
		return fmt.Errorf("%s, version %d, this program has %d: %w", gs.name, g.view.version, gs.version, projections.ErrOutdated)
	}
	return nil
}

// before returns the generation before the current one; nil when none is kept.
func (gs *generations) before(ctx context.Context, g *generation) (*generation, error) {
	if g.number < 2 {
		return nil, nil
	}
	before, err := gs.db.numbered(ctx, g.view, g.number-1)
	if err != nil || before == nil || before.name == g.name {
		return nil, err
	}
	names, err := gs.db.db.ListCollectionNames(ctx, bson.D{{Key: "name", Value: before.name}})
	if err != nil || len(names) == 0 {
		return nil, unavailable(ctx, err)
	}
	return before, nil
}
