package mongo_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/projections"
)

func TestControls(t *testing.T) {
	t.Parallel()
	contract.Controls(t, func(t *testing.T) func() projections.Controls {
		t.Helper()
		uri := newDatabase(t)
		return func() projections.Controls { return mongo.NewControls(connect(t, uri)) }
	})
}

func TestReplays(t *testing.T) {
	t.Parallel()
	contract.Replays(t, func(t *testing.T) func() projections.Replays {
		t.Helper()
		uri := newDatabase(t)
		return func() projections.Replays { return mongo.NewReplays(connect(t, uri)) }
	})
}
