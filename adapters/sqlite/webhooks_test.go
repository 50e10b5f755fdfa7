package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/webhooks"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	contract.Webhooks(t, func(t *testing.T) (webhooks.Store, func() webhooks.Store) {
		t.Helper()
		db, err := sqlite.OpenDB(t.Context(), filepath.Join(t.TempDir(), "operations.db"), sqlite.Full)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		s, err := sqlite.OpenWebhooks(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		return s, func() webhooks.Store { return s }
	})
}
