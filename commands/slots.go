package commands

import (
	"cmp"
	"context"
	"runtime"
)

// slot waits for a free place to encode a chunk. Who is to be quick then takes all other places that are free too,
// without waiting for more, so that nothing begins beside it: somebody waits for it, and nobody for the others.
//
// Sound takes no place. It needs a part of one CPU for a part of the time, and the first chunk cannot be played
// without it.
func (w *Worker) slot(ctx context.Context, quick bool) (release func(), err error) {
	w.once.Do(func() { w.slots = make(chan struct{}, cmp.Or(max(0, w.Slots), runtime.NumCPU())) })
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	taken := 1
	for quick {
		select {
		case w.slots <- struct{}{}:
			taken++
		default:
			quick = false
		}
	}
	return func() {
		for range taken {
			<-w.slots
		}
	}, nil
}
