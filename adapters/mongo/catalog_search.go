package mongo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Search implements projections.Catalog. It takes several queries, so a page and its facets may be a moment apart.
func (c *Catalog) Search(ctx context.Context, q projections.Query) (page projections.Page, err error) {
	s, err := q.Check()
	if err != nil {
		return projections.Page{}, err
	}
	err = c.gens.with(ctx, func(g *generation) error {
		page, err = s.Page(ctx, videoIndex{g.rows})
		return err
	})
	if err != nil {
		return projections.Page{}, fmt.Errorf("search the catalog: %w", err)
	}
	return page, nil
}

// videoIndex answers a search from the rows of a generation.
type videoIndex struct{ rows *mongo.Collection }

// OnLevel implements projections.VideoIndex.
func (x videoIndex) OnLevel(
	ctx context.Context, s projections.Search, level projections.Level, before domain.Position, limit int,
) ([]projections.Video, error) {
	f := append(filter(s), match(s.Words, level)...)
	if before != 0 {
		f = append(f, is(fieldSeq, "$lt", int64(before)))
	}
	return videos(ctx, x.rows, f, bson.D{{Key: fieldSeq, Value: -1}}, limit)
}

// Sorted implements projections.VideoIndex.
func (x videoIndex) Sorted(ctx context.Context, s projections.Search, limit int) ([]projections.Video, error) {
	f := filter(s)
	if s.HasText {
		f = append(f, prefixes(wordsAll, s.Words)...)
	}
	field, direction, beyond := "", 1, "$gt"
	var after projections.Place
	if s.After != nil {
		after = *s.After
	}
	var value any
	switch s.Sort {
	case projections.SortTitle, projections.SortTitleDesc:
		field, value = fieldTitle, after.Title
	case projections.SortShortest, projections.SortLongest:
		field, value = fieldDuration, after.Duration
	case projections.SortOldest, projections.SortNewest, projections.SortRelevance:
	}
	switch s.Sort {
	case projections.SortTitleDesc, projections.SortLongest, projections.SortNewest:
		direction, beyond = -1, "$lt"
	case projections.SortTitle, projections.SortShortest, projections.SortOldest, projections.SortRelevance:
	}
	order := bson.D{{Key: fieldSeq, Value: direction}}
	behind := is(fieldSeq, beyond, int64(after.Created))
	if field != "" {
		order = append(bson.D{{Key: field, Value: direction}}, order...)
		behind = bson.D{{Key: "$or", Value: bson.A{
			is(field, beyond, value), bson.D{{Key: field, Value: value}, behind[0]},
		}}}
	}
	if s.After != nil {
		f = append(f, behind)
	}
	return videos(ctx, x.rows, f, order, limit)
}

func videos(ctx context.Context, rows *mongo.Collection, f bson.A, order bson.D, limit int) (found []projections.Video, err error) {
	cursor, err := rows.Find(ctx, all(f), options.Find().SetSort(order).SetLimit(int64(limit)).
		SetProjection(bson.D{{Key: "doc", Value: 1}}))
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	for cursor.Next(ctx) {
		var row rowDoc
		var v projections.Video
		if err = bson.Unmarshal(cursor.Current, &row); err == nil {
			err = json.Unmarshal([]byte(row.Doc), &v)
		}
		if err != nil {
			break
		}
		found = append(found, v)
	}
	return found, errors.Join(err, unavailable(ctx, cursor.Err()), cursor.Close(context.WithoutCancel(ctx)))
}

// Conditions are lists of documents that must all hold. What comes from outside is always a value in them: it is a
// string or a number, never a document, and never a key.

func all(conditions bson.A) bson.D { return bson.D{{Key: "$and", Value: conditions}} }

func is(field, operator string, value any) bson.D {
	return bson.D{{Key: field, Value: bson.D{{Key: operator, Value: value}}}}
}

