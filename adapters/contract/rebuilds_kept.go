package contract

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// inSteps is a rate at which a build does a few events at a time.
const inSteps = 50

// cutOff rebuilds until a build has come to a position, or beyond.
func cutOff(t *testing.T, c Rebuildable, log projections.Log, at domain.Position, vouch string, cause error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := c.Rebuild(ctx, log, &projections.RebuildOptions{
		Rate: inSteps, Vouch: vouching(vouch), Progress: func(p domain.Position) {
			if p >= at {
				cancel(cause)
			}
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a rebuild that is cut off: %v", err)
	}
}

func vouching(text string) func(context.Context, domain.Position) (string, error) {
	return func(context.Context, domain.Position) (string, error) { return text, nil }
}

func resumedRebuild(t *testing.T, p RebuildPlace) {
	c := p.Open(t)
	story := manyTitles(40)
	story.Add("v3", domain.VideoDeleted{})
	tell(t, c, story)
	sound := hash(t, c)
	for _, test := range []struct {
		name    string
		cause   error
		vouch   string
		fresh   bool
		resumed bool
	}{
		{name: "by somebody who vouches for something else", vouch: "another"},
		{name: "after it was called off", vouch: "same", cause: projections.ErrCancelled},
		{name: "where it is not wanted", vouch: "same", fresh: true},
		{name: "as it was", vouch: "same", resumed: true},
	} {
		cutOff(t, c, story, 20, "same", test.cause)
		if hash(t, c) != sound {
			t.Errorf("%s: a rebuild that was cut off changed the rows", test.name)
		}
		if done, err := p.Open(t).Verify(t.Context(), story, nil); err != nil || !done.Equal() { // which leaves it alone
			t.Fatalf("%s: %+v, %v", test.name, done, err)
		}
		var resumed domain.Position
		applied := 0
		done, err := p.Open(t).Rebuild(t.Context(), counting{story, &applied}, &projections.RebuildOptions{
			Vouch: vouching(test.vouch), Fresh: test.fresh, Resumed: func(p domain.Position) { resumed = p },
		})
		if err != nil || !done.Equal() || done.Rows != 40 || done.Hash != sound {
			t.Errorf("%s: %+v, %v", test.name, done, err)
		}
		if (resumed > 0) != test.resumed || (resumed > 0 && (resumed < 20 || applied > 41-int(resumed))) {
			t.Errorf("%s: resumed at %d and read %d events, want it to: %v", test.name, resumed, applied, test.resumed)
		}
		if got := p.Generations(t); len(got) != 2 {
			t.Errorf("%s: generations %v, want two", test.name, got)
		}
	}
}

// counting counts the events that are read.
type counting struct {
	*Story

	read *int
}

func (c counting) ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	events, err := c.Story.ReadAfter(ctx, after, limit)
	*c.read += len(events)
	return events, err
}

func rollbackOfRebuild(t *testing.T, p RebuildPlace) {
	c, projector := p.Open(t), p.Open(t)
	story := manyTitles(20)
	tell(t, projector, story)
	if _, err := c.Rollback(t.Context(), story, nil); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("where nothing was replaced: %v, want ErrNotFound", err)
	}
	before := kept(t, c)
	if before.Previous != "" || before.Position != 20 {
		t.Errorf("at first: %+v", before)
	}
	if _, err := c.Rebuild(t.Context(), story, nil); err != nil {
		t.Fatal(err)
	}
	after := kept(t, c)
	if after.Generation == before.Generation || after.Previous != before.Generation || after.Position != 20 {
		t.Errorf("after a rebuild: %+v, before it %+v", after, before)
	}
	story.Create("new", "fresh")
	tell(t, projector, story)
	want := hash(t, c)
	done, err := c.Rollback(t.Context(), story, nil)
	if err != nil || done.Rows != 21 || done.Position != 21 {
		t.Fatalf("rolled back: %+v, %v", done, err)
	}
	if now := kept(t, c); now.Generation != before.Generation || now.Previous != after.Generation || now.Position != 21 {
		t.Errorf("after the rollback: %+v", now)
	}
	if hash(t, c) != want {
		t.Error("the one before was not brought up to date")
	}
	// Every handle goes on there, and a rebuild replaces it.
	story.Create("newer", "fresh")
	tell(t, projector, story)
	if got := find(t, c, projections.Query{Text: "fresh"}); len(got.Items) != 2 {
		t.Errorf("%d found, want 2", len(got.Items))
	}
	if done, err := c.Rebuild(t.Context(), story, nil); err != nil || !done.Equal() || done.New {
		t.Errorf("rebuilt afterwards: %+v, %v", done, err)
	}
	if now := kept(t, c); now.Previous != before.Generation || now.Generation == after.Generation {
		t.Errorf("after one more rebuild: %+v", now)
	}
	if got := p.Generations(t); len(got) != 2 {
		t.Errorf("generations: %v", got)
	}
}

