package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Runner keeps a read model at the log's head, as long as it may and can: one that is paused stays where it is, and one
// that cannot apply an event halts there and says so, while all others go on. A store that is away for now, or another
// process that was faster, is no reason to halt.
type Runner struct {
	Name     string
	Log      Log
	Target   Target
	Controls Controls
	// Skips is filled from Controls; the model of Target must ask it.
	Skips *Skips
	// Wake saves time; without it the tick still comes.
	Wake <-chan struct{}
	Tick time.Duration
	// Advanced hears every position that the read model reaches.
	Advanced func(domain.Position)
	// Halted hears once of each halt, with the error as it was.
	Halted func(ctx context.Context, h Halt, err error)
	// Renew builds the read model anew when the rows in use are of another version. ErrConflict: somebody else does.
	Renew func(ctx context.Context) error
	// Now is the clock; time.Now, which is not disturbed when the machine's clock is set back.
	Now func() time.Time

	follower follower
	control  Control
	read     time.Time // when control was, the last time
	halt     *Halt
	stuck    bool // Renew cannot be done
	poked    atomic.Bool
}

const (
	// controlAge is how old the knowledge of what people have said may be.
	controlAge = time.Second
	// atOnce is how many events are applied before it is asked again what people have said.
	atOnce = 20_000
	// behindBatch is how many of them are applied in one step: what is changed again within it is stored once.
	behindBatch = 2_500
	// maxErrorText is how much of an error is kept, in bytes.
	maxErrorText = 1000
)

// Poke has the next round ask what people have said, however new its knowledge is. Wake the Runner afterwards.
func (r *Runner) Poke() { r.poked.Store(true) }

// CatchUp goes as far as it may and can, and does not wait for more. Run does it too: this is for those who want it done
// before something else begins.
func (r *Runner) CatchUp(ctx context.Context) {
	for ctx.Err() == nil && r.round(ctx) == again {
	}
}

// Run works until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	timer := time.NewTicker(r.Tick)
	defer timer.Stop()
	aged := time.NewTicker(checkpointAge)
	defer aged.Stop()
	r.follower.aged = aged.C
	for {
		next := r.round(ctx)
		if next == outdated {
			next = r.renew(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if next == again {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.Wake:
		case <-timer.C:
		}
	}
}

// what follows a round
type next int

const (
	wait     next = iota // for a wake-up
	again                // at once
	outdated             // the rows are of another version
)

// round asks what people have said, if that is due, and catches up, if it may.
func (r *Runner) round(ctx context.Context) next {
	if !r.ask(ctx) || r.control.Paused {
		return wait
	}
	if r.stuck {
		return wait
	}
	if r.halt != nil {
		at, err := r.Target.Checkpoint(ctx)
		if err != nil || at < r.halt.Position {
			return wait
		}
		r.halt = nil // another build, or another process, has passed it
	}
	r.follower.log, r.follower.target, r.follower.batch = r.Log, r.Target, behindBatch
	at, more, err := r.follower.follow(ctx, atOnce, r.Advanced)
	if !errors.Is(err, domain.ErrUnavailable) {
		r.Advanced(at)
	}
	switch {
	case ctx.Err() != nil, errors.Is(err, domain.ErrUnavailable):
		return wait
	case errors.Is(err, domain.ErrConflict): // another process was faster: go on from its checkpoint
		return again
	case errors.Is(err, ErrOutdated):
		return outdated
	case err != nil:
		return r.locate(ctx)
	}
	r.passed(ctx, at)
	if more {
		return again
	}
	return wait
}

// ask learns what people have said. It is false as long as that is not known.
func (r *Runner) ask(ctx context.Context) bool {
	if !r.poked.Swap(false) && r.Now().Sub(r.read) < controlAge {
		return true
	}
	c, err := r.Controls.Control(ctx, r.Name)
	if err != nil {
		return !r.read.IsZero()
	}
	if (r.halt != nil || r.stuck) && (c.Resumed != r.control.Resumed || len(c.Skips) != len(r.control.Skips)) {
		r.halt, r.stuck = nil, false // it tries again
	}
	r.control, r.read = c, r.Now()
	r.Skips.Set(c.Skips)
	return true
}

// passed takes back what was said of a halt when that is over.
func (r *Runner) passed(ctx context.Context, at domain.Position) {
	if r.control.Halt == nil || at < r.control.Halt.Position {
		return
	}
	if err := r.Controls.Halted(ctx, r.Name, nil); err == nil {
		r.control.Halt = nil
	}
}

// locate applies events one by one until one fails, and halts there.
func (r *Runner) locate(ctx context.Context) next {
	at, err := r.Target.Checkpoint(ctx)
	if err == nil {
		r.follower.known = false
		at, err = catchUp(ctx, r.Log, r.Target, at, CatchUpOptions{Batch: 1, Until: at + defaultBatch, Progress: r.Advanced})
	}
	switch {
	case ctx.Err() != nil, errors.Is(err, domain.ErrUnavailable):
		return wait
	case err == nil, errors.Is(err, domain.ErrConflict), errors.Is(err, ErrOutdated):
		return again
	}
	h := Halt{Position: at + 1, Since: r.Now(), Error: shortened(err)}
	if found, readErr := r.Log.ReadAfter(ctx, at, 1); readErr == nil && len(found) == 1 {
		h.Type, h.Video = domain.EventType(found[0].Event), found[0].VideoID()
	}
	r.stop(ctx, h, err)
	return wait
}

func (r *Runner) stop(ctx context.Context, h Halt, err error) {
	r.halt = &h
	said := r.control.Halt
	if said != nil && said.Position == h.Position {
		h.Since = said.Since
	}
	r.control.Halt = &h
	r.Halted(ctx, h, err)
	if err := r.Controls.Halted(ctx, r.Name, &h); err != nil {
		r.Halted(ctx, h, fmt.Errorf("that it halts is not stored: %w", err))
	}
}

// renew builds the rows anew. Until it is done the old ones are served as they are.
func (r *Runner) renew(ctx context.Context) next {
	if r.Renew == nil {
		return wait
	}
	err := r.Renew(ctx)
	r.follower.known = false
	switch {
	case err == nil:
		return again
	case ctx.Err() != nil, errors.Is(err, domain.ErrConflict), errors.Is(err, domain.ErrUnavailable):
		return wait
	}
	h := Halt{Since: r.Now(), Error: shortened(err)}
	if p, ok := errors.AsType[*PanicError](err); ok {
		h.Position = p.Position
		if found, readErr := r.Log.ReadAfter(ctx, p.Position-1, 1); readErr == nil && len(found) == 1 {
			h.Type, h.Video = domain.EventType(found[0].Event), found[0].VideoID()
		}
	}
	r.stuck = true
	r.stop(ctx, h, err)
	return wait
}

func shortened(err error) string {
	text := err.Error()
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}
