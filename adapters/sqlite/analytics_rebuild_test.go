package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func openAnalytics(t *testing.T, dir string) *sqlite.Analytics {
	t.Helper()
	a, err := sqlite.OpenAnalytics(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, a)
	return a
}

// uploads is a log of one upload an hour: 24 a day from 2026-01-01 on.
func uploads(n int) *contract.Story {
	s := &contract.Story{}
	for i := range n {
		s.Add(fmt.Sprint("v", i), domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Bytes: int64(i)}})
	}
	return s
}

func record(t *testing.T, a *sqlite.Analytics, events ...domain.Recorded) {
	t.Helper()
	if err := projections.RecordEvents(t.Context(), a, events...); err != nil {
		t.Fatal(err)
	}
}

// figures are those of each day.
type figures = map[time.Time]*projections.Figures

func wantFigures(t *testing.T, a *sqlite.Analytics, want figures) {
	t.Helper()
	if diff := cmp.Diff(want, sumUp(t, a), cmp.AllowUnexported(projections.Figures{})); diff != "" {
		t.Errorf("figures, want against got:\n%s", diff)
	}
}

func sumUp(t *testing.T, a *sqlite.Analytics) figures {
	t.Helper()
	days, err := projections.Summarize(t.Context(), time.Unix(0, 0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), projections.Daily, a.Each)
	if err != nil || len(days) == 0 {
		t.Fatalf("%d days, %v", len(days), err)
	}
	return days
}

// figuresOf are the figures that a log gives: those of a build that nothing was wrong with.
func figuresOf(t *testing.T, log *contract.Story) figures {
	t.Helper()
	a := openAnalytics(t, t.TempDir())
	record(t, a, log.Events...)
	return sumUp(t, a)
}

// What happened before there were figures, or while messages were lost, is learned from the log, once.
func TestAnalyticsCatchUpFromTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := uploads(30)
	for range 2 { // opened again, all is there
		a, err := sqlite.OpenAnalytics(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		record(t, a, log.Events[7])
		if err := a.CatchUp(t.Context(), log, nil); err != nil {
			t.Fatal(err)
		}
		wantFigures(t, a, figuresOf(t, log))
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		log.Add("later", domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Bytes: 5}})
	}
}

