package sqlite_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

func TestControls(t *testing.T) {
	t.Parallel()
	contract.Controls(t, func(t *testing.T) func() projections.Controls {
		t.Helper()
		dir := t.TempDir()
		return func() projections.Controls {
			db, err := sqlite.OpenOperations(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, db)
			c, err := sqlite.NewControls(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
	})
}

func TestReplays(t *testing.T) {
	t.Parallel()
	contract.Replays(t, func(t *testing.T) func() projections.Replays {
		t.Helper()
		dir := t.TempDir()
		return func() projections.Replays {
			db, err := sqlite.OpenOperations(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, db)
			s, err := sqlite.NewReplays(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}
