package memory_test

import (
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
)

func TestBlobs(t *testing.T) {
	t.Parallel()
	contract.Blobs(t, func(*testing.T) commands.Blobs { return memory.NewBlobs(time.Now) })
}
