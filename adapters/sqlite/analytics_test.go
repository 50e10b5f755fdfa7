package sqlite_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

func TestAnalytics(t *testing.T) {
	t.Parallel()
	contract.Facts(t, func(t *testing.T) projections.Facts {
		t.Helper()
		a, err := sqlite.OpenAnalytics(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close() })
		return a
	})
}
