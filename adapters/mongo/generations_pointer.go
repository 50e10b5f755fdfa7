package mongo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
)

type pointerDoc struct {
	ID         string `bson:"_id"`
	Number     int    `bson:"number"`
	Generation string `bson:"generation"`
}

// pointer returns the current generation; ErrNotFound when there is none.
func (d *DB) pointer(ctx context.Context, v view) (*generation, error) {
	var p pointerDoc
	err := d.db.Collection(metaCollection).FindOne(ctx, bson.D{{Key: "_id", Value: startingWith(v.pointers())}},
		options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}})).Decode(&p)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, fmt.Errorf("%w: database %s has no read model %s of version %d: run `cinelog provision`",
			domain.ErrNotFound, d.db.Name(), v.name, v.version)
	}
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", v.name, unavailable(ctx, err))
	}
	return d.generation(v, p.Number, p.Generation), nil
}

// pointerAfter returns the current generation, which was g when somebody looked, if anybody has: no pointer is ever
// removed, so the newer ones are found by their keys. As long as there is none of this version of the model it is one of
// another version.
func (gs *generations) pointerAfter(ctx context.Context, g *generation) (*generation, error) {
	if g == nil {
		return gs.first(ctx)
	}
	if g.view.version != gs.version {
		mine, err := gs.db.numbered(ctx, gs.view, 1)
		if err != nil {
			return nil, err
		}
		if mine != nil {
			g = mine
		}
	}
	for {
		next, err := gs.db.numbered(ctx, g.view, g.number+1)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return g, nil
		}
		g = next
	}
}

// numbered returns the generation of a pointer; nil when there is no such pointer.
func (d *DB) numbered(ctx context.Context, v view, number int) (*generation, error) {
	return d.named(ctx, v, v.pointerKey(number))
}

// named returns the generation that a document names; nil when there is no such document.
func (d *DB) named(ctx context.Context, v view, key string) (*generation, error) {
	var p pointerDoc
	err := d.db.Collection(metaCollection).FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&p)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", v.name, unavailable(ctx, err))
	}
	return d.generation(v, p.Number, p.Generation), nil
}

// first returns the current generation, or while this version of the model has none that of the nearest version before,
// else after, which can be served.
func (gs *generations) first(ctx context.Context) (*generation, error) {
	g, err := gs.db.pointer(ctx, gs.view)
	if !errors.Is(err, domain.ErrNotFound) {
		return g, err
	}
	other, otherErr := gs.db.otherVersion(ctx, gs.view)
	if otherErr != nil || other == nil {
		return nil, errors.Join(err, otherErr)
	}
	for _, c := range gs.collections(other.name) {
		otherErr = errors.Join(otherErr, gs.db.provisioned(ctx, c))
	}
	if otherErr == nil && gs.readable != nil {
		otherErr = gs.readable(ctx, other)
	}
	if otherErr != nil {
		return nil, fmt.Errorf("%w (that of version %d cannot be served: %w)", err, other.view.version, otherErr)
	}
	return other, nil
}

// otherVersion returns the current generation of the nearest version before, else after; nil when there is none.
func (d *DB) otherVersion(ctx context.Context, v view) (*generation, error) {
	found, err := d.db.Collection(metaCollection).Find(ctx,
		bson.D{{Key: "_id", Value: startingWith("generation/" + v.name + ".")}}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	var pointers []pointerDoc
	if err == nil {
		err = found.All(ctx, &pointers)
	}
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", v.name, unavailable(ctx, err))
	}
	var best *generation
	for _, p := range pointers {
		text, _, _ := strings.Cut(strings.TrimPrefix(p.ID, "generation/"+v.name+"."), "/")
		version, err := strconv.Atoi(text)
		if err != nil || version == v.version {
			continue
		}
		if best == nil || version == best.view.version || nearer(version, best.view.version, v.version) {
			best = d.generation(v.at(version), p.Number, p.Generation)
		}
	}
	return best, nil
}

// nearer tells whether version a is nearer to a version than b: those before come before those after.
func nearer(a, b, to int) bool {
	if (a < to) != (b < to) {
		return a < to
	}
	return max(a-to, to-a) < max(b-to, to-b)
}

// startingWith selects strings by their prefix, as a range, so that the index serves it. A prefix ends below 0xff.
func startingWith(prefix string) bson.D {
	if prefix == "" {
		return bson.D{{Key: "$gte", Value: ""}}
	}
	end := []byte(prefix)
	end[len(end)-1]++
	return bson.D{{Key: "$gte", Value: prefix}, {Key: "$lt", Value: string(end)}}
}

// point makes a generation the one with this number. It returns false when the number was taken: somebody else did it,
// with this generation or another one.
func (d *DB) point(ctx context.Context, v view, number int, name string) (bool, error) {
	mine, err := d.insertOnce(ctx, pointerDoc{ID: v.pointerKey(number), Number: number, Generation: name})
	if err != nil {
		return false, fmt.Errorf("switch read model %s: %w", v.name, err)
	}
	return mine, nil
}
