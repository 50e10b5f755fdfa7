package sqlite_test

import (
	"context"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
)

func TestLog(t *testing.T) {
	t.Parallel()
	contract.EventLog(t, func(t *testing.T) contract.Log {
		t.Helper()
		l := openLog(t, t.TempDir())
		t.Cleanup(func() { verify(t, l.LogReader) })
		return l
	})
}

func TestCommitLog(t *testing.T) {
	t.Parallel()
	contract.CommitLog(t, func(t *testing.T) contract.WholeLog {
		t.Helper()
		l := openLog(t, t.TempDir())
		t.Cleanup(func() { verify(t, l.LogReader) })
		return l
	})
}

func openLog(t testing.TB, dir string) *sqlite.Log {
	t.Helper()
	l, err := sqlite.OpenLog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func verify(t testing.TB, l *sqlite.LogReader) {
	t.Helper()

	findings, err := l.VerifyChain(context.Background())
	if err != nil || len(findings) > 0 {
		t.Errorf("the chain: %q, %v", findings, err)
	}
}
