package mongo_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
)

// appendSome appends three commits of two events to each of two streams: positions 1 to 12.
func appendSome(t *testing.T, l *mongo.Log) {
	t.Helper()
	for version := 0; version < 6; version += 2 {
		for _, stream := range []string{"a", "b"} {
			_, err := l.Append(t.Context(), domain.Commit{
				ID: uuid.NewString(), Stream: stream, Expected: version,
				Events: []domain.Event{domain.TranscodeRequested{Attempt: version}, domain.VideoPublished{}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestVerifyChainFindsEveryChange(t *testing.T) {
	t.Parallel()
	set := func(field string, value any) bson.D {
		return bson.D{{Key: "$set", Value: bson.D{{Key: field, Value: value}}}}
	}
	for name, c := range map[string]struct {
		position int64
		change   bson.D // of the commit there; nil removes it
		finding  string
	}{
		"a changed event":           {5, set("events.0.data", `{"attempt":3}`), "commit at 5: the hash"},
		"a changed time":            {5, set("time", int64(1)), "commit at 5: the hash"},
		"a changed actor":           {5, set("meta.actor", "somebody"), "commit at 5: the hash"},
		"a changed id":              {5, set("id", "other"), "commit at 5: the hash"},
		"a changed hash":            {5, set("hash", []byte{0}), "commit at 5: the hash"},
		"a commit of another video": {5, set("stream", "c"), "version 3 of stream c, expected 1"},
		"a missing commit":          {5, nil, "commit at 7: expected position 5"},
		"no JSON":                   {5, set("events.0.data", "{"), "commit at 5: decode the event at 5"},
		"an unknown event":          {5, set("events.1.type", "video.prohibited.v1"), "unknown event"},
		"a wrong end":               {11, set("last", int64(13)), "commit at 11: 2 events, but it says that it ends at 13"},
		"no events":                 {11, set("events", bson.A{}), "commit at 11: 0 events"},
		"a missing first commit":    {1, nil, "commit at 3: expected position 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri := newDatabase(t)
			l := openLog(t, uri)
			appendSome(t, l)
			verify(t, l.LogReader)
			commits := mongo.Collection(connect(t, uri), "commits")
			at := bson.D{{Key: "_id", Value: fmt.Sprintf("%020d", c.position)}}
			var err error
			if c.change == nil {
				_, err = commits.DeleteOne(t.Context(), at)
			} else {
				_, err = commits.UpdateOne(t.Context(), at, c.change)
			}
			if err != nil {
				t.Fatal(err)
			}
			findings, err := l.VerifyChain(t.Context())
			if err != nil || !strings.Contains(strings.Join(findings, "\n"), c.finding) {
				t.Errorf("found %q, %v; want %q", findings, err, c.finding)
			}
		})
	}
}
