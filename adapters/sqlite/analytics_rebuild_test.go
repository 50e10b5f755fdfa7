package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
)

func TestRebuildsOfFacts(t *testing.T) {
	t.Parallel()
	contract.RebuildsOfFacts(t, func(t *testing.T) contract.FactsPlace {
		t.Helper()
		dir := t.TempDir()
		return contract.FactsPlace{
			Rebuilds: 15,
			Open: func(t *testing.T) contract.RebuiltFacts {
				t.Helper()
				a, err := sqlite.OpenAnalytics(t.Context(), dir)
				if err != nil {
					t.Fatal(err)
				}
				closeAtEnd(t, a)
				return a
			},
			Generations: func(t *testing.T) []string {
				t.Helper()
				files, err := filepath.Glob(filepath.Join(dir, "views-analytics-*.db"))
				if err != nil {
					t.Fatal(err)
				}
				return files
			},
		}
	})
}
