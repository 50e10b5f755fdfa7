package memory_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/projections"
)

func TestPlays(t *testing.T) {
	t.Parallel()
	contract.Plays(t, func(*testing.T) (projections.Plays, func() projections.Plays) {
		plays := memory.NewPlays()
		return plays, func() projections.Plays { return plays }
	})
}