// filter is all of a search but its text.
func filter(s projections.Search) bson.A {
	f := bson.A{bson.D{{Key: fieldLive, Value: true}}}
	for _, t := range s.Tags {
		f = append(f, is(fieldTags, "$eq", t))
	}
	for name, value := range s.Metadata {
		f = append(f, is(fieldMetadata, "$eq", metadataKey(name, value)))
	}
	if s.Status != "" {
		f = append(f, is(fieldStatus, "$eq", string(s.Status)))
	}
	if s.Visibility != "" {
		f = append(f, is(fieldVisibility, "$eq", string(s.Visibility)))
	}
	if !s.CreatedAfter.IsZero() {
		f = append(f, is(fieldCreated, "$gt", s.CreatedAfter.UnixMicro()))
	}
	if !s.CreatedBefore.IsZero() {
		f = append(f, is(fieldCreated, "$lt", s.CreatedBefore.UnixMicro()))
	}
	if s.MinDuration > 0 {
		f = append(f, is(fieldDuration, "$gte", s.MinDuration))
	}
	if s.MaxDuration > 0 {
		f = append(f, is(fieldDuration, "$lte", s.MaxDuration))
	}
	return f
}

// prefixes holds when each word begins one of a list: an anchored expression, which is a range of the list's index.
func prefixes(field string, words []string) bson.A {
	f := make(bson.A, len(words))
	for i, w := range words {
		f[i] = bson.D{{Key: field, Value: bson.Regex{Pattern: "^" + regexp.QuoteMeta(w)}}}
	}
	return f
}

// match holds for a level without those before it.
func match(words []string, level projections.Level) bson.A {
	exact := is(wordsTitle, "$all", words)
	upTo := func(field string, not bson.D) bson.A {
		return append(prefixes(field, words), bson.D{{Key: "$nor", Value: bson.A{not}}})
	}
	switch level {
	case projections.LevelTitleExact:
		return bson.A{exact}
	case projections.LevelTitle:
		return upTo(wordsTitle, exact)
	case projections.LevelTags:
		return upTo(wordsTags, all(prefixes(wordsTitle, words)))
	case projections.LevelMetadata:
		return upTo(wordsMetadata, all(prefixes(wordsTags, words)))
	case projections.LevelDescription, projections.Levels:
	}
	return upTo(wordsAll, all(prefixes(wordsMetadata, words)))
}

// Facets implements projections.VideoIndex.
func (x videoIndex) Facets(ctx context.Context, s projections.Search) (map[string][]projections.FacetCount, error) {
	if len(s.Facets) == 0 {
		return nil, nil //nolint:nilnil // none asked for, none given
	}
	f := filter(s)
	if s.HasText {
		f = append(f, prefixes(wordsAll, s.Words)...)
	}
	counts := map[string][]projections.FacetCount{}
	for _, name := range s.Facets {
		counts[name] = []projections.FacetCount{}
		if s.HasText && len(s.Words) == 0 {
			continue
		}
		pipeline := mongo.Pipeline{{{Key: "$match", Value: all(f)}}}
		field := "$" + fieldStatus
		if name == projections.FacetTag {
			field = "$" + fieldTags
			pipeline = append(pipeline, bson.D{{Key: "$unwind", Value: field}})
		}
		pipeline = append(pipeline,
			bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: field}, {Key: "n", Value: bson.D{{Key: "$sum", Value: 1}}}}}},
			bson.D{{Key: "$sort", Value: bson.D{{Key: "n", Value: -1}, {Key: "_id", Value: 1}}}},
			bson.D{{Key: "$limit", Value: projections.MaxFacetValues}})
		cursor, err := x.rows.Aggregate(ctx, pipeline)
		if err != nil {
			return nil, unavailable(ctx, err)
		}
		var found []struct {
			Value string `bson:"_id"`
			N     int    `bson:"n"`
		}
		if err := cursor.All(ctx, &found); err != nil {
			return nil, unavailable(ctx, err)
		}
		for _, c := range found {
			counts[name] = append(counts[name], projections.FacetCount{Value: c.Value, Count: c.N})
		}
	}
	return counts, nil
}
