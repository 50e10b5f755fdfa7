package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Dispatcher delivers. Any number of processes may have one: an endpoint is with one of them at a time.
type Dispatcher struct {
	Store  Store
	Log    Log
	Sender Sender
	Now    func() time.Time
	Logger *slog.Logger
	// Appended tells that the log has grown, Changed that an endpoint has changed. Where other processes append and change,
	// EventsEvery and EndpointsEvery say how often to look; 0: never, all that happens is told.
	Appended, Changed           <-chan struct{}
	EventsEvery, EndpointsEvery time.Duration
}

const (
	// perEndpoint is how many deliveries of one endpoint are in work at most. An endpoint that fails gets fewer, down to one.
	perEndpoint = 8
	// maxQueued bounds what is pending of one endpoint; the rest waits in the log.
	maxQueued = 10_000
	// readAtOnce is how many events are looked at in one step, and unsavedEvents how many may be looked at again after a
	// crash, where none of them was wanted.
	readAtOnce    = 256
	unsavedEvents = 1000
	// sendTime bounds an attempt, from the first look at the address to the last byte of the answer.
	sendTime = 15 * time.Second
	// retryStore is when to go on where the log or the store was away, or somebody else had the lease.
	retryStore = 2 * time.Second
	// keptFor is how long it can be seen what became of a delivery.
	keptFor    = 30 * 24 * time.Hour
	pruneEvery = time.Hour
)

// running is an endpoint that is delivered to.
type running struct {
	version int
	stop    context.CancelFunc
	news    chan struct{} // the log has grown
	changed chan struct{} // the endpoint is not what it was
}

// Run delivers until ctx ends. Without endpoints it sleeps.
func (d *Dispatcher) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	endpoints := map[string]*running{}
	reconcile, look := time.NewTimer(0), time.NewTimer(0)
	defer reconcile.Stop()
	defer look.Stop()
	var head domain.Position
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.Appended:
			tell(endpoints)
			continue
		case <-look.C: // goes on while there is somebody to tell
			if d.EventsEvery > 0 && len(endpoints) > 0 {
				if now, err := d.Log.Head(ctx); err == nil && now != head {
					head = now
					tell(endpoints)
				}
				look.Reset(d.EventsEvery)
			}
			continue
		case <-d.Changed:
		case <-reconcile.C:
		}
		err := d.reconcile(ctx, endpoints, &work)
		if err != nil && ctx.Err() == nil {
			d.Logger.ErrorContext(ctx, "cannot read the endpoints of webhooks", "error", err)
			reconcile.Reset(retryStore)
		} else if d.EndpointsEvery > 0 {
			reconcile.Reset(d.EndpointsEvery)
		}
		if len(endpoints) > 0 {
			look.Reset(d.EventsEvery)
		}
	}
}

func tell(endpoints map[string]*running) {
	for _, r := range endpoints {
		ring(r.news)
	}
}

// reconcile starts and stops until what is delivered to is what the store says.
func (d *Dispatcher) reconcile(ctx context.Context, endpoints map[string]*running, work *sync.WaitGroup) error {
	stored, err := d.Store.Endpoints(ctx)
	if err != nil {
		return err
	}
	enabled := map[string]Endpoint{}
	for _, e := range stored {
		if e.Enabled {
			enabled[e.ID] = e
		}
	}
	for id, r := range endpoints {
		if _, ok := enabled[id]; !ok {
			r.stop()
			delete(endpoints, id)
		}
	}
	for id, e := range enabled {
		if r, ok := endpoints[id]; ok {
			if r.version != e.Version {
				r.version = e.Version
				ring(r.changed)
			}
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		r := &running{e.Version, stop, make(chan struct{}, 1), make(chan struct{}, 1)}
		endpoints[id] = r
		work.Go(func() {
			defer stop()
			d.hold(ctx, id, r)
		})
	}
	return nil
}

// hold delivers to an endpoint whenever nobody else does, until ctx ends.
func (d *Dispatcher) hold(ctx context.Context, id string, r *running) {
	for ctx.Err() == nil {
		held, release, err := d.Store.Lease(ctx, id)
		if err == nil {
			err = d.deliver(held, id, r)
			release()
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil, errors.Is(err, domain.ErrNotFound): // changed; gone ones are stopped
		case errors.Is(err, domain.ErrConflict):
			d.Logger.DebugContext(ctx, "another process has the lease of a webhook", "endpoint", id)
		default:
			d.Logger.ErrorContext(ctx, "a webhook is not delivered to", "endpoint", id, "error", err)
		}
		if err != nil {
			wait(ctx, retryStore)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
