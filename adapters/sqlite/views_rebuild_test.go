package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/adapters/sqlite"
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

func catchUp(t testing.TB, log projections.Log, c *sqlite.Catalog) {
	t.Helper()
	target := projections.NewReadModel(projections.CatalogModel(), c)
	if _, err := projections.CatchUp(t.Context(), log, target, projections.CatchUpOptions{}); err != nil {
		t.Fatal(err)
	}
}

func hash(t testing.TB, c *sqlite.Catalog) string {
	t.Helper()
	sum, _, err := c.Hash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func databases(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "views-catalog-*.db"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, other := openCatalog(t, dir), openCatalog(t, dir)
	story := manyTitles(50)
	catchUp(t, story, c)
	before := hash(t, c)

	var last domain.Position
	done, err := c.Rebuild(t.Context(), story, func(p domain.Position) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	if done.Rows != 50 || done.Position != 50 || last != 50 || done.Hash != before || len(done.Different) > 0 {
		t.Errorf("rebuilt: %+v, progress to %d; want 50 rows that hash to %s", done, last, before)
	}
	if got := databases(t, dir); !slices.Equal(got, []string{"views-catalog-2.db"}) {
		t.Errorf("files after a rebuild: %v, want only the new generation", got)
	}
	// Every handle moves over, for reading and for writing.
	story.Create("new", "fresh")
	catchUp(t, story, other)
	for _, h := range []*sqlite.Catalog{c, other} {
		if got := find(t, h, projections.Query{Text: "fresh"}); len(got.Items) != 1 {
			t.Errorf("a video saved after the switch: %d found, want 1", len(got.Items))
		}
	}
	if again := openCatalog(t, dir); hash(t, again) != hash(t, c) {
		t.Error("opened again, the rows are others")
	}
}

func find(t testing.TB, c *sqlite.Catalog, q projections.Query) projections.Page {
	t.Helper()
	page, err := c.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestRebuildFindsAndRepairsDamage(t *testing.T) {
	t.Parallel()
	c := openCatalog(t, t.TempDir())
	story := manyTitles(20)
	catchUp(t, story, c)
	sound := hash(t, c)
	wrong := projections.FoldVideo(story.Events[3:4])
	wrong.Details.Title = "wrong"
	if err := c.Save(t.Context(), map[string]projections.Video{"v3": wrong}, []string{"v7"}, 20, 20); err != nil {
		t.Fatal(err)
	}
	damaged := hash(t, c)
	for _, check := range []func(context.Context, projections.Log, func(domain.Position)) (sqlite.Rebuilt, error){
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
		if !slices.Equal(done.Different, []string{"v3", "v7"}) || done.Hash != sound || done.LiveHash != damaged {
			t.Errorf("found %+v, want v3 and v7 to differ", done)
		}
	}
	if hash(t, c) != sound {
		t.Error("the rebuild did not repair the read model")
	}
}

func TestRebuildOfOneThatIsBehind(t *testing.T) {
	t.Parallel()
	c := openCatalog(t, t.TempDir())
	done, err := c.Rebuild(t.Context(), manyTitles(10), nil)
	if err != nil || done.Position != 10 || done.Rows != 10 || len(done.Different) > 0 {
		t.Errorf("rebuilt an empty read model: %+v, %v", done, err)
	}
}

func TestQueriesAndUpdatesDuringRebuilds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, writer, rebuilder := openCatalog(t, dir), openCatalog(t, dir), openCatalog(t, dir)
	log := memory.NewLog()
	add := func(i int) {
		events := []domain.Event{domain.VideoCreated{Owner: "local", Details: domain.Details{Title: fmt.Sprint("go ", i)}}}
		_, err := log.Append(t.Context(), domain.Commit{ID: strconv.Itoa(i), Stream: fmt.Sprint("v", i), Events: events})
		if err != nil {
			t.Error(err)
		}
	}
	const first = 300
	for i := range first {
		add(i)
	}
	catchUp(t, log, writer)
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
			if n := page.Facets["status"][0].Count; n < least {
				t.Errorf("%d videos found after %d", n, least)
			} else {
				least = n
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	wake := make(chan struct{}, 1)
	fresh := projections.NewFreshness()
	wg.Go(func() { // a projector
		target := projections.NewReadModel(projections.CatalogModel(), writer)
		if err := projections.Run(ctx, log, target, wake, 1<<40, fresh.Advance); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	wg.Go(func() { // new videos, as fast as they are projected
		for i := first; fresh.Wait(ctx, domain.Position(i)) == nil; i++ {
			select {
			case <-stop:
				return
			default:
			}
			add(i)
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	})
	for range 5 {
		done, err := rebuilder.Rebuild(t.Context(), log, nil)
		if err != nil || len(done.Different) > 0 {
			t.Errorf("rebuilt while all goes on: %+v, %v", done, err)
		}
	}
	close(stop)
	cancel()
	wg.Wait()
	catchUp(t, log, writer)
	if done, err := rebuilder.Verify(t.Context(), log, nil); err != nil || len(done.Different) > 0 {
		t.Errorf("afterwards: %+v, %v", done, err)
	}
}

func TestOneRebuildAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, other := openCatalog(t, dir), openCatalog(t, dir)
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
	dir := t.TempDir()
	c := openCatalog(t, dir)
	story := manyTitles(30)
	catchUp(t, story, c)
	before := hash(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.Rebuild(ctx, story, func(domain.Position) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled rebuild: %v", err)
	}
	if hash(t, c) != before {
		t.Error("a cancelled rebuild changed the rows")
	}
	// What a crash leaves is removed by the next rebuild.
	if err := os.WriteFile(filepath.Join(dir, "views-catalog-77.db"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rebuild(t.Context(), story, nil); err != nil {
		t.Fatal(err)
	}
	if got := databases(t, dir); len(got) != 1 || strings.Contains(got[0], "77") {
		t.Errorf("files: %v, want only the new generation", got)
	}
}

func TestOtherVersionStartsEmpty(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, test := range []struct {
		version int
		at      domain.Position
	}{{1, 0}, {1, 9}, {2, 0}, {2, 9}} {
		m := projections.Model[contract.Row]{Name: "rows", Version: test.version}
		rows, err := sqlite.OpenRows(t.Context(), dir, m)
		if err != nil {
			t.Fatal(err)
		}
		at, err := rows.Checkpoint(t.Context())
		if err != nil || at != test.at {
			t.Errorf("version %d: checkpoint %d, %v, want %d", test.version, at, err, test.at)
		}
		if at == 0 {
			err = rows.Save(t.Context(), map[string]contract.Row{"a": {}}, nil, 0, 9)
		}
		if err = errors.Join(err, rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedFileStartsEmpty(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := projections.Model[contract.Row]{Name: "rows", Version: 1}
	for name, content := range map[string]string{"views-rows.current": "3\n", "views-rows-3.db": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := sqlite.OpenRows(t.Context(), dir, m)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, rows)
	if at, err := rows.Checkpoint(t.Context()); at != 0 || err != nil {
		t.Errorf("checkpoint %d, %v, want 0", at, err)
	}
}

// TestLiveIsRebuilt applies random events in random batches and rebuilds in between: the rows are always those that
// the events give in one go.
func TestLiveIsRebuilt(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom([]string{"go", "Größe", "北京", "talk"})
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "") //nolint:usetesting // one for each of many runs, of which r has none
		if err != nil {
			r.Fatal(err)
		}
		c, err := sqlite.OpenCatalog(t.Context(), dir)
		if err != nil {
			r.Fatal(err)
		}
		defer c.Close()
		story := contract.RandomStory(r, word)
		live := projections.NewReadModel(projections.CatalogModel(), c)
		for at := 0; at < len(story.Events); {
			n := rapid.IntRange(1, len(story.Events)-at).Draw(r, "batch")
			if err := live.Apply(t.Context(), story.Events[at:at+n]); err != nil {
				r.Fatal(err)
			}
			at += n
		}
		done, err := c.Rebuild(t.Context(), story, nil)
		if err != nil || done.Hash != done.LiveHash || len(done.Different) > 0 {
			r.Fatalf("live against rebuilt: %+v, %v", done, err)
		}
	})
}
