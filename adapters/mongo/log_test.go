package mongo_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
)

func TestLog(t *testing.T) {
	t.Parallel()
	contract.EventLog(t, func(t *testing.T) contract.Log {
		t.Helper()
		l := openLog(t, newDatabase(t))
		t.Cleanup(func() { verify(t, l.LogReader) })
		return l
	})
}

func TestCommitLog(t *testing.T) {
	t.Parallel()
	contract.CommitLog(t, func(t *testing.T) contract.WholeLog {
		t.Helper()
		l := openLog(t, newDatabase(t))
		t.Cleanup(func() { verify(t, l.LogReader) })
		return l
	})
}

// TestTwoLogs runs the suite over two logs with connections of their own, as two processes have them: every append goes
// to the one that the append before did not go to.
func TestTwoLogs(t *testing.T) {
	t.Parallel()
	contract.EventLog(t, func(t *testing.T) contract.Log {
		t.Helper()
		uri := newDatabase(t)
		logs := &twoLogs{Log: openLog(t, uri), other: openLog(t, uri)}
		t.Cleanup(func() { verify(t, logs.LogReader) })
		return logs
	})
}

// TestTwoCommitLogs does so with what copies a log.
func TestTwoCommitLogs(t *testing.T) {
	t.Parallel()
	contract.CommitLog(t, func(t *testing.T) contract.WholeLog {
		t.Helper()
		uri := newDatabase(t)
		logs := &twoLogs{Log: openLog(t, uri), other: openLog(t, uri)}
		t.Cleanup(func() { verify(t, logs.LogReader) })
		return logs
	})
}

type twoLogs struct {
	*mongo.Log

	other *mongo.Log
	turn  atomic.Int64
}

func (l *twoLogs) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	if l.turn.Add(1)%2 == 0 {
		return l.other.Append(ctx, c)
	}
	return l.Log.Append(ctx, c)
}

func (l *twoLogs) Import(ctx context.Context, commits []domain.StoredCommit) error {
	if l.turn.Add(1)%2 == 0 {
		return l.other.Import(ctx, commits)
	}
	return l.Log.Import(ctx, commits)
}

func openLog(t testing.TB, uri string) *mongo.Log {
	t.Helper()
	l, err := mongo.OpenLog(t.Context(), connect(t, uri))
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, l)
	return l
}

func verify(t testing.TB, l *mongo.LogReader) {
	t.Helper()
	findings, err := l.VerifyChain(context.Background())
	if err != nil || len(findings) > 0 {
		t.Errorf("the chain: %q, %v", findings, err)
	}
}

// TestFirstLookAtAStream sends right and wrong versions of a stream at once to a log that has not seen it: the right one
// goes through, whichever of them the log looks at first.
func TestFirstLookAtAStream(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	appendSome(t, openLog(t, uri))
	for i := range 5 {
		l := openTail(t, uri, 0)
		var wg sync.WaitGroup
		for wrong := range 8 {
			wg.Go(func() {
				c := domain.Commit{ID: uuid.NewString(), Stream: "a", Expected: 6 + i, Events: []domain.Event{domain.VideoPublished{}}}
				if wrong > 0 {
					c.Expected += 1 + wrong // also after the right one
				}
				if _, err := l.Append(t.Context(), c); (err == nil) != (wrong == 0) || (err != nil && !errors.Is(err, domain.ErrConflict)) {
					t.Errorf("expected version %d of a stream at %d: %v", c.Expected, 6+i, err)
				}
			})
		}
		wg.Wait()
		b := domain.Commit{ID: uuid.NewString(), Stream: "b", Expected: 6 + i, Events: []domain.Event{domain.VideoPublished{}}}
		if _, err := l.Append(t.Context(), b); err != nil { // else the next log begins with what it knows of stream a
			t.Error(err)
		}
	}
}
