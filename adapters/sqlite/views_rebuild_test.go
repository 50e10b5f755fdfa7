package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

func TestRebuilds(t *testing.T) {
	t.Parallel()
	contract.Rebuilds(t, func(t *testing.T) contract.RebuildPlace {
		t.Helper()
		dir := t.TempDir()
		return contract.RebuildPlace{
			Open: func(t *testing.T) contract.RebuiltCatalog {
				t.Helper()
				return openCatalog(t, dir)
			},
			Generations: func(t *testing.T) []string {
				t.Helper()
				files, err := filepath.Glob(filepath.Join(dir, "views-catalog-*.db"))
				if err != nil {
					t.Fatal(err)
				}
				return files
			},
			Crash: func(t *testing.T) string {
				t.Helper()
				file := filepath.Join(dir, "views-catalog-77.db")
				if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
					t.Fatal(err)
				}
				return file
			},
		}
	})
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

// TestLiveIsRebuilt applies random events in random batches and rebuilds: the rows are always those that the events give
// in one go.
func TestLiveIsRebuilt(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom([]string{"go", "Größe", "北京", "talk"})
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "") //nolint:usetesting // one for each of many runs, of which r has none
		if err != nil {
			r.Fatal(err)
		}
		story := contract.RandomStory(r, word)
		if rapid.Bool().Draw(r, "playback") {
			playback, err := sqlite.OpenRows(t.Context(), dir, projections.PlaybackModel())
			if err != nil {
				r.Fatal(err)
			}
			defer playback.Close()
			liveIsRebuilt(t, r, story, projections.PlaybackModel(), playback)
			return
		}
		catalog, err := sqlite.OpenCatalog(t.Context(), dir)
		if err != nil {
			r.Fatal(err)
		}
		defer catalog.Close()
		liveIsRebuilt(t, r, story, projections.CatalogModel(), catalog.Rows)
	})
}

func liveIsRebuilt[R any](t *testing.T, r *rapid.T, story *contract.Story, model projections.Model[R], rows *sqlite.Rows[R]) {
	t.Helper()
	live := projections.NewReadModel(model, rows)
	for at := 0; at < len(story.Events); {
		n := rapid.IntRange(1, len(story.Events)-at).Draw(r, "batch")
		if err := live.Apply(t.Context(), story.Events[at:at+n]); err != nil {
			r.Fatal(err)
		}
		at += n
	}
	rows.BuildIn(rapid.IntRange(1, 10).Draw(r, "folded at once"), rapid.IntRange(1, 30).Draw(r, "written at once"))
	o := projections.RebuildOptions{}
	if rapid.Bool().Draw(r, "gives way") {
		o.GiveWay = func(context.Context) {}
	}
	done, err := rows.Rebuild(t.Context(), story, &o)
	if err != nil || done.Hash != done.LiveHash || done.New || len(done.Different) > 0 {
		r.Fatalf("%s, live against rebuilt: %+v, %v", model.Name, done, err)
	}
}
