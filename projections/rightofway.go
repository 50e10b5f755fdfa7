package projections

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

// RightOfWay lets long work give way to those who wait for an answer: an answer is short, and both want the same CPUs. The
// zero value is good.
type RightOfWay struct {
	mu      sync.Mutex
	waiting int           // for an answer
	clear   chan struct{} // closed when nobody is; nil when nobody is

	working int // pieces of work that go on
	percent int // of the garbage collector, while none does
}

const (
	// longAnswer is when an answer is none of those that somebody waits for: a download, or news as they come.
	longAnswer = 250 * time.Millisecond
	// leastShare of its time is what work gets where answers never end, as one part in so many.
	leastShare = 8
	// seldomer is how many times as much garbage there may be while work goes on.
	seldomer = 3
)

// Answering says that somebody waits for an answer, until done is called.
func (w *RightOfWay) Answering() (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting++; w.waiting == 1 {
		w.clear = make(chan struct{})
	}
	leave := sync.OnceFunc(w.answered)
	long := time.AfterFunc(longAnswer, leave)
	return func() {
		long.Stop()
		leave()
	}
}

func (w *RightOfWay) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting--; w.waiting == 0 {
		close(w.clear)
		w.clear = nil
	}
}

// Working says that work goes on, until done is called. Long work makes garbage all the time, and while that is collected, up to
// both CPUs belong to nobody else: so it is collected less often.
func (w *RightOfWay) Working() (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.working++; w.working == 1 {
		if w.percent = debug.SetGCPercent(-1); w.percent >= 0 { // else it is off, by somebody's wish
			debug.SetGCPercent(w.percent * seldomer)
		}
	}
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.working--; w.working == 0 {
			debug.SetGCPercent(w.percent)
		}
	})
}

// Yielding returns what one long piece of work calls between its steps: it returns when nobody waits for an answer, or when
// the work would get less than its least share. now is the clock; time.Now, which is not disturbed when the machine's is set.
func (w *RightOfWay) Yielding(now func() time.Time) func(context.Context) {
	began := now() // the work since the last time that it gave way
	return func(ctx context.Context) {
		w.mu.Lock()
		clear := w.clear
		w.mu.Unlock()
		if clear == nil {
			return
		}
		most := time.NewTimer(min(now().Sub(began)*(leastShare-1), longAnswer))
		defer most.Stop()
		select {
		case <-clear:
		case <-most.C:
		case <-ctx.Done():
		}
		began = now()
	}
}
