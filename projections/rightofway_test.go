package projections_test

import (
	"context"
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
