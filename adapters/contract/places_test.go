package contract_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/messaging"
)

func TestPlacesInMemory(t *testing.T) {
	t.Parallel()
	contract.Places(t, func(*testing.T) func() messaging.Places {
		p := &contract.PlacesInMemory{}
		return func() messaging.Places { return p }
	})
}
