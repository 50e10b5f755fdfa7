package memory_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
)

func TestRows(t *testing.T) {
	t.Parallel()
	contract.Rows(t, func(*testing.T) contract.RowStore { return memory.NewRows[contract.Row]() })
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	contract.Catalog(t, func(*testing.T) contract.CatalogStore { return memory.NewCatalog() })
}
