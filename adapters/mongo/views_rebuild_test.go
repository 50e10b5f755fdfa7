package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func manyTitles(n int) *contract.Story {
	s := &contract.Story{}
	for i := range n {
		s.Create(fmt.Sprint("v", i), fmt.Sprint("go talk ", i))
	}
	return s
}

func catchUp(t testing.TB, log projections.Log, c *mongo.Catalog) {
	t.Helper()
	target := projections.NewReadModel(projections.CatalogModel(), c)
	if _, err := projections.CatchUp(t.Context(), log, target, projections.CatchUpOptions{}); err != nil {
		t.Fatal(err)
	}
}

func hash(t testing.TB, c *mongo.Catalog) string {
	t.Helper()
	sum, _, err := c.Hash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func find(t testing.TB, c *mongo.Catalog, q projections.Query) projections.Page {
	t.Helper()
	page, err := c.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// generations returns the collections that hold rows of the catalog.
func generations(t *testing.T, uri string) []string {
	t.Helper()
	names, err := mongo.Collection(connect(t, uri), "meta").Database().ListCollectionNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, "views_catalog_") || strings.HasSuffix(n, "_steps")
	})
}

// behind is a log that says that it ends sooner than it does.
type behind struct {
	*contract.Story

	head domain.Position
}

func (b behind) Head(context.Context) (domain.Position, error) { return b.head, nil }

// TestRebuildWhileRowsChange has the live read model go on after the build was compared with it, so that rows of both
// change between the two looks.
func TestRebuildWhileRowsChange(t *testing.T) {
	t.Parallel()
	c := openCatalog(t, newDatabase(t))
	story := manyTitles(10)
	for i := range 5 {
		story.Add(fmt.Sprint("v", i), domain.VideoPublished{})
	}
	story.Create("new", "go on")
	catchUp(t, story, c)
	done, err := c.Verify(t.Context(), behind{story, 10}, nil)
	if want := hash(t, c); err != nil || done.Position != 16 || done.Rows != 11 || done.Hash != want || done.LiveHash != want || len(done.Different) > 0 {
		t.Errorf("compared: %+v, %v; want 11 rows at 16 that hash to %s", done, err, want)
	}
}

// TestRebuilderDies lets a rebuild die between the step that replaces a generation and the pointer to the next one.
// Nobody writes to the old one any longer, and whoever wants to sets the pointer.
func TestRebuilderDies(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	c, writer, reader := openCatalog(t, uri), openCatalog(t, uri), openCatalog(t, uri)
	story := manyTitles(20)
	catchUp(t, story, writer)
	if err := mongo.RebuildAndDie(t.Context(), c.Rows, story); err != nil {
		t.Fatal(err)
	}
	if n := len(generations(t, uri)); n != 2 {
		t.Errorf("%d generations are there, want both", n)
	}
	if err := writer.Save(t.Context(), nil, []string{""}, 20, 21); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("a save into the old generation: %v, want ErrConflict", err)
	}
	if n := len(find(t, reader, projections.Query{Text: "go", Limit: 100}).Items); n != 20 {
		t.Errorf("%d videos found, want 20", n)
	}
	story.Create("new", "fresh")
	catchUp(t, story, writer)
	for _, h := range []*mongo.Catalog{c, writer, openCatalog(t, uri)} {
		if at, err := h.Checkpoint(t.Context()); err != nil || at != 21 {
			t.Errorf("checkpoint %d, %v; want 21", at, err)
		}
		if n := len(find(t, h, projections.Query{Text: "fresh"}).Items); n != 1 {
			t.Errorf("a video saved afterwards: %d found, want 1", n)
		}
	}
	if done, err := c.Rebuild(t.Context(), story, nil); err != nil || len(done.Different) > 0 {
		t.Errorf("rebuilt again: %+v, %v", done, err)
	}
	if n := len(generations(t, uri)); n != 2 {
		t.Errorf("%d generations are left, want 2: the one in use and the one before", n)
	}
}

func TestRebuilds(t *testing.T) {
	t.Parallel()
	contract.Rebuilds(t, func(t *testing.T) contract.RebuildPlace {
		t.Helper()
		uri := newDatabase(t)
		return contract.RebuildPlace{
			Open: func(t *testing.T) contract.RebuiltCatalog {
				t.Helper()
				c, err := mongo.OpenCatalog(t.Context(), patient(t, uri))
				if err != nil {
					t.Fatal(err)
				}
				return c
			},
			Generations: func(t *testing.T) []string {
				t.Helper()
				return generations(t, uri)
			},
			Crash: func(t *testing.T) string {
				t.Helper()
				first := generations(t, uri)[0]
				crashed := first[:len(first)-len("crashed")] + "crashed"
				_, err := mongo.Collection(connect(t, uri), crashed).InsertOne(t.Context(), bson.D{{Key: "_id", Value: "v1"}})
				if err != nil {
					t.Fatal(err)
				}
				return crashed
			},
		}
	})
}

// TestLiveIsRebuilt applies random events in random batches and compares: the rows are always those that the events
// give in one go.
func TestLiveIsRebuilt(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	playback, err := mongo.OpenRows(t.Context(), connect(t, uri), projections.PlaybackModel())
	if err != nil {
		t.Fatal(err)
	}
	liveIsRebuilt(t, projections.CatalogModel(), openCatalog(t, uri).Rows)
	liveIsRebuilt(t, projections.PlaybackModel(), playback)
}

func liveIsRebuilt[R any](t *testing.T, model projections.Model[R], rows *mongo.Rows[R]) {
	t.Helper()
	type run struct {
		story   *contract.Story
		batches []int
	}
	word := rapid.SampledFrom([]string{"go", "Größe", "北京", "talk"})
	runs := rapid.Custom(func(r *rapid.T) run {
		story := contract.RandomStory(r, word)
		return run{story, rapid.SliceOfN(rapid.IntRange(1, 10), len(story.Events), len(story.Events)).Draw(r, "batches")}
	})
	for seed := range 12 {
		r := runs.Example(seed)
		at, err := rows.Checkpoint(t.Context())
		if err == nil {
			err = rows.Save(t.Context(), nil, []string{""}, at, 0) // empty again
		}
		if err != nil {
			t.Fatal(err)
		}
		live := projections.NewReadModel(model, rows)
		for events := r.story.Events; len(events) > 0; r.batches = r.batches[1:] {
			n := min(r.batches[0], len(events))
			if err := live.Apply(t.Context(), events[:n]); err != nil {
				t.Fatal(err)
			}
			events = events[n:]
		}
		done, err := rows.Verify(t.Context(), r.story, nil)
		if err != nil || done.Hash != done.LiveHash || done.New || len(done.Different) > 0 {
			t.Fatalf("%s, seed %d: live against rebuilt: %+v, %v", model.Name, seed, done, err)
		}
	}
}
