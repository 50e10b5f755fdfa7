package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// supervised is a Runner in a bubble of synctest. Its model has a bug at the position poison.
type supervised struct {
	story    *contract.Story
	rows     *memory.Catalog
	controls *memory.Controls
	runner   *projections.Runner
	fresh    *projections.Freshness
	wake     chan struct{}
	poison   atomic.Int64
	halts    []projections.Halt
	renewed  atomic.Int64
	target   *failing
}

// failing is a target of which calls fail, or whose rows are outdated.
type failing struct {
	projections.Target

	fails    error // of the next Apply
	outdated atomic.Bool
}

func (f *failing) Checkpoint(ctx context.Context) (domain.Position, error) {
	at, err := f.Target.Checkpoint(ctx)
	if err == nil && f.outdated.Load() {
		err = projections.ErrOutdated
	}
	return at, err
}

func (f *failing) Apply(ctx context.Context, events []domain.Recorded) error {
	if err := f.fails; err != nil {
		f.fails = nil
		return err
	}
	return f.Target.Apply(ctx, events)
}

const every = 2 * time.Second

func supervise(t *testing.T, prepare func(*supervised)) *supervised {
	t.Helper()
	s := &supervised{
		story: &contract.Story{}, rows: memory.NewCatalog(), controls: &memory.Controls{}, wake: make(chan struct{}, 1),
		fresh: projections.NewFreshness(),
	}
	m := projections.CatalogModel()
	fold := m.Fold
	m.Fold = func(key string, v projections.Video, e domain.Recorded) projections.Video {
		if int64(e.Position) == s.poison.Load() {
			panic("a planted bug")
		}
		return fold(key, v, e)
	}
	skips := &projections.Skips{}
	m.Skip = skips.Has
	s.target = &failing{Target: projections.NewReadModel(m, s.rows)}
	s.runner = &projections.Runner{
		Name: "catalog", Log: s.story, Target: s.target, Controls: s.controls, Skips: skips,
		Wake: s.wake, Tick: every, Advanced: s.fresh.Advance, Now: time.Now,
		Halted: func(_ context.Context, h projections.Halt, _ error) { s.halts = append(s.halts, h) },
	}
	if prepare != nil {
		prepare(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.runner.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	synctest.Wait()
	return s
}

func (s *supervised) at(t *testing.T, want domain.Position) {
	t.Helper()
	synctest.Wait()
	if at, err := s.rows.Checkpoint(t.Context()); err != nil || at != want || s.fresh.Position() != want {
		t.Errorf("it stands at %d, %v, and says %d, want %d", at, err, s.fresh.Position(), want)
	}
}

func (s *supervised) said(t *testing.T) projections.Control {
	t.Helper()
	c, err := s.controls.Control(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *supervised) create(n int) {
	for range n {
		s.story.Create(fmt.Sprint("v", len(s.story.Events)), "a title")
	}
}

func TestARunnerHaltsWhereItCannotGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, func(s *supervised) { s.poison.Store(7) })
		s.create(10)
		s.wake <- struct{}{}
		s.at(t, 6) // what was before it in the batch is applied
		halted := time.Now()
		want := projections.Halt{Position: 7, Type: "video.created.v1", Video: "v6", Error: s.said(t).Halt.Error, Since: halted.UTC()}
		if diff := cmp.Diff(&want, s.said(t).Halt); diff != "" || !strings.Contains(want.Error, "catalog panicked on event 7: a planted bug") {
			t.Errorf("it says of the halt: %s", diff)
		}
		time.Sleep(time.Minute) // it stays there, and says so once
		s.at(t, 6)
		if len(s.halts) != 1 {
			t.Errorf("it said %d times that it halts", len(s.halts))
		}
		if err := s.controls.Resume(t.Context(), "catalog"); err != nil { // it tries again, in vain
			t.Fatal(err)
		}
		time.Sleep(every)
		s.at(t, 6)
		if len(s.halts) != 2 || !s.said(t).Halt.Since.Equal(halted) {
			t.Errorf("after it tried again: %+v", s.said(t).Halt)
		}
		s.poison.Store(0) // fixed
		if err := s.controls.Resume(t.Context(), "catalog"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(every)
		s.at(t, 10)
		if s.said(t).Halt != nil {
			t.Errorf("it goes on, and says %+v", s.said(t).Halt)
		}
	})
}

