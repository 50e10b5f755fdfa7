package webhooks

import (
	"container/heap"
	"time"
)

// queue holds an endpoint's pending deliveries. Of each video only the first one may be in work; the others wait for it.
type queue struct {
	videos map[string][]*queued // by position, the one in work too
	heads  heads                // of videos of which none is in work
	size   int
}

// queued is a delivery that is due at a time of a clock that nobody sets: the machine's may be wrong when Next is written
// down, or be set back before it comes.
type queued struct {
	*Delivery

	due time.Time
}

// steady is the clock by which pauses are measured.
func steady() time.Time { return time.Now() } //nolint:forbidigo // differences are right whatever the machine's clock is set to

func newQueue() *queue { return &queue{videos: map[string][]*queued{}} }

// add puts a delivery behind those of its video; it must be later than they are.
func (q *queue) add(d *queued) {
	q.size++
	q.videos[d.Video] = append(q.videos[d.Video], d)
	if len(q.videos[d.Video]) == 1 {
		heap.Push(&q.heads, d)
	}
}

// take gives out a delivery that is due, nil if there is none. It counts as one of the queue until done or back.
func (q *queue) take(now time.Time) *queued {
	if len(q.heads) == 0 || q.heads[0].due.After(now) {
		return nil
	}
	return heap.Pop(&q.heads).(*queued) // nothing else is in it
}

// settled takes a delivery back that take gave out: the next one of the video is free where this one is not pending.
func (q *queue) settled(d *queued) {
	if d.Status != Pending {
		q.size--
		rest := q.videos[d.Video][1:]
		if len(rest) == 0 {
			delete(q.videos, d.Video)
			return
		}
		q.videos[d.Video], d = rest, rest[0]
	}
	heap.Push(&q.heads, d)
}

// next says when a delivery will be due; false if none will before one comes back.
func (q *queue) next() (time.Time, bool) {
	if len(q.heads) == 0 {
		return time.Time{}, false
	}
	return q.heads[0].due, true
}

// heads is a heap: what is due first, and of that what is oldest, comes first.
type heads []*queued

func (h heads) Len() int { return len(h) }

func (h heads) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].Position < h[j].Position
}

func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *heads) Push(x any) { *h = append(*h, x.(*queued)) } // nothing else is in it

func (h *heads) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
