package mongo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// textsOf is a read model of which each version says something else.
func textsOf(version int) projections.Model[contract.Row] {
	return projections.Model[contract.Row]{
		Name: "texts", Version: version, Keys: func(e domain.Recorded) []string { return []string{e.Stream} },
		Fold: func(_ string, r contract.Row, _ domain.Recorded) contract.Row {
			return contract.Row{Text: fmt.Sprint("of version ", version), Count: r.Count + 1}
		},
	}
}

// standsAt checks where rows stand, and that they are those of a version.
func standsAt(t *testing.T, rows *mongo.Rows[contract.Row], at domain.Position, version int, want error) {
	t.Helper()
	if got, err := rows.Checkpoint(t.Context()); got != at || !errors.Is(err, want) {
		t.Errorf("it stands at %d, %v, want %d, %v", got, err, at, want)
	}
	found, err := rows.Scan(t.Context(), "")
	if diff := cmp.Diff([]contract.Row{{Text: fmt.Sprint("of version ", version), Count: int(at)}}, found); err != nil || diff != "" {
		t.Errorf("%v, want against got:\n%s", err, diff)
	}
	if s, err := rows.Stored(t.Context()); err != nil || s.Version != version || s.Position != at {
		t.Errorf("stored: %+v, %v, want version %d at %d", s, err, version, at)
	}
}

// A process of a new release serves what is there, until it has built its own. Those of the release before go on with
// theirs, beside it: neither does anything to the other.
func TestTwoVersionsBesideEachOther(t *testing.T) {
	t.Parallel()
	db := connect(t, newDatabase(t))
	open := func(version int) *mongo.Rows[contract.Row] {
		t.Helper()
		rows, err := mongo.OpenRows(t.Context(), db, textsOf(version))
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if _, err := mongo.OpenRows(t.Context(), db, textsOf(1)); !errors.Is(err, domain.ErrNotFound) || !strings.Contains(err.Error(), "cinelog provision") {
		t.Errorf("before anything was provisioned: %v", err)
	}
	if _, err := db.Provision(t.Context(), false, mongo.View{Name: "texts", Version: 1}); err != nil {
		t.Fatal(err)
	}
	story := &contract.Story{}
	follow := func(rows *mongo.Rows[contract.Row], version int) {
		t.Helper()
		if _, err := projections.CatchUp(t.Context(), story, projections.NewReadModel(textsOf(version), rows), projections.CatchUpOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		story.Add("v", domain.VideoPublished{})
	}
	old := open(1)
	follow(old, 1)
	if done, err := db.Provision(t.Context(), false, mongo.View{Name: "texts", Version: 2}); err != nil || len(done) > 0 {
		t.Errorf("provisioned for the new one: %q, %v, where the old one can be served", done, err)
	}
	recent := open(2)
	standsAt(t, recent, 5, 1, projections.ErrOutdated)
	if err := recent.Save(t.Context(), nil, []string{""}, 5, 6); !errors.Is(err, projections.ErrOutdated) {
		t.Errorf("a save into rows of another version: %v", err)
	}
	story.Add("v", domain.VideoPublished{})
	follow(old, 1)
	standsAt(t, recent, 6, 1, projections.ErrOutdated) // it serves what the old one goes on to write
	done, err := recent.Rebuild(t.Context(), story, nil)
	if err != nil || !done.New || done.Rows != 1 || done.Position != 6 {
		t.Fatalf("rebuilt: %+v, %v", done, err)
	}
	standsAt(t, recent, 6, 2, nil)
	standsAt(t, open(2), 6, 2, nil)
	story.Add("v", domain.VideoPublished{})
	follow(old, 1)
	standsAt(t, old, 7, 1, nil)
	standsAt(t, recent, 6, 2, nil)
	follow(recent, 2)
	standsAt(t, recent, 7, 2, nil)
	if _, err := recent.Rollback(t.Context(), story, nil); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("a rollback of the first of its version: %v, want ErrNotFound", err)
	}
	standsAt(t, open(3), 7, 2, projections.ErrOutdated) // the nearest
	standsAt(t, open(1), 7, 1, nil)
}
