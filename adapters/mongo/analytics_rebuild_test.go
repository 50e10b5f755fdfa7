package mongo_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func openAnalytics(t *testing.T, uri string) *mongo.Analytics {
	t.Helper()
	a, err := mongo.OpenAnalytics(t.Context(), connect(t, uri))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// factGenerations returns the collections that hold facts.
func factGenerations(t *testing.T, uri string) []string {
	t.Helper()
	names, err := mongo.Collection(connect(t, uri), "meta").Database().ListCollectionNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, "views_analytics_") || strings.HasSuffix(n, "_steps")
	})
}

func TestRebuildsOfFacts(t *testing.T) {
	t.Parallel()
	contract.RebuildsOfFacts(t, func(t *testing.T) contract.FactsPlace {
		t.Helper()
		uri := newDatabase(t)
		return contract.FactsPlace{
			Rebuilds: 2,
			Open: func(t *testing.T) contract.RebuiltFacts {
				t.Helper()
				a, err := mongo.OpenAnalytics(t.Context(), patient(t, uri))
				if err != nil {
					t.Fatal(err)
				}
				return a
			},
			Generations: func(t *testing.T) []string {
				t.Helper()
				return factGenerations(t, uri)
			},
		}
	})
}

// atSwitch is a log that is asked for its head a second time when the next generation is announced and not yet current.
type atSwitch struct {
	*contract.Story

	asked int
	then  func() error
}

func (l *atSwitch) Head(ctx context.Context) (domain.Position, error) {
	if l.asked++; l.asked == 2 {
		if err := l.then(); err != nil {
			return 0, err
		}
	}
	return l.Story.Head(ctx)
}

// TestFactsOfAHalfDoneSwitch lets a rebuild die when its build is announced. Queries go on with the one in use, facts go
// into both, and whoever has the log at hand ends the switch.
func TestFactsOfAHalfDoneSwitch(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	a, subscriber, other := openAnalytics(t, uri), openAnalytics(t, uri), openAnalytics(t, uri)
	story := contract.Uploads(10)
	record := func(events ...domain.Recorded) {
		t.Helper()
		if err := projections.RecordEvents(t.Context(), subscriber, events...); err != nil {
			t.Fatal(err)
		}
	}
	record(story.Events...)
	before, err := a.Stored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// One fact comes, and its event is in the log, before anybody can know of the build; it is recorded in the old one only.
	dies := errors.New("it dies")
	_, err = a.Rebuild(t.Context(), &atSwitch{Story: story, then: func() error {
		return dies
	}}, &projections.RebuildOptions{Settled: func(context.Context) error {
		story.Add("before", domain.VideoUploaded{Attempt: 1})
		record(story.Events[10])
		return nil
	}})
	if !errors.Is(err, dies) {
		t.Fatalf("rebuilt: %v", err)
	}
	if now, err := other.Stored(t.Context()); err != nil || now.Generation != before.Generation {
		t.Errorf("it has switched all the same: %+v, %v", now, err)
	}
	story.Add("after", domain.VideoUploaded{Attempt: 1})
	record(story.Events[11])
	contract.AllUploads(t, other, story)
	built := slices.DeleteFunc(factGenerations(t, uri), func(n string) bool { return n == before.Generation })
	if len(built) != 1 {
		t.Fatalf("builds %v", built)
	}
	n, err := mongo.Collection(connect(t, uri), built[0]).CountDocuments(t.Context(), bson.D{{Key: "_id", Value: 12}})
	if err != nil || n != 1 {
		t.Errorf("the fact is %d times in the announced one, %v", n, err)
	}
	if err := other.CatchUp(t.Context(), story, nil); err != nil {
		t.Fatal(err)
	}
	if now, err := other.Stored(t.Context()); err != nil || now.Generation != built[0] || now.Previous != before.Generation {
		t.Errorf("afterwards: %+v, %v", now, err)
	}
	for _, handle := range []*mongo.Analytics{a, subscriber, other} {
		contract.AllUploads(t, handle, story)
	}
	if done, err := a.Rebuild(t.Context(), story, nil); err != nil || !done.Equal() || len(factGenerations(t, uri)) != 2 {
		t.Errorf("rebuilt again: %+v, %v, generations %v", done, err, factGenerations(t, uri))
	}
}