func TestARunnerSkips(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, func(s *supervised) { s.poison.Store(2) })
		s.create(3)
		s.wake <- struct{}{}
		s.at(t, 1)
		if err := s.controls.Skip(t.Context(), "catalog", projections.Skip{Position: 2, Reason: "a bug"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(every)
		s.at(t, 3)
		if rows, err := s.rows.Scan(t.Context(), ""); err != nil || len(rows) != 2 {
			t.Errorf("%d rows, %v, want those of the other two events", len(rows), err)
		}
		if s.said(t).Halt != nil {
			t.Error("it goes on, and says that it does not")
		}
	})
}

func TestARunnerIsPaused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, nil)
		s.create(2)
		s.wake <- struct{}{}
		s.at(t, 2)
		if err := s.controls.Pause(t.Context(), "catalog", time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(every)
		s.create(2)
		s.wake <- struct{}{}
		time.Sleep(time.Hour)
		s.at(t, 2)
		if err := s.controls.Resume(t.Context(), "catalog"); err != nil {
			t.Fatal(err)
		}
		s.runner.Poke()
		s.wake <- struct{}{}
		s.at(t, 4) // at once
	})
}

// A store that is away, and another process that was faster, are no reasons to halt.
func TestWhatIsNoHalt(t *testing.T) {
	t.Parallel()
	for _, err := range []error{domain.ErrUnavailable, domain.ErrConflict} {
		synctest.Test(t, func(t *testing.T) {
			s := supervise(t, func(s *supervised) { s.target.fails = fmt.Errorf("for now: %w", err) })
			s.create(2)
			s.wake <- struct{}{}
			time.Sleep(every)
			s.at(t, 2)
			if len(s.halts) > 0 || s.said(t).Halt != nil {
				t.Errorf("%v: it halted: %+v", err, s.halts)
			}
		})
	}
}

// A read model that another process, or a replay, has brought past the event goes on.
func TestAHaltThatOthersHavePassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, func(s *supervised) { s.poison.Store(2) })
		s.create(4)
		s.wake <- struct{}{}
		s.at(t, 1)
		if _, err := projections.CatchUp(t.Context(), s.story, projections.NewReadModel(projections.CatalogModel(), s.rows),
			projections.CatchUpOptions{}); err != nil {
			t.Fatal(err)
		}
		s.create(1)
		time.Sleep(every)
		s.at(t, 5)
		if s.said(t).Halt != nil {
			t.Error("it goes on, and says that it does not")
		}
	})
}

func TestARunnerRenewsWhatIsOutdated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan error)
		s := supervise(t, func(s *supervised) {
			s.target.outdated.Store(true)
			s.runner.Renew = func(context.Context) error {
				s.renewed.Add(1)
				err := <-answers
				if err == nil {
					s.target.outdated.Store(false)
				}
				return err
			}
		})
		s.create(3)
		if s.renewed.Load() != 1 {
			t.Errorf("renewed %d times, want once", s.renewed.Load())
		}
		answers <- fmt.Errorf("somebody else does: %w", domain.ErrConflict)
		time.Sleep(every)
		synctest.Wait()
		if s.renewed.Load() != 2 {
			t.Errorf("renewed %d times after a tick, want twice", s.renewed.Load())
		}
		answers <- errors.New("it cannot be built")
		time.Sleep(time.Minute)
		if s.renewed.Load() != 2 || len(s.halts) != 1 || s.said(t).Halt == nil {
			t.Errorf("renewed %d times, halts %+v", s.renewed.Load(), s.halts)
		}
		if err := s.controls.Resume(t.Context(), "catalog"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(every)
		answers <- nil
		s.at(t, 3)
		if s.said(t).Halt != nil {
			t.Errorf("it goes on, and says %+v", s.said(t).Halt)
		}
	})
}
