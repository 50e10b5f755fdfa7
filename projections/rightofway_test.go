package projections_test

import (
	"context"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cinelog/cinelog/projections"
)

func TestWorkGivesWayUntilNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var way projections.RightOfWay
		yield := way.Yielding(time.Now)
		took := func() time.Duration {
			start := time.Now()
			yield(t.Context())
			return time.Since(start)
		}
		if d := took(); d != 0 {
			t.Errorf("it waits %s for nobody", d)
		}
		time.Sleep(time.Second) // of work
		one, two := way.Answering(), way.Answering()
		time.AfterFunc(10*time.Millisecond, one)
		time.AfterFunc(30*time.Millisecond, two)
		if d := took(); d != 30*time.Millisecond {
			t.Errorf("it waits %s for two answers, of which the longer one takes 30 ms", d)
		}
		one() // the second time changes nothing
		third := way.Answering()
		time.Sleep(2 * time.Millisecond)
		if d := took(); d != 14*time.Millisecond {
			t.Errorf("after 2 ms of work it waits %s: more than seven parts of eight, or less", d)
		}
		third()
		if d := took(); d != 0 {
			t.Errorf("it waits %s when all is answered", d)
		}
	})
}

func TestWorkDoesNotWaitForADownload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var way projections.RightOfWay
		yield := way.Yielding(time.Now)
		defer way.Answering()()
		time.Sleep(200 * time.Millisecond)
		start := time.Now()
		yield(t.Context())
		if d := time.Since(start); d != 50*time.Millisecond {
			t.Errorf("it waits %s for what takes longer than answers do", d)
		}
		time.Sleep(time.Second)
		start = time.Now()
		yield(t.Context())
		if d := time.Since(start); d != 0 {
			t.Errorf("it waits another %s", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		defer way.Answering()()
		yield(ctx)
		if d := time.Since(start); d != 0 {
			t.Errorf("it waits %s though it is to end", d)
		}
	})
}

func TestGarbageMayWaitWhileWorkGoesOn(t *testing.T) { //nolint:paralleltest // there is one garbage collector
	percent := func() int {
		p := debug.SetGCPercent(-1)
		debug.SetGCPercent(p)
		return p
	}
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	var way projections.RightOfWay
	one, two := way.Working(), way.Working()
	if got := percent(); got != 210 {
		t.Errorf("while work goes on: %d %%, want 210", got)
	}
	one()
	one() // the second time changes nothing
	if got := percent(); got != 210 {
		t.Errorf("while some still goes on: %d %%, want 210", got)
	}
	two()
	if got := percent(); got != 70 {
		t.Errorf("afterwards: %d %%, want 70", got)
	}
	debug.SetGCPercent(-1)
	way.Working()()
	if got := percent(); got != -1 {
		t.Errorf("where it is off: %d %%", got)
	}
}