func TestAnalyticsRebuildFindsAndRepairsDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, other := openAnalytics(t, dir), openAnalytics(t, dir)
	log := uploads(24 * 5)
	record(t, a, log.Events...)
	if done, err := a.Verify(t.Context(), log, nil); err != nil || !done.Equal() || done.New || done.Rows != 24*5 || len(done.Different) > 0 {
		t.Errorf("nothing is wrong, but: %+v, %v", done, err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "views-analytics-1.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []string{
		"UPDATE facts SET bytes = 77 WHERE position = 3",                 // on the first
		"DELETE FROM facts WHERE position = 30",                          // on the second
		"UPDATE facts SET time = time - 2*86400000000 WHERE position=80", // from the fourth to the second
	} {
		if _, err := db.ExecContext(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, check := range []func(context.Context, projections.Log, *projections.RebuildOptions) (sqlite.Rebuilt, error){
		a.Verify, a.Rebuild,
	} {
		var last domain.Position
		done, err := check(t.Context(), log, &projections.RebuildOptions{Progress: func(p domain.Position) { last = p }})
		if want := []string{"2026-01-01", "2026-01-02", "2026-01-04"}; err != nil || done.Equal() || !slices.Equal(done.Different, want) || last != 24*5 {
			t.Errorf("found %+v to %d, %v; want %v to differ", done, last, err, want)
		}
	}
	wantFigures(t, a, figuresOf(t, log))
	wantFigures(t, other, figuresOf(t, log)) // every handle moves over
}

// Facts of which no message has come yet make no difference.
func TestAnalyticsThatIsBehindIsNotWrong(t *testing.T) {
	t.Parallel()
	a := openAnalytics(t, t.TempDir())
	log := uploads(50)
	record(t, a, log.Events[:40]...)
	done, err := a.Rebuild(t.Context(), log, nil)
	if err != nil || !done.Equal() || done.New || done.Rows != 50 {
		t.Errorf("%+v, %v", done, err)
	}
	wantFigures(t, a, figuresOf(t, log))
}

func TestAnalyticsThatHadNotBegun(t *testing.T) {
	t.Parallel()
	a := openAnalytics(t, t.TempDir())
	log := uploads(50)
	done, err := a.Rebuild(t.Context(), log, nil)
	if err != nil || !done.Equal() || !done.New || done.Rows != 50 {
		t.Errorf("%+v, %v", done, err)
	}
	wantFigures(t, a, figuresOf(t, log))
}

// Messages come as soon as their events are in the log, while the figures are rebuilt again and again: none is lost.
func TestNoFactIsLostBetweenGenerations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rebuilder := openAnalytics(t, dir)
	subscribers := []*sqlite.Analytics{openAnalytics(t, dir), openAnalytics(t, dir), openAnalytics(t, dir)}
	log, uploaded := memory.NewLog(), time.Date(2026, 2, 27, 20, 0, 0, 0, time.UTC)
	const rounds, events = 15, 10
	for round := range rounds {
		var wg sync.WaitGroup
		for i, a := range subscribers {
			wg.Go(func() {
				for n := range events {
					id := fmt.Sprintf("v%d-%d-%d", round, i, n)
					at, err := log.Append(t.Context(), domain.Commit{
						ID: id, Stream: id, Time: uploaded, Events: []domain.Event{domain.VideoUploaded{Attempt: 1}},
					})
					if err != nil {
						t.Error(err)
						return
					}
					news, err := log.ReadAfter(t.Context(), at.Position-1, 1)
					if err == nil {
						err = projections.RecordEvents(t.Context(), a, news...)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		if done, err := rebuilder.Rebuild(t.Context(), log, nil); err != nil {
			t.Errorf("%+v, %v", done, err)
		}
		wg.Wait()
	}
	wantFigures(t, rebuilder, figures{projections.UTCDay(uploaded): {Uploads: rounds * events * len(subscribers)}})
}

// A message whose event came after the switch had read the log, and which waits to write to the old generation: its
// fact gets to the new one.
func TestAFactThatWaitsForTheSwitchIsNotLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rebuilder, subscriber := openAnalytics(t, dir), openAnalytics(t, dir)
	story := uploads(10)
	record(t, subscriber, story.Events...)
	recorded := make(chan error)
	log := &hookedLog{Story: story, afterHead: func(call int) {
		if call != 2 { // the first one is that of the build
			return
		}
		story.Add("late", domain.VideoUploaded{Attempt: 1})
		ctx := &signallingContext{Context: t.Context(), asked: make(chan struct{})}
		go func() { recorded <- projections.RecordEvents(ctx, subscriber, story.Events[10]) }()
		<-ctx.asked
	}}
	if done, err := rebuilder.Rebuild(t.Context(), log, nil); err != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	if err := <-recorded; err != nil {
		t.Fatal(err)
	}
	wantFigures(t, rebuilder, figuresOf(t, story))
}

// hookedLog calls a function after the head was read and before it is answered.
type hookedLog struct {
	*contract.Story

	calls     int
	afterHead func(call int)
}

func (l *hookedLog) Head(ctx context.Context) (domain.Position, error) {
	head, err := l.Story.Head(ctx)
	l.calls++
	l.afterHead(l.calls)
	return head, err
}

// signallingContext says when it is asked for the first time whether it has ended: when the database is.
type signallingContext struct {
	context.Context //nolint:containedctx // it is one

	once  sync.Once
	asked chan struct{}
}

func (c *signallingContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.asked) })
	return c.Context.Done()
}
