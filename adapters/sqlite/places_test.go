package sqlite_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/sqlite"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	contract.Places(t, func(t *testing.T) func() messaging.Places {
		t.Helper()
		dir := t.TempDir()
		return func() messaging.Places {
			db, err := sqlite.OpenOperations(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, db)
			p, err := sqlite.NewPlaces(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	})
}
