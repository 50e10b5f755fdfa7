package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// newEraser returns what takes what was said about deleted videos out of the log, the read models, and messages where those lie in files
// of ours: SQS lets nobody change a message, and drops it after its retention.
func newEraser(service *commands.Service, log eventLog, v views, bus messageBus) *commands.Eraser {
	e := &commands.Eraser{Service: service, Log: log, Copies: []commands.Copies{viewCopies{log, v}}}
	if queues, ok := bus.(sqliteBus); ok {
		e.Copies = append(e.Copies, queues)
	}
	return e
}

// viewCopies are the read models.
type viewCopies struct {
	log   eventLog
	views views
}

// Forget implements commands.Copies: when the read models know that the video is deleted its rows are gone, and then
// what is left of them is removed.
func (c viewCopies) Forget(ctx context.Context, _ domain.VideoID) error {
	head, err := c.log.Head(ctx)
	if err != nil {
		return err
	}
	for _, p := range c.views.projected() {
		if err := c.catchUp(ctx, p, head); err != nil {
			return fmt.Errorf("the texts are gone from the log; %s may still have them: %w", p.name, err)
		}
		if err := p.Forget(ctx); err != nil {
			return fmt.Errorf("the texts are gone from the log; they may still be in files of %s: %w", p.name, err)
		}
	}
	return nil
}

// catchUp brings a projection up to a position, beside a server that does so, or without one.
func (c viewCopies) catchUp(ctx context.Context, p projected, until domain.Position) error {
	said, err := c.views.controls.Control(ctx, p.name)
	if err != nil {
		return err
	}
	at, err := p.target.Checkpoint(ctx)
	switch {
	case errors.Is(err, projections.ErrOutdated):
		return fmt.Errorf("%w: its rows are of another version: cinelog replay %s, then do this again", domain.ErrConflict, p.name)
	case err != nil || at >= until:
		return err
	case said.Paused:
		return fmt.Errorf("%w: it is paused at %d: cinelog projections resume %s, then do this again", domain.ErrConflict, at, p.name)
	}
	p.skips.Set(said.Skips)
	for try := range 20 { // a server does the same, and then one of the two is faster
		if try > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
		if at, err = projections.CatchUp(ctx, c.log, p.target, projections.CatchUpOptions{Until: until}); at >= until {
			return nil
		}
		if err != nil && !errors.Is(err, domain.ErrConflict) && !errors.Is(err, domain.ErrUnavailable) {
			return err
		}
	}
	return errors.Join(err, fmt.Errorf("%w: it stands at %d", domain.ErrUnavailable, at))
}
