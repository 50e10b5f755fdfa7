package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Rebuildable is what all read models have that can be rebuilt.
type Rebuildable interface {
	// Rebuild builds the read model beside the one in use, compares the two and makes the new one current. ErrConflict:
	// another rebuild is running.
	Rebuild(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error)
	// Verify compares as Rebuild does, as far as the one in use has come, and changes nothing.
	Verify(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error)
	// Rollback makes the one before current, after bringing it up to date.
	Rollback(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error)
	Stored(ctx context.Context) (projections.Stored, error)
}

// RebuiltCatalog is a catalog that can be rebuilt.
type RebuiltCatalog interface {
	CatalogStore
	Rebuildable

	Hash(ctx context.Context) (sum string, at domain.Position, err error)
}

// RebuildPlace is a place where a catalog is kept.
type RebuildPlace struct {
	Open        func(t *testing.T) RebuiltCatalog // as one more process does
	Generations func(t *testing.T) []string       // the names of those that are there
	Crash       func(t *testing.T) (name string)  // leaves a generation behind as a rebuild does that crashed
}

// Rebuilds checks how a catalog is rebuilt. place makes an empty one.
func Rebuilds(t *testing.T, place func(t *testing.T) RebuildPlace) {
	for name, test := range map[string]func(*testing.T, RebuildPlace){
		"a rebuild":                           rebuild,
		"damage is found and repaired":        rebuildOfDamage,
		"one that is behind":                  rebuildOfOneBehind,
		"queries and updates during rebuilds": rebuildUnderTraffic,
		"one rebuild at a time":               oneRebuildAtATime,
		"a stopped rebuild changes nothing":   stoppedRebuild,
		"who did not ask is refused":          staleProjector,
		"a bug in the model is found":         rebuildAfterBug,
		"one that was cut off goes on":        resumedRebuild,
		"a rollback":                          rollbackOfRebuild,
		"skipped events are left out":         rebuildWithSkips,
		"what changed meanwhile stops it":     unsettledRebuild,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t))
		})
	}
}

func manyTitles(n int) *Story {
	s := &Story{}
	for i := range n {
		s.Create(fmt.Sprint("v", i), fmt.Sprint("go talk ", i))
	}
	return s
}

func progress(f func(domain.Position)) *projections.RebuildOptions {
	return &projections.RebuildOptions{Progress: f}
}

