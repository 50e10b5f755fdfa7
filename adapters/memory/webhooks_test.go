package memory_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/webhooks"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	contract.Webhooks(t, func(*testing.T) (webhooks.Store, func() webhooks.Store) {
		s := memory.NewWebhooks()
		return s, func() webhooks.Store { return s }
	})
}
