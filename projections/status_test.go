package projections_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// fixed is a read model of which this is stored.
type fixed projections.Stored

func (f fixed) Stored(context.Context) (projections.Stored, error) { return projections.Stored(f), nil }

func TestHowAProjectionStands(t *testing.T) {
	t.Parallel()
	story := &contract.Story{}
	for range 3 {
		story.Add("v", domain.VideoPublished{}) // an hour between two
	}
	last := story.Events[2].Time
	for name, test := range map[string]struct {
		stored  fixed
		say     func(t *testing.T, c *memory.Controls)
		running *projections.Replay
		now     time.Time
		state   projections.State
		lag     int64
		age     time.Duration
	}{
		"all is applied":      {stored: fixed{Version: 7, Position: 3}, now: last.Add(time.Hour), state: "live"},
		"one came just now":   {stored: fixed{Version: 7, Position: 2}, now: last.Add(time.Second), state: "live", lag: 1, age: time.Second},
		"events wait":         {stored: fixed{Version: 7, Position: 1}, now: last.Add(time.Second), state: "catching_up", lag: 2, age: time.Hour + time.Second},
		"the clock is back":   {stored: fixed{Version: 7}, now: last.Add(-1000 * time.Hour), state: "live", lag: 3},
		"of another version":  {stored: fixed{Version: 6, Position: 3}, now: last, state: "rebuilding"},
		"a replay is running": {stored: fixed{Version: 7, Position: 3}, running: &projections.Replay{}, now: last, state: "rebuilding"},
		"ahead of a lost log": {stored: fixed{Version: 7, Position: 9}, now: last, state: "live"},
		"paused, and outdated": {stored: fixed{Version: 6, Position: 3}, now: last, state: "paused", say: func(t *testing.T, c *memory.Controls) {
			t.Helper()
			if err := c.Pause(t.Context(), "catalog", last); err != nil {
				t.Fatal(err)
			}
		}},
		"halted, and behind": {stored: fixed{Version: 7}, now: last, state: "halted", lag: 3, age: 2 * time.Hour, say: func(t *testing.T, c *memory.Controls) {
			t.Helper()
			if err := c.Halted(t.Context(), "catalog", &projections.Halt{Position: 1}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			controls := &memory.Controls{}
			if test.say != nil {
				test.say(t, controls)
			}
			s, err := projections.LookUp(t.Context(), "catalog", 7, test.stored, story, controls, test.running, test.now)
			if err != nil || s.State != test.state || s.Lag != test.lag || s.LagTime != test.age || s.Head != 3 {
				t.Errorf("%+v, %v; want %s, %d events and %s behind", s, err, test.state, test.lag, test.age)
			}
		})
	}
}

func TestAReplayAtAMoment(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := projections.Replay{
		State: projections.ReplayRunning, Started: start, Updated: start.Add(10 * time.Second), Resumed: 100, Position: 1100, Head: 2100,
	}
	if r.PerSecond() != 100 || r.Left() != 10*time.Second {
		t.Errorf("%.1f/s, %s left, want 100/s and 10 s", r.PerSecond(), r.Left())
	}
	for after, want := range map[time.Duration]projections.ReplayState{
		time.Second: "running", 20 * time.Second: "running", 21 * time.Second: "lost", -time.Hour: "lost", // of a process that is gone, on a clock set back
	} {
		if got := r.At(start.Add(after)); got.State != want {
			t.Errorf("after %s it is %s, want %s", after, got.State, want)
		}
	}
	r.State = projections.ReplayDone
	if got := r.At(start.Add(time.Hour)); got.State != projections.ReplayDone || got.Left() != 0 {
		t.Errorf("one that is done: %+v", got)
	}
	back := r
	back.Updated = start.Add(-time.Hour)
	if back.PerSecond() != 0 {
		t.Errorf("with a clock that was set back it does %f/s", back.PerSecond())
	}
}

func TestGiven(t *testing.T) {
	t.Parallel()
	story := &contract.Story{}
	for range 5 {
		story.Add("v", domain.VideoPublished{})
	}
	var skips projections.Skips
	if skips.Has(1) {
		t.Error("at first something is skipped")
	}
	skips.Set([]projections.Skip{{Position: 2}, {Position: 5}})
	var got []domain.Position
	for _, e := range projections.Given(story.Events, skips.Has) {
		got = append(got, e.Position)
	}
	if diff := cmp.Diff([]domain.Position{1, 3, 4}, got); diff != "" || len(story.Events) != 5 {
		t.Errorf("want against got:\n%s", diff)
	}
	if got := projections.Given(story.Events[2:4], skips.Has); len(got) != 2 {
		t.Errorf("%d of two that are not skipped", len(got))
	}
}
