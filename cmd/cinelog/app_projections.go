package main

import (
	"context"
	"errors"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// runner is what keeps a read model up to date in this process.
func (a *app) runner(p projected, bell chan struct{}, every time.Duration, advanced func(domain.Position)) *projections.Runner {
	runner := &projections.Runner{
		Name: p.name, Log: a.eventLog, Target: p.target, Controls: a.views.controls, Skips: p.skips,
		Wake: bell, Tick: every, Advanced: advanced, Now: time.Now, Halted: a.halted(p.name),
		Renew: func(ctx context.Context) error { return a.renew(ctx, p.name) },
	}
	a.pokes[p.name] = append(a.pokes[p.name], func() {
		runner.Poke()
		signalTo(bell)
	})
	return runner
}

// halted logs that a projection does not go on, once, with all there is to know.
func (a *app) halted(name string) func(context.Context, projections.Halt, error) {
	return func(ctx context.Context, h projections.Halt, err error) {
		log := a.log.With("projection", name, "position", h.Position, "type", h.Type, "video", h.Video, "error", err)
		if p, ok := errors.AsType[*projections.PanicError](err); ok {
			log = log.With("stack", string(p.Stack))
		}
		log.ErrorContext(ctx, "a projection has halted at an event; the others go on")
	}
}

// renew builds a read model whose rows are those of another version of the model. The old ones are served meanwhile.
func (a *app) renew(ctx context.Context, name string) error {
	replay, err := newReplay(name, projections.ReplayVersion, 0)
	if err != nil {
		return err
	}
	done, err := a.admin.replaying.run(ctx, replay, false, func(projections.Replay) {
		a.log.InfoContext(ctx, "a read model is of another version: it is served while the new one is built", "projection", name)
	}, nil)
	if err == nil {
		a.log.InfoContext(ctx, "a read model of this version is in use", "projection", name, "position", done.Position, "rows", done.Rows)
	}
	return err
}

// figuresOfThePast takes the figures from the log that no message brings. What is wrong with them is wrong with nothing
// else.
func (a *app) figuresOfThePast(ctx context.Context, skips *projections.Skips) {
	const name = projections.AnalyticsName
	err := a.views.figures.CatchUp(ctx, a.eventLog, skips.Has)
	if errors.Is(err, projections.ErrOutdated) {
		if err = a.renew(ctx, name); errors.Is(err, domain.ErrConflict) { // somebody else does it
			err = nil
		}
	}
	switch {
	case ctx.Err() != nil, errors.Is(err, domain.ErrUnavailable):
	case err != nil:
		h := projections.Halt{Error: err.Error(), Since: time.Now()}
		if stored, err := a.views.figures.Stored(ctx); err == nil {
			h.Position = stored.Position + 1
		}
		a.halted(name)(ctx, h, err)
		_ = a.views.controls.Halted(ctx, name, &h) // it is in the log
	default:
		if said, err := a.views.controls.Control(ctx, name); err == nil && said.Halt != nil {
			_ = a.views.controls.Halted(ctx, name, nil)
		}
	}
}

// whileNotPaused runs what people may pause, and again when they have it resume, or skip something.
func (a *app) whileNotPaused(name string, run func(ctx context.Context, skips *projections.Skips) error) {
	bell := make(chan struct{}, 1)
	a.pokes[name] = append(a.pokes[name], func() { signalTo(bell) })
	every := sharedTick
	if a.alone {
		every = tick
	}
	a.part(func(ctx context.Context) error {
		timer := time.NewTicker(every)
		defer timer.Stop()
		var skips projections.Skips
		var said projections.Control
		ended := make(chan error, 1)
		var cancel context.CancelFunc // of the work; nil when there is none
		for {
			now, err := a.views.controls.Control(ctx, name)
			if err == nil {
				skips.Set(now.Skips)
				if cancel != nil && (now.Paused || now.Resumed != said.Resumed || len(now.Skips) != len(said.Skips)) {
					cancel()
					cancel = nil
					if err := <-ended; err != nil {
						return err
					}
				}
				if cancel == nil && !now.Paused && ctx.Err() == nil {
					var work context.Context
					work, cancel = context.WithCancel(ctx)
					go func() { ended <- run(work, &skips) }()
				}
				said = now
			}
			select {
			case <-ctx.Done():
				if cancel == nil {
					return ctx.Err()
				}
				cancel()
				return errors.Join(<-ended, ctx.Err())
			case err := <-ended:
				cancel()
				return err
			case <-bell:
			case <-timer.C:
			}
		}
	})
}
