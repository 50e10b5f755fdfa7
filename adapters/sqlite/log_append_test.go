package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

// TestAppendWhoseContextEnds holds the writer up with a lock, so that of two appends one is in the running batch and
// the other waits when both contexts end: the one gets its real result, the other its context's error and is not stored.
func TestAppendWhoseContextEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLog(t, dir)
	db, err := sqlite.OpenDB(t.Context(), filepath.Join(dir, "events.db"), sqlite.Full)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	lock, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	type outcome struct {
		id  string
		err error
	}
	outcomes := make(chan outcome)
	for range 2 {
		go func() {
			c := domain.Commit{ID: uuid.NewString(), Stream: uuid.NewString(), Events: []domain.Event{domain.VideoPublished{}}}
			_, err := l.Append(ctx, c)
			outcomes <- outcome{c.ID, err}
		}()
	}
	waiting := <-outcomes
	if !errors.Is(waiting.err, context.DeadlineExceeded) {
		t.Errorf("the append that waited: %v", waiting.err)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	running := <-outcomes
	if running.err != nil {
		t.Errorf("the append in the running batch: %v", running.err)
	}
	for id, want := range map[string]int{waiting.id: 0, running.id: 1} {
		if events, err := l.ReadCommit(t.Context(), id); err != nil || len(events) != want {
			t.Errorf("%d events, %v; want %d", len(events), err, want)
		}
	}
}

func TestAppendRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	l := openLog(t, t.TempDir())
	_, err := l.Append(t.Context(), domain.Commit{ID: "a", Stream: "a", Events: []domain.Event{
		domain.SourceRejected{Failure: domain.Failure{Detail: strings.Repeat("x", 17<<20)}},
	}})
	if !errors.Is(err, domain.ErrTooLarge) {
		t.Error(err)
	}
}
