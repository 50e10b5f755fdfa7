package sqlite_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

func TestPlays(t *testing.T) {
	t.Parallel()
	contract.Plays(t, func(t *testing.T) (projections.Plays, func() projections.Plays) {
		t.Helper()
		dir := t.TempDir()
		open := func() projections.Plays {
			plays, err := sqlite.OpenPlays(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = plays.Close() })
			return plays
		}
		return open(), open
	})
}
