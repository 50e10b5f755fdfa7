package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// CatchUpOptions tune CatchUp; the zero value is good for live updates.
type CatchUpOptions struct {
	Batch    int                   // events per Apply; 1000 when 0
	Until    domain.Position       // the last event to apply; the head when 0
	Progress func(domain.Position) // called after every batch
	Rate     int                   // events per second at most; as fast as it goes when 0
	// GiveWay is called between small steps, and may wait; see RightOfWay. With it the log is read and applied by turns.
	GiveWay func(context.Context)
}

const defaultBatch = 1000

// CatchUp applies the log's events after t's checkpoint until there are no more, and returns where t stands then, also
// beside an error. It reads the next batches while one is being applied.
//
// ErrConflict: another process applied the same events first; calling again goes on from the checkpoint.
func CatchUp(ctx context.Context, log Log, t Target, o CatchUpOptions) (domain.Position, error) {
	at, err := t.Checkpoint(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the checkpoint: %w", err)
	}
	return catchUp(ctx, log, t, at, o)
}

// catchUp is CatchUp of a target that stands at a position, or is believed to.
func catchUp(ctx context.Context, log Log, t Target, at domain.Position, o CatchUpOptions) (domain.Position, error) {
	if o.Batch <= 0 {
		o.Batch = defaultBatch
	}
	o.Batch = PacedBatch(o.Batch, o.Rate)
	pace := pacer{rate: o.Rate}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reading := read(ctx, log, at, o)
	if o.GiveWay == nil {
		reading = ahead(ctx, reading)
	}
	for b := range reading {
		if b.err != nil {
			return at, fmt.Errorf("read the log after %d: %w", at, b.err)
		}
		if err := t.Apply(ctx, b.events); err != nil {
			return at, fmt.Errorf("apply the events after %d: %w", at, err)
		}
		at = b.events[len(b.events)-1].Position
		if o.Progress != nil {
			o.Progress(at)
		}
		if err := pace.wait(ctx, len(b.events)); err != nil {
			return at, err
		}
	}
	return at, ctx.Err()
}

// batchesPerSecond is how often a build that was given a rate does something.
const batchesPerSecond = 5

// PacedBatch is how many events are taken at once at a rate, or at most if that is 0: few enough to never pause for long.
func PacedBatch(most, rate int) int {
	if rate <= 0 {
		return most
	}
	return max(1, min(most, rate/batchesPerSecond))
}

// pacer spreads work over time. What was late is not caught up with.
type pacer struct {
	rate  int
	timer *time.Timer // until the last batch may be followed by another one
}

// wait waits after a batch of n events until the time of the one before it is over, and that of this one begins.
func (p *pacer) wait(ctx context.Context, n int) error {
	if p.rate <= 0 {
		return nil
	}
	takes := time.Duration(n) * time.Second / time.Duration(p.rate)
	if p.timer == nil {
		p.timer = time.NewTimer(takes)
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.timer.C:
		p.timer.Reset(takes)
		return nil
	}
}

type batch struct {
	events []domain.Recorded
	err    error
}

// read gives the batches after a position until the head, or an error.
func read(ctx context.Context, log Log, after domain.Position, o CatchUpOptions) iter.Seq[batch] {
	return func(yield func(batch) bool) {
		for o.Until == 0 || after < o.Until {
			limit := o.Batch
			if o.Until > 0 {
				limit = int(min(int64(limit), int64(o.Until-after)))
			}
			events, err := readBatch(ctx, log, after, limit, o.GiveWay)
			if err == nil && len(events) == 0 {
				return
			}
			if !yield(batch{events, err}) || err != nil || len(events) < limit { // the head was there; who is woken again looks again
				return
			}
			after = events[len(events)-1].Position
		}
	}
}

// readStep is how many events are read between two looks at whether somebody is to be let through.
const readStep = 250

// readBatch reads up to limit events, in steps where it is to give way between them.
func readBatch(
	ctx context.Context, log Log, after domain.Position, limit int, giveWay func(context.Context),
) (events []domain.Recorded, err error) {
	if giveWay == nil {
		return log.ReadAfter(ctx, after, limit)
	}
	for len(events) < limit {
		giveWay(ctx)
		step := min(readStep, limit-len(events))
		more, err := log.ReadAfter(ctx, after, step)
		events = append(events, more...)
		if err != nil || len(more) < step {
			return events, err
		}
		after = more[len(more)-1].Position
	}
	return events, nil
}

// ahead reads the next batches while one is in work. Whoever stops taking them must end ctx soon: the reader ends before
// the sequence does.
func ahead(ctx context.Context, batches iter.Seq[batch]) iter.Seq[batch] {
	return func(yield func(batch) bool) {
		ctx, cancel := context.WithCancel(ctx)
		c := make(chan batch, 1) // one in work, one that waits, one that is being read: reader and writer rarely wait
		go func() {
			defer close(c)
			for b := range batches {
				select {
				case c <- b:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range c {
			}
		}()
		for b := range c {
			if !yield(b) {
				return
			}
		}
	}
}

// checkpointAge is how long a follower goes on from where it has brought its target, before it asks again where that
// stands.
const checkpointAge = 5 * time.Second

// follower keeps a target at the log's head. It does not ask for the checkpoint each time. Where another process has
// moved it, or has switched to another build, there are events that the follower has not applied, and the target refuses
// them with ErrConflict: then it asks, as after any error.
type follower struct {
	log    Log
	target Target
	batch  int // events per Apply; 0 for the usual

	at    domain.Position
	known bool // that target stands at at
	aged  <-chan time.Time
}

// follow catches up by atMost events, or all when 0, and returns where the target stands then, as far as that is known.
func (f *follower) follow(
	ctx context.Context, atMost int, advanced func(domain.Position),
) (at domain.Position, more bool, err error) {
	select {
	case <-f.aged:
		f.known = false
	default:
	}
	if !f.known {
		if f.at, err = f.target.Checkpoint(ctx); err != nil {
			return f.at, false, fmt.Errorf("read the checkpoint: %w", err)
		}
	}
	o := CatchUpOptions{Batch: f.batch, Progress: advanced}
	if atMost > 0 {
		o.Until = f.at + domain.Position(atMost)
	}
	f.at, err = catchUp(ctx, f.log, f.target, f.at, o)
	f.known = err == nil
	return f.at, f.at == o.Until, err
}

// Run keeps t at the log's head until ctx ends: it catches up, then waits for a wake-up or the tick. advanced hears
// every position that t reaches. The wake-up only saves time; without it the tick still comes. The error is ctx's, or
// the first that is neither a lost race nor a store that is away for now. A read model has a Runner instead.
func Run(
	ctx context.Context, log Log, t Target, wake <-chan struct{}, tick time.Duration, advanced func(domain.Position),
) error {
	timer := time.NewTicker(tick)
	defer timer.Stop()
	aged := time.NewTicker(checkpointAge)
	defer aged.Stop()
	f := follower{log: log, target: t, aged: aged.C}
	for {
		at, _, err := f.follow(ctx, 0, advanced)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, domain.ErrConflict): // another process was faster: go on from its checkpoint
			continue
		case errors.Is(err, domain.ErrUnavailable): // with the next tick
		case err != nil:
			return err
		case advanced != nil:
			advanced(at) // also when another process has applied everything
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-timer.C:
		}
	}
}
