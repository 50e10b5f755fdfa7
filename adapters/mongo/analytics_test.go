package mongo_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/projections"
)

func TestAnalytics(t *testing.T) {
	t.Parallel()
	contract.Facts(t, func(t *testing.T) projections.Facts {
		t.Helper()
		a, err := mongo.OpenAnalytics(t.Context(), connect(t, newDatabase(t)))
		if err != nil {
			t.Fatal(err)
		}
		return a
	})
}
