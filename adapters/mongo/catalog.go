package mongo

import (
	"context"
	"encoding/json"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Catalog keeps and searches the catalog. Beside each row's JSON stand the fields that queries use.
type Catalog struct {
	*Rows[projections.Video]
}

var _ projections.Catalog = (*Catalog)(nil)

// The fields of a video's document. Words are folded and cut by projections, so that every adapter finds the same; each
// list of words has those of the lists before it too, as the levels of a match have.
const (
	fieldLive       = "live"       // true for all but deleted videos, which have none of these fields
	fieldSeq        = "seq"        // position of the video's first event: the order of creation
	fieldStatus     = "status"     //
	fieldVisibility = "visibility" //
	fieldCreated    = "created"    // microseconds since 1970
	fieldDuration   = "duration"   // seconds
	fieldTitle      = "title"      // folded, to sort by
	fieldTags       = "tags"
	fieldMetadata   = "metadata" // of each entry its name and value, as a JSON array
	wordsTitle      = "words.title"
	wordsTags       = "words.tags"
	wordsMetadata   = "words.metadata"
	wordsAll        = "words.all"
)

// catalogIndexes serve a search from what leaves the fewest videos; where they end with seq, its results come in the
// order of creation without sorting.
func catalogIndexes() []index {
	on := func(name string, fields ...bson.E) index { return index{name: name, keys: fields} }
	newest := bson.E{Key: fieldSeq, Value: -1}
	oldest := bson.E{Key: fieldSeq, Value: 1}
	return []index{
		on("created", newest),
		on("status", bson.E{Key: fieldStatus, Value: 1}, newest),
		on("title", bson.E{Key: fieldTitle, Value: 1}, oldest),
		on("duration", bson.E{Key: fieldDuration, Value: 1}, oldest),
		on("tags", bson.E{Key: fieldTags, Value: 1}, newest),
		on("metadata", bson.E{Key: fieldMetadata, Value: 1}, newest),
		on("words_title", bson.E{Key: wordsTitle, Value: 1}, newest),
		on("words_tags", bson.E{Key: wordsTags, Value: 1}, newest),
		on("words_metadata", bson.E{Key: wordsMetadata, Value: 1}, newest),
		on("words_all", bson.E{Key: wordsAll, Value: 1}, newest),
	}
}

// OpenCatalog opens the catalog, which Provision has created. ErrNotFound when it has not. It needs no closing.
func OpenCatalog(ctx context.Context, db *DB) (*Catalog, error) {
	rows, err := openRows(ctx, db, projections.CatalogModel(), catalogIndexes(), videoFields)
	if err != nil {
		return nil, err
	}
	return &Catalog{rows}, nil
}

func videoFields(v projections.Video) bson.D {
	if v.Deleted {
		return nil
	}
	text := v.SearchText()
	upToTags := union(text.Title, text.Tags)
	upToMetadata := union(upToTags, text.Metadata)
	metadata := bson.A{}
	for name, value := range v.Details.Metadata {
		metadata = append(metadata, metadataKey(name, value))
	}
	return bson.D{
		{Key: fieldLive, Value: true},
		{Key: fieldSeq, Value: int64(v.Created)},
		{Key: fieldStatus, Value: string(v.Status)},
		{Key: fieldVisibility, Value: string(v.Details.Visibility)},
		{Key: fieldCreated, Value: v.CreatedAt.UnixMicro()},
		{Key: fieldDuration, Value: v.Duration},
		{Key: fieldTitle, Value: v.TitleKey()},
		{Key: fieldTags, Value: union(v.Details.Tags)},
		{Key: fieldMetadata, Value: metadata},
		{Key: "words", Value: bson.D{
			{Key: "title", Value: union(text.Title)},
			{Key: "tags", Value: upToTags},
			{Key: "metadata", Value: upToMetadata},
			{Key: "all", Value: union(upToMetadata, text.Description)},
		}},
	}
}

// union returns the distinct strings of all lists; never nil, which would be stored as null.
func union(lists ...[]string) []string {
	all := slices.Concat(append([][]string{{}}, lists...)...)
	slices.Sort(all)
	return slices.Compact(all)
}

// metadataKey is one string for a name and a value, and not the same for any other two.
func metadataKey(name, value string) string {
	pair, err := json.Marshal([2]string{name, value})
	if err != nil {
		return "" // two strings always can be
	}
	return string(pair)
}

// Video implements projections.Catalog.
func (c *Catalog) Video(ctx context.Context, id domain.VideoID) (projections.Video, error) {
	return projections.LiveVideo(ctx, c, id)
}
