package commands

import (
	"cmp"
	"context"
	"runtime"

	"github.com/cinelog/cinelog/domain"
)

// slot waits for a free place to encode a chunk. Who is to be quick has places of its own, as many, so that it begins at once
// beside what is at work, which stands back; and it takes all other places that are free, so that no more begins beside it:
// somebody waits for it, and nobody for the others. They go on before the next one that is quick takes their places.
//
// Sound takes no place. It needs a part of one CPU for a part of the time, and the first chunk cannot be played
// without it.
func (w *Worker) slot(ctx context.Context, quick bool) (release func(), err error) {
	w.once.Do(w.makeSlots)
	own, others := w.slots, 0
	if quick {
		own = w.quick
	}
	select {
	case own <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for quick {
		select {
		case w.slots <- struct{}{}:
			others++
		default:
			quick = false
		}
	}
	return func() {
		<-own
		for range others {
			<-w.slots
		}
	}, nil
}

func (w *Worker) makeSlots() {
	n := cmp.Or(max(0, w.Slots), w.cpus())
	w.slots, w.quick = make(chan struct{}, n), make(chan struct{}, n)
}

// share says how many CPUs are there for a chunk, as ChunkJob.Threads puts it. More threads than CPUs cost time (5 to
// 10 % with two for each), so where all places are taken each chunk gets its part. But the first chunk runs alone, and
// a chunk near the end of the plan may well be alone at its own end: what it cannot use then nobody would.
func (w *Worker) share(plan domain.Plan, chunk int) int {
	if chunk == 0 && plan.Remuxed() == nil || chunk >= len(plan.Chunks)-cap(w.slots) {
		return 0
	}
	return max(1, w.cpus()/cap(w.slots))
}

func (w *Worker) cpus() int { return cmp.Or(max(0, w.CPUs), runtime.NumCPU()) }
