package projections_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// asking counts how often it is asked for the checkpoint.
type asking struct {
	projections.Target

	times int
	fails error // of the next Apply
}

func (a *asking) Checkpoint(ctx context.Context) (domain.Position, error) {
	a.times++
	return a.Target.Checkpoint(ctx)
}

func (a *asking) Apply(ctx context.Context, events []domain.Recorded) error {
	if err := a.fails; err != nil {
		a.fails = nil
		return err
	}
	return a.Target.Apply(ctx, events)
}

// running is a projector in a bubble of synctest, with the rows that it shares with another one.
type running struct {
	story  *contract.Story
	rows   *memory.Catalog
	other  projections.Target
	target *asking
	fresh  *projections.Freshness
	wake   chan struct{}
}

func startRun(t *testing.T, tick time.Duration) *running {
	t.Helper()
	rows := memory.NewCatalog()
	r := &running{
		story: &contract.Story{}, rows: rows, wake: make(chan struct{}, 1), fresh: projections.NewFreshness(),
		other:  projections.NewReadModel(projections.CatalogModel(), rows),
		target: &asking{Target: projections.NewReadModel(projections.CatalogModel(), rows)},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- projections.Run(ctx, r.story, r.target, r.wake, tick, r.fresh.Advance) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	synctest.Wait()
	return r
}

// want waits until all is quiet and checks what was reached, and how often the projector has asked where it stands.
func (r *running) want(t *testing.T, at domain.Position, asked int) {
	t.Helper()
	synctest.Wait()
	if stored, err := r.rows.Checkpoint(t.Context()); err != nil || stored != at || r.fresh.Position() != at {
		t.Errorf("stored up to %d, %v, told of %d, want %d", stored, err, r.fresh.Position(), at)
	}
	if r.target.times != asked {
		t.Errorf("asked %d times for the checkpoint, want %d", r.target.times, asked)
	}
}

func TestRunRemembersWhereItStands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRun(t, time.Hour)
		for i := range 3 {
			at := r.story.Create(string(rune('a'+i)), "a title")
			r.wake <- struct{}{}
			r.want(t, at, 1)
		}
		r.target.fails = domain.ErrUnavailable
		at := r.story.Create("d", "a title")
		r.wake <- struct{}{}
		r.want(t, at-1, 1)
		r.wake <- struct{}{} // what became of it is not known
		r.want(t, at, 2)
		time.Sleep(6 * time.Second)
		r.wake <- struct{}{}
		r.want(t, at, 3)
	})
}

func TestRunBesideAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRun(t, time.Second)
		for i := range 3 {
			at := r.story.Create(string(rune('a'+i)), "a title")
			if _, err := projections.CatchUp(t.Context(), r.story, r.other, projections.CatchUpOptions{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond) // nobody wakes it
			r.want(t, at, 2+i)
		}
		if found, err := r.rows.Scan(t.Context(), ""); err != nil || len(found) != 3 {
			t.Errorf("%d videos, %v, want 3", len(found), err)
		}
	})
}
