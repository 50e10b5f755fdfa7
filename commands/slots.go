package commands

import (
	"cmp"
	"context"
	"runtime"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// slot waits for a free place to encode a chunk. Who is to be quick has places of its own, as many, so that it begins at once
// beside what is at work, which stands back; and it takes all other places that are free, so that no more begins beside it:
// somebody waits for it, and nobody for the others. They go on before the next one that is quick takes their places.
//
// Sound takes no such place. It needs a part of one CPU for a part of the time, and the first chunk cannot be played
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

// SoundsAtOnce is how many long videos a worker encodes all of the sound of at once, of what players begin with. Whoever hands it
// tasks has so many places for these beside those for what is soon done, so that nobody waits there for the sound of a long video.
const SoundsAtOnce = 8

// longSound is how many seconds a video lasts whose sound takes a place: that of a shorter one is soon done.
const longSound = 60

// soundWait is how long the sound waits, after its first seconds, where so many others are at work.
const soundWait = time.Second

// soundPlace takes a place for all of the sound of a video, if one is free.
func (w *Worker) soundPlace() (release func(), ok bool) {
	w.once.Do(w.makeSlots)
	select {
	case w.sounds <- struct{}{}:
		return func() { <-w.sounds }, true
	default:
		return func() {}, false
	}
}

func (w *Worker) makeSlots() {
	n := cmp.Or(max(0, w.Slots), w.cpus())
	w.sounds = make(chan struct{}, SoundsAtOnce)
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
