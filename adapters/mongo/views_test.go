package mongo_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/projections"
)

func TestRows(t *testing.T) {
	t.Parallel()
	contract.Rows(t, func(t *testing.T) contract.RowStore {
		t.Helper()
		return openRows(t, newDatabase(t))
	})
}

func openRows(t testing.TB, uri string) *mongo.Rows[contract.Row] {
	t.Helper()
	db := connect(t, uri)
	if _, err := db.Provision(t.Context(), false, mongo.View{Name: "rows", Version: 1}); err != nil {
		t.Fatal(err)
	}
	rows, err := mongo.OpenRows(t.Context(), db, projections.Model[contract.Row]{Name: "rows", Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	contract.Catalog(t, func(t *testing.T) contract.CatalogStore {
		t.Helper()
		return openCatalog(t, newDatabase(t))
	})
}

func openCatalog(t testing.TB, uri string) *mongo.Catalog {
	t.Helper()
	c, err := mongo.OpenCatalog(t.Context(), connect(t, uri))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
