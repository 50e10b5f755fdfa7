package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// metaCollection holds what this package says about the others: formats and generations.
const metaCollection = "meta"

// A collection is what is needed of one: its name and its indexes beside that of _id.
type collection struct {
	name    string
	indexes []index
}

type index struct {
	name   string
	keys   bson.D
	unique bool
}

// View names a read model without indexes of its own that is wanted beside those of the product.
type View struct {
	Name    string
	Version int
}

// Provision creates the collections and indexes that are missing, and returns what it did, in words, or with dryRun
// what it would do. Doing it again does nothing. The server needs it once, and again after an upgrade; starting says so.
func (d *DB) Provision(ctx context.Context, dryRun bool, more ...View) ([]string, error) {
	done, err := d.provision(ctx, dryRun, collection{name: metaCollection}, logCollection(), operationsCollection(),
		endpointsCollection(), cursorsCollection(), deliveriesCollection(), playsCollection(), saltsCollection())
	if err == nil {
		var made []string
		made, err = d.provisionFormat(ctx, dryRun)
		done = append(done, made...)
	}
	catalog, playback := projections.CatalogModel(), projections.PlaybackModel()
	views := []view{{catalog.Name, catalog.Version, catalogIndexes()}, {playback.Name, playback.Version, nil}, analyticsView()}
	for _, v := range more {
		views = append(views, view{v.Name, v.Version, nil})
	}
	for _, v := range views {
		if err != nil {
			break
		}
		var made []string
		made, err = d.provisionView(ctx, dryRun, v)
		done = append(done, made...)
	}
	return done, err
}

func (d *DB) provision(ctx context.Context, dryRun bool, collections ...collection) (done []string, err error) {
	for _, c := range collections {
		exists, missing, err := d.missing(ctx, c)
		if err != nil {
			return done, fmt.Errorf("provision MongoDB: %w", err)
		}
		if !exists {
			if !dryRun {
				err = d.db.CreateCollection(ctx, c.name)
			}
			if err != nil && !slices.Contains(mongo.ErrorCodes(err), codeNamespaceExists) { // by another one, just now
				return done, fmt.Errorf("create collection %s: %w", c.name, unavailable(ctx, err))
			}
			done = append(done, "create collection "+c.name)
		}
		for _, i := range missing {
			if !dryRun {
				_, err = d.db.Collection(c.name).Indexes().CreateOne(ctx, mongo.IndexModel{
					Keys: i.keys, Options: options.Index().SetName(i.name).SetUnique(i.unique),
				})
			}
			if err != nil {
				return done, fmt.Errorf("create index %s of %s: %w", i.name, c.name, unavailable(ctx, err))
			}
			done = append(done, fmt.Sprintf("create index %s of %s on %s", i.name, c.name, i))
		}
	}
	return done, nil
}

func (i index) String() string {
	var b strings.Builder
	for n, k := range i.keys {
		if n > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %v", k.Key, k.Value)
	}
	if i.unique {
		b.WriteString(", unique")
	}
	return "(" + b.String() + ")"
}

// provisioned is an error, with what to do about it, unless all that c needs is there.
func (d *DB) provisioned(ctx context.Context, c collection) error {
	exists, missing, err := d.missing(ctx, c)
	switch {
	case err != nil:
		return err
	case !exists:
		return fmt.Errorf("%w: database %s has no collection %s: run `cinelog provision`", domain.ErrNotFound, d.db.Name(), c.name)
	case len(missing) > 0:
		return fmt.Errorf("%w: collection %s has no index %s: run `cinelog provision`", domain.ErrNotFound, c.name, missing[0].name)
	}
	return nil
}

// missing says which indexes of c are not there. One of the same name that is another index is an error.
func (d *DB) missing(ctx context.Context, c collection) (exists bool, missing []index, err error) {
	names, err := d.db.ListCollectionNames(ctx, bson.D{{Key: "name", Value: c.name}})
	if err != nil {
		return false, nil, unavailable(ctx, err)
	}
	if !slices.Contains(names, c.name) {
		return false, c.indexes, nil
	}
	have, err := d.db.Collection(c.name).Indexes().ListSpecifications(ctx)
	if err != nil {
		return true, nil, unavailable(ctx, err)
	}
	for _, want := range c.indexes {
		at := slices.IndexFunc(have, func(h mongo.IndexSpecification) bool { return h.Name == want.name })
		if at < 0 {
			missing = append(missing, want)
			continue
		}
		if !want.is(have[at]) {
			return true, nil, fmt.Errorf("index %s of collection %s is not on %s: drop it, then run `cinelog provision`",
				want.name, c.name, want)
		}
	}
	return true, missing, nil
}

// is compares what counts: servers spell numbers and defaults in their own ways.
func (i index) is(have mongo.IndexSpecification) bool {
	keys, err := have.KeysDocument.Elements()
	if err != nil || len(keys) != len(i.keys) || i.unique != (have.Unique != nil && *have.Unique) {
		return false
	}
	for n, k := range keys {
		direction, ok := k.Value().AsInt64OK()
		if want, isInt := i.keys[n].Value.(int); !ok || !isInt || k.Key() != i.keys[n].Key || direction != int64(want) {
			return false
		}
	}
	return true
}

// formatDoc says how a collection is written.
type formatDoc struct {
	ID     string `bson:"_id"`
	Format int    `bson:"format"`
}

const logFormatKey = "format/commits"

// provisionFormat says how the log is written, where nobody has: in a new log, not in one of before that was said.
func (d *DB) provisionFormat(ctx context.Context, dryRun bool) ([]string, error) {
	err := d.checkFormat(ctx)
	if !errors.Is(err, domain.ErrNotFound) {
		return nil, err
	}
	n, err := d.db.Collection(logCollection().name).EstimatedDocumentCount(ctx)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	if n > 0 {
		return nil, fmt.Errorf("the log in database %s is of format 1, this program writes %d: run `cinelog events export` of the "+
			"release that wrote it, then `cinelog events import` of this one into a new database", d.db.Name(), logFormat)
	}
	if !dryRun {
		_, err = d.insertOnce(ctx, formatDoc{ID: logFormatKey, Format: logFormat})
	}
	return []string{fmt.Sprintf("set the format of the log to %d", logFormat)}, err
}

// checkFormat is an error if the log was written by a program that is newer than this one, or older.
func (d *DB) checkFormat(ctx context.Context) error {
	var f formatDoc
	err := d.db.Collection(metaCollection).FindOne(ctx, bson.D{{Key: "_id", Value: logFormatKey}}).Decode(&f)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return fmt.Errorf("%w: database %s does not say how its log is written: run `cinelog provision`", domain.ErrNotFound, d.db.Name())
	}
	if err != nil {
		return unavailable(ctx, err)
	}
	if f.Format != logFormat {
		return fmt.Errorf("written by another release: format %d, this one reads %d", f.Format, logFormat)
	}
	return nil
}
