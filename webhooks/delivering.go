package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// delivering is the work on one endpoint, of one goroutine that starts and collects the attempts of others.
type delivering struct {
	*Dispatcher

	endpoint Endpoint
	cursor   Cursor
	saved    domain.Position // of the cursor, in the store
	atHead   bool
	queue    *queue
	inWork   int
	most     int // to be in work
	settled  chan attempt
	pruned   time.Time
}

type attempt struct {
	delivery *queued
	ok, gone bool
	err      error // what became of it could not be stored
}

// deliver works on an endpoint until it changes, which gives nil, or ctx ends, or the log or the store fail.
func (d *Dispatcher) deliver(ctx context.Context, id string, r *running) error {
	w := &delivering{Dispatcher: d, queue: newQueue(), most: perEndpoint, settled: make(chan attempt, perEndpoint)}
	ctx, cancel := context.WithCancel(ctx)
	defer func() { // nobody works on it when the lease is given back
		cancel()
		for ; w.inWork > 0; w.inWork-- {
			<-w.settled
		}
	}()
	if err := w.load(ctx, id); err != nil {
		return err
	}
	if !w.endpoint.Enabled {
		select { // the dispatcher is about to see it too, or that it is enabled again
		case <-ctx.Done():
		case <-r.changed:
		}
		return nil
	}
	due := time.NewTimer(0)
	defer due.Stop()
	changing := false
	for {
		if !changing {
			if err := w.fill(ctx); err != nil {
				return err
			}
			w.start(ctx)
			if next, ok := w.queue.next(); ok && w.inWork < w.most {
				due.Reset(max(0, time.Until(next)))
			}
		} else if w.inWork == 0 {
			return w.save(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-w.settled:
			w.inWork--
			if a.err != nil {
				return a.err
			}
			if a.gone {
				changing = true
			}
			w.learn(a.ok)
			a.delivery.due = w.due(a.delivery.Delivery)
			w.queue.settled(a.delivery)
		case <-r.changed:
			changing = true
		case <-r.news:
			w.atHead = false
		case <-due.C:
		}
	}
}

// load reads how far the endpoint has come.
func (w *delivering) load(ctx context.Context, id string) (err error) {
	if w.endpoint, err = w.Store.Endpoint(ctx, id); err != nil {
		return err
	}
	if w.cursor, err = w.Store.Cursor(ctx, id); err != nil {
		return err
	}
	w.saved = w.cursor.Position
	if start := w.endpoint.Start; start.Round > w.cursor.Round {
		if w.cursor.Round > 0 { // sent back, never forward
			start.Position = min(start.Position, w.cursor.Position)
		}
		w.cursor, w.saved = start, -1
	}
	pending, err := w.Store.Pending(ctx, id, maxQueued)
	if err != nil {
		return err
	}
	for i := range pending {
		// After it was sent back, those that are told of again come in their places with the cursor.
		if pending[i].Position <= w.cursor.Position {
			w.queue.add(&queued{&pending[i], w.due(&pending[i])})
		}
	}
	return nil
}

// fill moves the cursor on until enough is pending or the log ends.
func (w *delivering) fill(ctx context.Context) error {
	for !w.atHead && w.queue.size < maxQueued {
		events, err := w.Log.ReadAfter(ctx, w.cursor.Position, readAtOnce)
		if err != nil {
			return fmt.Errorf("read the log after %d: %w", w.cursor.Position, err)
		}
		w.atHead = len(events) < readAtOnce
		if len(events) == 0 {
			break
		}
		now := w.Now().UTC().Truncate(time.Microsecond)
		var wanted []Delivery
		for _, e := range events {
			if w.endpoint.Wants(e) {
				wanted = append(wanted, newDelivery(w.endpoint.ID, w.cursor.Round, e, now))
			}
		}
		w.cursor.Position = events[len(events)-1].Position
		if len(wanted) == 0 && w.saved >= 0 && w.cursor.Position-w.saved < unsavedEvents {
			continue
		}
		if err := w.Store.Advance(ctx, w.endpoint.ID, w.cursor, wanted); err != nil {
			return err
		}
		w.saved = w.cursor.Position
		for i := range wanted {
			w.queue.add(&queued{&wanted[i], w.due(&wanted[i])})
		}
	}
	return w.prune(ctx)
}

// due is when a delivery is to be tried. None waits for longer than one ever has to, whatever was written down.
func (w *delivering) due(d *Delivery) time.Time {
	return steady().Add(min(d.Next.Sub(w.Now()), longestPause))
}

// save stores a cursor that has moved past what was not wanted.
func (w *delivering) save(ctx context.Context) error {
	if w.saved == w.cursor.Position {
		return nil
	}
	return w.Store.Advance(ctx, w.endpoint.ID, w.cursor, nil)
}

func (w *delivering) prune(ctx context.Context) error {
	if time.Since(w.pruned) < pruneEvery {
		return nil
	}
	w.pruned = steady()
	return w.Store.Prune(ctx, w.endpoint.ID, w.Now().Add(-keptFor))
}

// start begins as many attempts as there may be.
func (w *delivering) start(ctx context.Context) {
	for w.inWork < w.most {
		d := w.queue.take(steady())
		if d == nil {
			return
		}
		w.inWork++
		go func() { w.settled <- w.try(ctx, d) }()
	}
}

// learn gives an endpoint that fails less to do at once, so that it gets room to recover, and takes none of others.
func (w *delivering) learn(ok bool) {
	if ok {
		w.most = min(w.most+1, perEndpoint)
	} else {
		w.most = max(w.most/2, 1)
	}
}

// try makes one attempt, and stores what came of it.
func (w *delivering) try(ctx context.Context, d *queued) attempt {
	result := w.send(ctx, d.Delivery)
	if ctx.Err() != nil { // we are leaving, or somebody else has the lease: it was no attempt, or comes twice
		return attempt{delivery: d, err: ctx.Err()}
	}
	d.settle(result, w.Now().UTC().Truncate(time.Microsecond))
	a := attempt{delivery: d, ok: result.Err == nil, gone: result.Code == statusGone}
	a.err = w.Store.Record(ctx, *d.Delivery)
	if a.gone && a.err == nil {
		_, a.err = update(ctx, w.Store, d.Endpoint, w.Now(), func(e *Endpoint) error {
			e.Enabled, e.Reason = false, "the receiver answered 410 Gone"
			return nil
		})
	}
	level := w.Logger.DebugContext
	if d.Status == Failed {
		level = w.Logger.WarnContext
	}
	level(ctx, "webhook tried", "endpoint", d.Endpoint, "position", d.Position, "video", d.Video, "status", d.Status,
		"attempts", d.Attempts, "code", d.Code, "error", d.Error)
	return a
}

func (w *delivering) send(ctx context.Context, d *Delivery) Result {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	found, err := w.Log.ReadAfter(ctx, d.Position-1, 1)
	if err == nil && (len(found) == 0 || found[0].Position != d.Position) {
		err = errors.New("the log has no such event")
	}
	var body []byte
	if err == nil {
		body, err = domain.MarshalShortCloudEvent(found[0])
	}
	if err != nil {
		w.Logger.ErrorContext(ctx, "a webhook's event cannot be read", "position", d.Position, "error", err)
		return Result{Err: errors.New("the event could not be read")}
	}
	now := w.Now()
	return w.Sender.Send(ctx, w.endpoint.URL, w.endpoint.Keys(now), Message{ID: d.ID(), Time: now, Body: body})
}
