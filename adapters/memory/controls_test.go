package memory_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/projections"
)

func TestControls(t *testing.T) {
	t.Parallel()
	contract.Controls(t, func(*testing.T) func() projections.Controls {
		c := &memory.Controls{}
		return func() projections.Controls { return c }
	})
}
