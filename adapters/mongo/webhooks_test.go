package mongo_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/webhooks"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	contract.Webhooks(t, func(t *testing.T) (webhooks.Store, func() webhooks.Store) {
		t.Helper()
		uri := newDatabase(t)
		open := func() webhooks.Store {
			s, err := mongo.OpenWebhooks(t.Context(), connect(t, uri))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return open(), open
	})
}
