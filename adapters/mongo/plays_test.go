package mongo_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/projections"
)

func TestPlays(t *testing.T) {
	t.Parallel()
	contract.Plays(t, func(t *testing.T) (projections.Plays, func() projections.Plays) {
		t.Helper()
		uri := newDatabase(t)
		open := func() projections.Plays {
			plays, err := mongo.OpenPlays(t.Context(), connect(t, uri))
			if err != nil {
				t.Fatal(err)
			}
			return plays
		}
		return open(), open
	})
}
