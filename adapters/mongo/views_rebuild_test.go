package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
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

func TestRebuild(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	c, other := openCatalog(t, uri), openCatalog(t, uri)
	story := manyTitles(50)
	catchUp(t, story, c)
	before, first := hash(t, c), generations(t, uri)

	var last domain.Position
	done, err := c.Rebuild(t.Context(), story, func(p domain.Position) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	if done.Rows != 50 || done.Position != 50 || last != 50 || done.Hash != before || done.LiveHash != before || len(done.Different) > 0 {
		t.Errorf("rebuilt: %+v, progress to %d; want 50 rows that hash to %s", done, last, before)
	}
	if got := generations(t, uri); len(got) != 1 || got[0] == first[0] {
		t.Errorf("generations after a rebuild: %v, want only one, not %v", got, first)
	}
	// Every handle moves over, for reading and for writing.
	story.Create("new", "fresh")
	catchUp(t, story, other)
	for _, h := range []*mongo.Catalog{c, other} {
		if got := find(t, h, projections.Query{Text: "fresh"}); len(got.Items) != 1 {
			t.Errorf("a video saved after the switch: %d found, want 1", len(got.Items))
		}
	}
	if again := openCatalog(t, uri); hash(t, again) != hash(t, c) {
		t.Error("opened again, the rows are others")
	}
}

func TestRebuildFindsAndRepairsDamage(t *testing.T) {
	t.Parallel()
	c := openCatalog(t, newDatabase(t))
	story := manyTitles(20)
	catchUp(t, story, c)
	sound := hash(t, c)
	wrong := projections.FoldVideo(story.Events[3:4])
	wrong.Details.Title = "wrong"
	extra := wrong
	extra.ID = "x"
	damage := map[string]projections.Video{"v3": wrong, "a": extra, "v3a": extra, "x": extra}
	if err := c.Save(t.Context(), damage, []string{"v7"}, 20, 20); err != nil {
		t.Fatal(err)
	}
	damaged := hash(t, c)
	for _, check := range []func(context.Context, projections.Log, func(domain.Position)) (mongo.Rebuilt, error){
		c.Verify, c.Rebuild,
	} {
		if hash(t, c) != damaged {
			t.Error("Verify changed the read model")
		}
		done, err := check(t.Context(), story, nil)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(done.Different)
		if !slices.Equal(done.Different, []string{"a", "v3", "v3a", "v7", "x"}) || done.Hash != sound || done.LiveHash != damaged {
			t.Errorf("found %+v, want a, v3, v3a, v7 and x to differ", done)
		}
	}
	if hash(t, c) != sound {
		t.Error("the rebuild did not repair the read model")
	}
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
	if n := len(generations(t, uri)); n != 1 {
		t.Errorf("%d generations are left, want 1", n)
	}
}

func TestRebuildOfOneThatIsBehind(t *testing.T) {
	t.Parallel()
	c := openCatalog(t, newDatabase(t))
	done, err := c.Rebuild(t.Context(), manyTitles(10), nil)
	if err != nil || done.Position != 10 || done.Rows != 10 || len(done.Different) > 0 {
		t.Errorf("rebuilt an empty read model: %+v, %v", done, err)
	}
	if done, err := c.Verify(t.Context(), &contract.Story{}, nil); err != nil || done.Rows != 0 || len(done.Different) != 10 {
		t.Errorf("compared with an empty log: %+v, %v", done, err)
	}
}

func TestQueriesAndUpdatesDuringRebuilds(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	c, rebuilder := openCatalog(t, uri), openCatalog(t, uri)
	writers := []*mongo.Catalog{openCatalog(t, uri), openCatalog(t, uri)}
	log := memory.NewLog()
	add := func(i int) {
		events := []domain.Event{domain.VideoCreated{Owner: "local", Details: domain.Details{Title: fmt.Sprint("go ", i)}}}
		_, err := log.Append(t.Context(), domain.Commit{ID: strconv.Itoa(i), Stream: fmt.Sprint("v", i), Events: events})
		if err != nil {
			t.Error(err)
		}
	}
	const first = 100
	for i := range first {
		add(i)
	}
	catchUp(t, log, writers[0])
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // a reader, which must never find fewer than before
		least := first
		for {
			select {
			case <-stop:
				return
			default:
			}
			page, err := c.Search(t.Context(), projections.Query{Text: "go", Facets: []string{"status"}})
			if err != nil {
				t.Error(err)
				return
			}
			n := 0
			if counts := page.Facets["status"]; len(counts) > 0 {
				n = counts[0].Count
			}
			if n < least {
				t.Errorf("%d videos found after %d", n, least)
			}
			least = max(least, n)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	wake := []chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	fresh := projections.NewFreshness()
	for i, w := range writers { // two projectors, as two processes have them
		wg.Go(func() {
			target := projections.NewReadModel(projections.CatalogModel(), w)
			if err := projections.Run(ctx, log, target, wake[i], 1<<40, fresh.Advance); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	wg.Go(func() { // new videos, as fast as they are projected
		for i := first; fresh.Wait(ctx, domain.Position(i)) == nil; i++ {
			select {
			case <-stop:
				return
			default:
			}
			add(i)
			for _, w := range wake {
				select {
				case w <- struct{}{}:
				default:
				}
			}
		}
	})
	for range 2 {
		done, err := rebuilder.Rebuild(t.Context(), log, nil)
		if err != nil || len(done.Different) > 0 || done.Hash != done.LiveHash {
			t.Errorf("rebuilt while all goes on: %+v, %v", done, err)
		}
	}
	close(stop)
	cancel()
	wg.Wait()
	catchUp(t, log, writers[0])
	done, err := rebuilder.Verify(t.Context(), log, nil)
	if err != nil || len(done.Different) > 0 || done.Rows <= first {
		t.Errorf("afterwards: %+v, %v", done, err)
	}
}

func TestOneRebuildAtATime(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	c, other := openCatalog(t, uri), openCatalog(t, uri)
	story := manyTitles(5)
	_, err := c.Rebuild(t.Context(), story, func(domain.Position) {
		if _, err := other.Rebuild(t.Context(), story, nil); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("a second rebuild: %v, want ErrConflict", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Rebuild(t.Context(), story, nil); err != nil {
		t.Errorf("a rebuild after the first has ended: %v", err)
	}
}

func TestStoppedRebuildChangesNothing(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	c := openCatalog(t, uri)
	story := manyTitles(30)
	catchUp(t, story, c)
	before, first := hash(t, c), generations(t, uri)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.Rebuild(ctx, story, func(domain.Position) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled rebuild: %v", err)
	}
	if hash(t, c) != before || !slices.Equal(generations(t, uri), first) {
		t.Errorf("a cancelled rebuild changed the rows, or left %v", generations(t, uri))
	}
	// What a crash leaves is removed by the next rebuild.
	crashed := first[0][:len(first[0])-len("crashed")] + "crashed"
	if _, err := mongo.Collection(connect(t, uri), crashed).InsertOne(t.Context(), bson.D{{Key: "_id", Value: "v1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rebuild(t.Context(), story, nil); err != nil {
		t.Fatal(err)
	}
	if got := generations(t, uri); len(got) != 1 || got[0] == first[0] || got[0] == crashed {
		t.Errorf("generations: %v, want only the new one", got)
	}
}

func TestOtherVersionStartsEmpty(t *testing.T) {
	t.Parallel()
	db := connect(t, newDatabase(t))
	for _, test := range []struct {
		version int
		at      domain.Position
	}{{1, 0}, {1, 9}, {2, 0}, {2, 9}, {1, 9}} {
		m := projections.Model[contract.Row]{Name: "rows", Version: test.version}
		if test.at == 0 {
			if _, err := mongo.OpenRows(t.Context(), db, m); !errors.Is(err, domain.ErrNotFound) || !strings.Contains(err.Error(), "cinelog provision") {
				t.Errorf("version %d before it was provisioned: %v", test.version, err)
			}
			if _, err := db.Provision(t.Context(), false, mongo.View{Name: m.Name, Version: m.Version}); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := mongo.OpenRows(t.Context(), db, m)
		if err != nil {
			t.Fatal(err)
		}
		at, err := rows.Checkpoint(t.Context())
		if err != nil || at != test.at {
			t.Errorf("version %d: checkpoint %d, %v, want %d", test.version, at, err, test.at)
		}
		if at == 0 {
			if err := rows.Save(t.Context(), map[string]contract.Row{"a": {}}, nil, 0, 9); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLiveIsRebuilt applies random events in random batches and compares: the rows are always those that the events
// give in one go.
func TestLiveIsRebuilt(t *testing.T) {
	t.Parallel()
	c := openCatalog(t, newDatabase(t))
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
		at, err := c.Checkpoint(t.Context())
		if err == nil {
			err = c.Save(t.Context(), nil, []string{""}, at, 0) // empty again
		}
		if err != nil {
			t.Fatal(err)
		}
		live := projections.NewReadModel(projections.CatalogModel(), c)
		for events := r.story.Events; len(events) > 0; r.batches = r.batches[1:] {
			n := min(r.batches[0], len(events))
			if err := live.Apply(t.Context(), events[:n]); err != nil {
				t.Fatal(err)
			}
			events = events[n:]
		}
		done, err := c.Verify(t.Context(), r.story, nil)
		if err != nil || done.Hash != done.LiveHash || len(done.Different) > 0 {
			t.Fatalf("seed %d: live against rebuilt: %+v, %v", seed, done, err)
		}
	}
}