// TestASwitchThatAnotherOneEnds has somebody end a switch while the rebuild is about to.
func TestASwitchThatAnotherOneEnds(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	a, other := openAnalytics(t, uri), openAnalytics(t, uri)
	story := contract.Uploads(10)
	if err := projections.RecordEvents(t.Context(), other, story.Events...); err != nil {
		t.Fatal(err)
	}
	var ended projections.Stored
	done, err := a.Rebuild(t.Context(), &atSwitch{Story: story, then: func() (err error) {
		story.Add("meanwhile", domain.VideoUploaded{Attempt: 1})
		if err = other.CatchUp(t.Context(), story, nil); err == nil {
			ended, err = other.Stored(t.Context())
		}
		return err
	}}, nil)
	if err != nil || !done.Equal() || done.Rows != 10 {
		t.Errorf("%+v, %v", done, err)
	}
	now, err := a.Stored(t.Context())
	if err != nil || now != ended || now.Position != 11 || now.Previous == "" || len(factGenerations(t, uri)) != 2 {
		t.Errorf("%+v, %v, when the other one had ended the switch %+v; generations %v", now, err, ended, factGenerations(t, uri))
	}
	contract.AllUploads(t, a, story)
}

// TestTwoVersionsOfFacts has a process of a newer release serve what is there until it has built its own facts, and keep what
// it has no own ones for up to date. Those of the release before go on with theirs.
func TestTwoVersionsOfFacts(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	open := func() *mongo.Analytics {
		t.Helper()
		a, err := mongo.OpenAnalyticsOf(t.Context(), connect(t, uri), projections.AnalyticsVersion+1)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	old, recent, other := openAnalytics(t, uri), open(), open()
	story := contract.Uploads(10)
	record := func(a *mongo.Analytics, events ...domain.Recorded) {
		t.Helper()
		if err := projections.RecordEvents(t.Context(), a, events...); err != nil {
			t.Fatal(err)
		}
	}
	stands := func(a *mongo.Analytics, version int, at domain.Position) {
		t.Helper()
		if s, err := a.Stored(t.Context()); err != nil || s.Version != version || s.Position != at || s.Previous != "" {
			t.Errorf("stored: %+v, %v, want version %d at %d", s, err, version, at)
		}
	}
	record(old, story.Events[:6]...)
	record(recent, story.Events[6:]...)
	contract.AllUploads(t, old, story)
	contract.AllUploads(t, recent, story)
	stands(recent, projections.AnalyticsVersion, 10)
	if err := recent.CatchUp(t.Context(), story, nil); !errors.Is(err, projections.ErrOutdated) {
		t.Errorf("caught up with facts of another version: %v", err)
	}
	done, err := recent.Rebuild(t.Context(), &atSwitch{Story: story, then: func() error {
		story.Add("at the switch", domain.VideoUploaded{Attempt: 1})
		record(other, story.Events[10])
		return nil
	}}, nil)
	if err != nil || !done.New || done.Rows != 10 {
		t.Fatalf("rebuilt: %+v, %v", done, err)
	}
	for _, a := range []*mongo.Analytics{old, recent, other, open()} {
		contract.AllUploads(t, a, story)
	}
	stands(recent, projections.AnalyticsVersion+1, 11)
	stands(old, projections.AnalyticsVersion, 11)
	if err := recent.CatchUp(t.Context(), story, nil); err != nil {
		t.Error(err)
	}
	if _, err := recent.Rollback(t.Context(), story, nil); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("a rollback of the first of its version: %v, want ErrNotFound", err)
	}
	story.Add("later", domain.VideoUploaded{Attempt: 1})
	record(recent, story.Events[11])
	contract.AllUploads(t, other, story)
	stands(old, projections.AnalyticsVersion, 11)
}