func hash(t *testing.T, c RebuiltCatalog) string {
	t.Helper()
	sum, _, err := c.Hash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func rebuild(t *testing.T, p RebuildPlace) {
	c, other := p.Open(t), p.Open(t)
	story := manyTitles(50)
	tell(t, c, story)
	before, first := hash(t, c), p.Generations(t)

	var last domain.Position
	done, err := c.Rebuild(t.Context(), story, progress(func(p domain.Position) { last = p }))
	if err != nil {
		t.Fatal(err)
	}
	if done.Rows != 50 || done.Position != 50 || last != 50 || done.Hash != before || done.LiveHash != before || len(done.Different) > 0 {
		t.Errorf("rebuilt: %+v, progress to %d; want 50 rows that hash to %s", done, last, before)
	}
	if got := p.Generations(t); len(got) != 2 || !slices.Contains(got, first[0]) {
		t.Errorf("generations after a rebuild: %v, want two, %v and the new one", got, first)
	}
	// Every handle moves over, for reading and for writing.
	story.Create("new", "fresh")
	tell(t, other, story)
	for _, h := range []RebuiltCatalog{c, other} {
		if got := find(t, h, projections.Query{Text: "fresh"}); len(got.Items) != 1 {
			t.Errorf("a video saved after the switch: %d found, want 1", len(got.Items))
		}
	}
	if again := p.Open(t); hash(t, again) != hash(t, c) {
		t.Error("opened again, the rows are others")
	}
}

func rebuildOfDamage(t *testing.T, p RebuildPlace) {
	c := p.Open(t)
	story := manyTitles(20)
	tell(t, c, story)
	sound := hash(t, c)
	wrong := projections.FoldVideo(story.Events[3:4])
	wrong.Details.Title = "wrong"
	damage := map[string]projections.Video{"v3": wrong}
	for i, key := range []string{"a", "v3a", "x"} { // before, between and after the keys that belong there
		extra := wrong
		extra.ID, extra.Created = domain.VideoID(key), domain.Position(100+i)
		damage[key] = extra
	}
	if err := c.Save(t.Context(), damage, []string{"v7"}, 20, 20); err != nil {
		t.Fatal(err)
	}
	damaged := hash(t, c)
	for _, check := range []func(context.Context, projections.Log, *projections.RebuildOptions) (projections.Rebuilt, error){
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

func rebuildOfOneBehind(t *testing.T, p RebuildPlace) {
	c := p.Open(t)
	done, err := c.Rebuild(t.Context(), manyTitles(30), nil)
	if err != nil || done.Position != 30 || done.Rows != 30 || len(done.Different) > 0 {
		t.Errorf("rebuilt an empty read model: %+v, %v", done, err)
	}
	const some = 20
	if done, err := c.Verify(t.Context(), &Story{}, nil); err != nil || done.Rows != 0 || len(done.Different) != some {
		t.Errorf("compared with an empty log: %+v, %v; want the first %d rows to differ", done, err, some)
	}
}

// shared is a story that several may tell and read at the same time.
type shared struct {
	mu    sync.Mutex
	story *Story
}

func (s *shared) create(id, title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story.Create(id, title)
}

func (s *shared) Head(ctx context.Context) (domain.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.story.Head(ctx)
}

func (s *shared) ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.story.ReadAfter(ctx, after, limit)
}

func rebuildUnderTraffic(t *testing.T, p RebuildPlace) {
	c, rebuilder := p.Open(t), p.Open(t)
	writers := []RebuiltCatalog{p.Open(t), p.Open(t)}
	const first = 200
	log := &shared{story: manyTitles(first)}
	tell(t, writers[0], log.story)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { neverFewer(ctx, t, c, first) })
	wake := []chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	fresh := projections.NewFreshness()
	for i, w := range writers { // two projectors, as two processes have them
		running.Go(func() {
			target := projections.NewReadModel(projections.CatalogModel(), w)
			if err := projections.Run(ctx, log, target, wake[i], 1<<40, fresh.Advance); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	const during = 200 // each rebuild; more would make the later ones long
	more := make(chan struct{}, 3*during)
	running.Go(func() { // new videos, as fast as they are projected
		for i := first; fresh.Wait(ctx, domain.Position(i)) == nil; i++ {
			select {
			case <-more:
			case <-ctx.Done():
			}
			log.create(fmt.Sprint("v", i), fmt.Sprint("go talk ", i))
			for _, w := range wake {
				select {
				case w <- struct{}{}:
				default:
				}
			}
		}
	})
	for range 3 {
		for range during {
			more <- struct{}{}
		}
		done, err := rebuilder.Rebuild(t.Context(), log, nil)
		if err != nil || len(done.Different) > 0 || done.Hash != done.LiveHash {
			t.Errorf("rebuilt while all goes on: %+v, %v", done, err)
		}
	}
	stop()
	running.Wait()
	tell(t, writers[0], log.story)
	done, err := rebuilder.Verify(t.Context(), log, nil)
	if err != nil || len(done.Different) > 0 || done.Rows <= first {
		t.Errorf("afterwards: %+v, %v", done, err)
	}
}

// neverFewer searches until ctx ends, and must never find fewer videos than before.
func neverFewer(ctx context.Context, t *testing.T, c RebuiltCatalog, least int) {
	t.Helper()
	for ctx.Err() == nil {
		page, err := c.Search(context.WithoutCancel(ctx), projections.Query{Text: "go", Facets: []string{projections.FacetStatus}})
		if err != nil {
			t.Error(err)
			return
		}
		n := 0
		if counts := page.Facets[projections.FacetStatus]; len(counts) > 0 {
			n = counts[0].Count
		}
		if n < least {
			t.Errorf("%d videos found after %d", n, least)
		}
		least = max(least, n)
	}
}

// staleProjector goes on where a projector has come that has not asked again where that is.
func staleProjector(t *testing.T, p RebuildPlace) {
	c, other := p.Open(t), p.Open(t)
	story := manyTitles(5)
	target := projections.NewReadModel(projections.CatalogModel(), c)
	catchUp := func() {
		t.Helper()
		if _, err := projections.CatchUp(t.Context(), story, target, projections.CatchUpOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	next := func() []domain.Recorded {
		n := len(story.Events)
		story.Create(fmt.Sprint("new", n), "fresh")
		return story.Events[n:]
	}
	refused := func(events []domain.Recorded, when string) {
		t.Helper()
		if err := target.Apply(t.Context(), events); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", when, err)
		}
		catchUp()
	}
	catchUp()
	if err := target.Apply(t.Context(), next()); err != nil {
		t.Error(err)
	}
	events := next()
	tell(t, other, story)
	refused(events, "after another projector")
	// A row that is wrong, and is in the projector's memory.
	at, err := other.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wrong := projections.FoldVideo(story.Events[6:7])
	wrong.Details.Title = "wrong"
	if err := other.Save(t.Context(), map[string]projections.Video{"new6": wrong}, nil, at, at); err != nil {
		t.Fatal(err)
	}
	catchUp()
	story.Add("new6", domain.VideoPublished{})
	if err := target.Apply(t.Context(), story.Events[len(story.Events)-1:]); err != nil {
		t.Error(err)
	}
	if _, err := other.Rebuild(t.Context(), story, nil); err != nil {
		t.Fatal(err)
	}
	story.Add("new6", domain.VideoUnpublished{})
	refused(story.Events[len(story.Events)-1:], "after a rebuild, when the old rows are gone")
	if done, err := other.Verify(t.Context(), story, nil); err != nil || len(done.Different) > 0 || done.Rows != 7 {
		t.Errorf("afterwards: %+v, %v", done, err)
	}
}

func oneRebuildAtATime(t *testing.T, p RebuildPlace) {
	c, other := p.Open(t), p.Open(t)
	story := manyTitles(5)
	_, err := c.Rebuild(t.Context(), story, progress(func(domain.Position) {
		if _, err := other.Rebuild(t.Context(), story, nil); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("a second rebuild: %v, want ErrConflict", err)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Rebuild(t.Context(), story, nil); err != nil {
		t.Errorf("a rebuild after the first has ended: %v", err)
	}
}

func stoppedRebuild(t *testing.T, p RebuildPlace) {
	c := p.Open(t)
	story := manyTitles(30)
	tell(t, c, story)
	before, first := hash(t, c), p.Generations(t)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.Rebuild(ctx, story, progress(func(domain.Position) { cancel() })); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled rebuild: %v", err)
	}
	if got := p.Generations(t); hash(t, c) != before || !slices.Contains(got, first[0]) {
		t.Errorf("a cancelled rebuild changed the rows, or left %v", got)
	}
	// What a crash leaves is removed by the next rebuild.
	crashed := p.Crash(t)
	if _, err := c.Rebuild(t.Context(), story, nil); err != nil {
		t.Fatal(err)
	}
	if got := p.Generations(t); len(got) != 2 || !slices.Contains(got, first[0]) || slices.Contains(got, crashed) {
		t.Errorf("generations: %v, want %v and the new one", got, first)
	}
}
