package sqlite_test

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

func TestOpenLogAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "dir")
	for i := range 3 {
		l := openLog(t, dir)
		a, err := l.Append(t.Context(), domain.Commit{
			ID: uuid.NewString(), Stream: "a", Expected: i, Events: []domain.Event{domain.VideoPublished{}},
		})
		if want := (domain.Appended{Position: domain.Position(i + 1), Version: i + 1}); err != nil || a != want {
			t.Fatalf("%+v, %v; want %+v", a, err, want)
		}
		verify(t, l.LogReader)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenLogRefusesANewerFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.OpenDB(t.Context(), filepath.Join(dir, "events.db"), sqlite.Full)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.OpenLog(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("opened a log of format 99: %v", err)
	}
}

// TestTwoLogsOnOneFile has two processes' worth of writers: the chain must hold even then.
func TestTwoLogsOnOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := []*sqlite.Log{openLog(t, dir), openLog(t, dir)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for version := range 20 {
				if _, err := logs[i%2].Append(t.Context(), domain.Commit{
					ID: uuid.NewString(), Stream: strconv.Itoa(i), Expected: version, Events: []domain.Event{domain.VideoPublished{}},
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	verify(t, logs[0].LogReader)
	if head, err := logs[1].Head(t.Context()); err != nil || head != 160 {
		t.Errorf("head %d, %v", head, err)
	}
}

func TestCloseLogWhileAppending(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLog(t, dir)
	var mu sync.Mutex
	var acknowledged []string
	var wg, running sync.WaitGroup
	for range 8 {
		running.Add(1)
		wg.Go(func() {
			for first := true; ; first = false {
				c := domain.Commit{ID: uuid.NewString(), Stream: uuid.NewString(), Events: []domain.Event{domain.VideoPublished{}}}
				_, err := l.Append(t.Context(), c)
				if first {
					running.Done()
				}
				if err != nil {
					if !errors.Is(err, domain.ErrUnavailable) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, c.ID)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	l = openLog(t, dir)
	for _, id := range acknowledged {
		if events, err := l.ReadCommit(t.Context(), id); err != nil || len(events) != 1 {
			t.Fatalf("an acknowledged commit: %d events, %v", len(events), err)
		}
	}
}
