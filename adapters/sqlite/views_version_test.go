package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// textsOf is a read model of which each version says something else.
func textsOf(version int) projections.Model[contract.Row] {
	return projections.Model[contract.Row]{
		Name: "rows", Version: version, Keys: func(e domain.Recorded) []string { return []string{e.Stream} },
		Fold: func(_ string, r contract.Row, _ domain.Recorded) contract.Row {
			return contract.Row{Text: fmt.Sprint("of version ", version), Count: r.Count + 1}
		},
	}
}

func openTexts(t *testing.T, dir string, version int) *sqlite.Rows[contract.Row] {
	t.Helper()
	rows, err := sqlite.OpenRows(t.Context(), dir, textsOf(version))
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, rows)
	return rows
}

// standsAt checks where rows stand, and that they are those of a version.
func standsAt(t *testing.T, rows *sqlite.Rows[contract.Row], at domain.Position, version int, want error) {
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

// A program of another version serves what is there, as it is, until it has built its own. One of the version before,
// which is still running, then does the same.
func TestAnotherVersionIsServedUntilItIsRebuilt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	story := &contract.Story{}
	for range 5 {
		story.Add("v", domain.VideoPublished{})
	}
	old := openTexts(t, dir, 1)
	if _, err := projections.CatchUp(t.Context(), story, projections.NewReadModel(textsOf(1), old), projections.CatchUpOptions{}); err != nil {
		t.Fatal(err)
	}
	recent := openTexts(t, dir, 2)
	standsAt(t, recent, 5, 1, projections.ErrOutdated)
	if err := recent.Save(t.Context(), nil, []string{""}, 5, 6); !errors.Is(err, projections.ErrOutdated) {
		t.Errorf("a save into rows of another version: %v", err)
	}
	story.Add("v", domain.VideoPublished{})
	if done, err := recent.Verify(t.Context(), story, nil); err != nil || !done.New {
		t.Errorf("compared: %+v, %v; there is nothing to compare with", done, err)
	}
	standsAt(t, old, 5, 1, nil)
	done, err := recent.Rebuild(t.Context(), story, nil)
	if err != nil || !done.New || done.Rows != 1 || done.Position != 6 {
		t.Fatalf("rebuilt: %+v, %v", done, err)
	}
	standsAt(t, recent, 6, 2, nil)
	standsAt(t, old, 6, 2, projections.ErrOutdated)
	if err := old.Save(t.Context(), nil, []string{""}, 6, 7); !errors.Is(err, projections.ErrOutdated) {
		t.Errorf("the program of before saves: %v", err)
	}
	if _, err := recent.Rollback(t.Context(), story, nil); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("a rollback to another version: %v, want ErrConflict", err)
	}
	standsAt(t, recent, 6, 2, nil)
}

// What this program cannot serve it does not: rows that are something else, and tables that are others.
func TestAnotherVersionThatCannotBeServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	type other struct{ Count string }
	rows, err := sqlite.OpenRows(t.Context(), dir, projections.Model[other]{Name: "rows", Version: 1})
	if err == nil {
		err = rows.Save(t.Context(), map[string]other{"v": {"three"}}, nil, 0, 3)
	}
	if err = errors.Join(err, rows.Close()); err != nil {
		t.Fatal(err)
	}
	if at, err := openTexts(t, dir, 2).Checkpoint(t.Context()); at != 0 || err != nil {
		t.Errorf("rows that cannot be decoded: checkpoint %d, %v, want 0", at, err)
	}

	dir = t.TempDir()
	c := openCatalog(t, dir)
	if err := c.Save(t.Context(), map[string]projections.Video{"v": {ID: "v", Created: 1}}, nil, 0, 3); err != nil {
		t.Fatal(err)
	}
	change := func(statement string) {
		t.Helper()
		number, err := os.ReadFile(filepath.Join(dir, "views-catalog.current"))
		if err != nil {
			t.Fatal(err)
		}
		db, err := sqlite.OpenDB(t.Context(), filepath.Join(dir, fmt.Sprintf("views-catalog-%s.db", number[:len(number)-1])), sqlite.Normal)
		if err == nil {
			_, err = db.ExecContext(t.Context(), statement)
		}
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	change(`UPDATE meta SET version = version - 1`)
	if at, err := openCatalog(t, dir).Checkpoint(t.Context()); at != 3 || !errors.Is(err, projections.ErrOutdated) {
		t.Errorf("with the same tables: checkpoint %d, %v, want 3 and ErrOutdated", at, err)
	}
	change(`CREATE INDEX another ON rows (key, title)`)
	if at, err := openCatalog(t, dir).Checkpoint(t.Context()); at != 0 || err != nil {
		t.Errorf("with other tables: checkpoint %d, %v, want 0", at, err)
	}
}