func kept(t *testing.T, c Rebuildable) projections.Stored {
	t.Helper()
	s, err := c.Stored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rebuildAfterBug has a projector with a bug work for a while, after one without it and before its fix.
func rebuildAfterBug(t *testing.T, p RebuildPlace) {
	c := p.Open(t)
	story := manyTitles(12)
	tell(t, c, story)
	buggy := projections.CatalogModel()
	fold := buggy.Fold
	buggy.Fold = func(key string, v projections.Video, e domain.Recorded) projections.Video {
		if _, changed := e.Event.(domain.VideoDetailsChanged); changed {
			return v // nothing comes of it
		}
		return fold(key, v, e)
	}
	for _, id := range []string{"v2", "v7"} {
		story.Add(id, domain.VideoDetailsChanged{Details: domain.Details{Title: "another", Visibility: domain.Public}}, domain.VideoPublished{})
	}
	if _, err := projections.CatchUp(t.Context(), story, projections.NewReadModel(buggy, p.Open(t)), projections.CatchUpOptions{}); err != nil {
		t.Fatal(err)
	}
	story.Create("last", "go on")
	tell(t, c, story)
	want := []string{"v2", "v7"}
	for _, check := range []func(context.Context, projections.Log, *projections.RebuildOptions) (projections.Rebuilt, error){
		c.Verify, c.Rebuild,
	} {
		done, err := check(t.Context(), story, nil)
		slices.Sort(done.Different)
		if err != nil || !slices.Equal(done.Different, want) || done.Rows != 13 {
			t.Errorf("%+v, %v, want %v to differ", done, err, want)
		}
	}
	if got := find(t, c, projections.Query{Text: "another"}); len(got.Items) != 2 {
		t.Errorf("after the rebuild %d are found, want 2", len(got.Items))
	}
	if done, err := c.Verify(t.Context(), story, nil); err != nil || !done.Equal() || done.New {
		t.Errorf("after the rebuild: %+v, %v", done, err)
	}
}

func rebuildWithSkips(t *testing.T, p RebuildPlace) {
	c := p.Open(t)
	story := manyTitles(10)
	tell(t, c, story)
	o := &projections.RebuildOptions{Skip: func(p domain.Position) bool { return p == 4 }}
	if done, err := c.Verify(t.Context(), story, o); err != nil || !slices.Equal(done.Different, []string{"v3"}) || done.Rows != 9 {
		t.Errorf("compared: %+v, %v, want v3 to differ", done, err)
	}
	if done, err := c.Rebuild(t.Context(), story, o); err != nil || done.Rows != 9 {
		t.Errorf("rebuilt: %+v, %v", done, err)
	}
	if done, err := c.Verify(t.Context(), story, o); err != nil || !done.Equal() {
		t.Errorf("compared again: %+v, %v", done, err)
	}
	if at, err := c.Checkpoint(t.Context()); at != 10 || err != nil {
		t.Errorf("checkpoint %d, %v: an event that is skipped counts as applied", at, err)
	}
}

func unsettledRebuild(t *testing.T, p RebuildPlace) {
	c := p.Open(t)
	story := manyTitles(10)
	tell(t, c, story)
	unsettled(t, c, story, p.Generations)
}

// unsettled has somebody object to a switch when all is built: then nothing has changed.
func unsettled(t *testing.T, c Rebuildable, story *Story, generations func(*testing.T) []string) {
	t.Helper()
	before, first := kept(t, c), generations(t)
	no := errors.New("no")
	_, err := c.Rebuild(t.Context(), story, &projections.RebuildOptions{Settled: func(context.Context) error { return no }})
	if !errors.Is(err, no) {
		t.Errorf("rebuilt: %v", err)
	}
	if now := kept(t, c); now != before || !slices.Equal(generations(t), first) {
		t.Errorf("it changed %+v to %+v", before, now)
	}
}
