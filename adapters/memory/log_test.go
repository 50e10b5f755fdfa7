package memory_test

import (
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
)

func TestLog(t *testing.T) {
	t.Parallel()
	contract.EventLog(t, func(*testing.T) contract.Log { return memory.NewLog() })
}

func TestCommitLog(t *testing.T) {
	t.Parallel()
	contract.CommitLog(t, func(*testing.T) contract.WholeLog { return memory.NewLog() })
}

func BenchmarkLog(b *testing.B) {
	contract.EventLogBenchmarks(b, func(*testing.B) contract.Log { return memory.NewLog() })
}
