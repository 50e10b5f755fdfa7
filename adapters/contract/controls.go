package contract

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Controls checks what keeps what is said about projections. place makes an empty one, and returns what opens it as one
// more process does.
func Controls(t *testing.T, place func(t *testing.T) func() projections.Controls) {
	for name, test := range map[string]func(*testing.T, func() projections.Controls){
		"nobody has said anything": func(t *testing.T, open func() projections.Controls) {
			wantControl(t, open(), "catalog", projections.Control{})
		},
		"pause and resume": pauseAndResume,
		"skips":            skipsAreKept,
		"halts":            haltsAreKept,
		"who gave up changed nothing": func(t *testing.T, open func() projections.Controls) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := open().Pause(ctx, "catalog", moment); err == nil {
				t.Error("a cancelled call went through")
			}
			wantControl(t, open(), "catalog", projections.Control{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t))
		})
	}
}

// moment is one that every store can keep: whole microseconds.
var moment = time.Date(2026, 3, 1, 12, 30, 0, 123_456_000, time.UTC) //nolint:gochecknoglobals // a constant, if times could be

func wantControl(t *testing.T, c projections.Controls, name string, want projections.Control) {
	t.Helper()
	got, err := c.Control(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is said of %s, want against got:\n%s", name, diff)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pauseAndResume(t *testing.T, open func() projections.Controls) {
	c := open()
	must(t, c.Pause(t.Context(), "catalog", moment))
	must(t, c.Pause(t.Context(), "catalog", moment.Add(time.Hour)))
	wantControl(t, open(), "catalog", projections.Control{Paused: true, PausedSince: moment})
	wantControl(t, c, "playback", projections.Control{})
	must(t, open().Resume(t.Context(), "catalog"))
	wantControl(t, c, "catalog", projections.Control{Resumed: 1})
	must(t, c.Resume(t.Context(), "catalog"))
	must(t, c.Resume(t.Context(), "playback"))
	wantControl(t, open(), "catalog", projections.Control{Resumed: 2})
	wantControl(t, open(), "playback", projections.Control{Resumed: 1})
	must(t, c.Pause(t.Context(), "catalog", moment.Add(time.Hour)))
	wantControl(t, open(), "catalog", projections.Control{Resumed: 2, Paused: true, PausedSince: moment.Add(time.Hour)})
}

func skipsAreKept(t *testing.T, open func() projections.Controls) {
	c := open()
	for i, at := range []domain.Position{1_000_000_007, 9, 9, 10} {
		must(t, c.Skip(t.Context(), "catalog", projections.Skip{Position: at, Reason: fmt.Sprint("reason ", i), Time: moment}))
	}
	must(t, c.Skip(t.Context(), "catalogs", projections.Skip{Position: 3, Reason: "another's", Time: moment}))
	wantControl(t, open(), "catalog", projections.Control{Skips: []projections.Skip{
		{Position: 9, Reason: "reason 1", Time: moment},
		{Position: 10, Reason: "reason 3", Time: moment},
		{Position: 1_000_000_007, Reason: "reason 0", Time: moment},
	}})
}

func haltsAreKept(t *testing.T, open func() projections.Controls) {
	c := open()
	h := projections.Halt{Position: 7, Type: "video.created.v1", Video: "v", Error: "größer", Since: moment}
	must(t, c.Halted(t.Context(), "catalog", nil))
	must(t, c.Halted(t.Context(), "catalog", &h))
	later := h
	later.Since, later.Error = moment.Add(time.Hour), "again"
	must(t, c.Halted(t.Context(), "catalog", &later)) // after a restart
	later.Since = moment
	wantControl(t, open(), "catalog", projections.Control{Halt: &later})
	must(t, c.Pause(t.Context(), "catalog", moment))
	wantControl(t, open(), "catalog", projections.Control{Halt: &later, Paused: true, PausedSince: moment})
	must(t, c.Resume(t.Context(), "catalog"))
	elsewhere := projections.Halt{Position: 8, Error: "unreadable", Since: moment.Add(2 * time.Hour)}
	must(t, open().Halted(t.Context(), "catalog", &elsewhere))
	wantControl(t, c, "catalog", projections.Control{Halt: &elsewhere, Resumed: 1})
	must(t, c.Halted(t.Context(), "catalog", nil))
	wantControl(t, open(), "catalog", projections.Control{Resumed: 1})
}

// Replays checks what keeps what is said about replays. place is as that of Controls.
func Replays(t *testing.T, place func(t *testing.T) func() projections.Replays) {
	t.Run("put, get and list", func(t *testing.T) {
		t.Parallel()
		replaysAreKept(t, place(t))
	})
	t.Run("cancel", func(t *testing.T) {
		t.Parallel()
		replaysAreCancelled(t, place(t))
	})
	t.Run("told at once", func(t *testing.T) {
		t.Parallel()
		replaysAreToldAtOnce(t, place(t))
	})
}

func replaysAreKept(t *testing.T, open func() projections.Replays) {
	s := open()
	if all, err := s.Replays(t.Context(), 10); err != nil || len(all) != 0 {
		t.Fatalf("%+v, %v, want none", all, err)
	}
	if _, err := s.Replay(t.Context(), "none"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	const many = 230
	var last projections.Replay
	for i := range many {
		last = projections.Replay{
			ID: fmt.Sprintf("%04d", i), Projection: "catalog", Kind: projections.ReplayRebuild, State: projections.ReplayRunning,
			Started: moment, Updated: moment, Head: 1000,
		}
		must(t, s.Put(t.Context(), last))
	}
	last.State, last.Position, last.Different = projections.ReplayDone, 1000, []string{"a", "b"}
	must(t, s.Put(t.Context(), last))
	got, err := open().Replay(t.Context(), last.ID)
	if diff := cmp.Diff(last, got); err != nil || diff != "" {
		t.Errorf("%v, want against got:\n%s", err, diff)
	}
	all, err := open().Replays(t.Context(), 3)
	if err != nil || len(all) != 3 || all[0].ID != last.ID || all[2].ID != fmt.Sprintf("%04d", many-3) {
		t.Errorf("the newest: %+v, %v", all, err)
	}
	if all, err = s.Replays(t.Context(), 1000); err != nil || len(all) != 200 {
		t.Errorf("%d are remembered, %v, want 200", len(all), err)
	}
}

// replaysAreToldAtOnce says of a new one twice at the same time how it is, as when the first time was called off half way.
func replaysAreToldAtOnce(t *testing.T, open func() projections.Replays) {
	s := open()
	for i := range 10 {
		r := projections.Replay{ID: fmt.Sprint("r", i), State: projections.ReplayRunning, Started: moment, Updated: moment}
		race(4, func(int) {
			if err := s.Put(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
}

func replaysAreCancelled(t *testing.T, open func() projections.Replays) {
	s := open()
	if err := s.Cancel(t.Context(), "none"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	r := projections.Replay{ID: "a", State: projections.ReplayRunning, Started: moment, Updated: moment}
	must(t, s.Put(t.Context(), r))
	wantCancelled := func(want bool) {
		t.Helper()
		if got, err := open().Cancelled(t.Context(), "a"); err != nil || got != want {
			t.Errorf("cancelled: %v, %v, want %v", got, err, want)
		}
	}
	wantCancelled(false)
	must(t, open().Cancel(t.Context(), "a"))
	r.Position = 5
	must(t, s.Put(t.Context(), r)) // which takes nothing back
	wantCancelled(true)
	if got, err := s.Cancelled(t.Context(), "none"); err != nil || got {
		t.Errorf("one that is not there is cancelled: %v, %v", got, err)
	}
}
