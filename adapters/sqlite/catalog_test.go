package sqlite_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

func TestRows(t *testing.T) {
	t.Parallel()
	contract.Rows(t, func(t *testing.T) contract.RowStore {
		t.Helper()
		rows, err := sqlite.OpenRows(t.Context(), t.TempDir(), projections.Model[contract.Row]{Name: "rows", Version: 1})
		if err != nil {
			t.Fatal(err)
		}
		closeAtEnd(t, rows)
		return rows
	})
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	contract.Catalog(t, func(t *testing.T) contract.CatalogStore {
		t.Helper()
		return openCatalog(t, t.TempDir())
	})
}

func openCatalog(t testing.TB, dir string) *sqlite.Catalog {
	t.Helper()
	c, err := sqlite.OpenCatalog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, c)
	return c
}

func closeAtEnd(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
