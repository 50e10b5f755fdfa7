package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// State says what a projection does.
type State string

// The states of a projection. It halts at an event that it cannot apply, and is paused by people.
const (
	StateLive       State = "live"
	StateHalted     State = "halted"
	StatePaused     State = "paused"
	StateRebuilding State = "rebuilding"  // the rows in use are of another version, or a replay is running
	StateCatchingUp State = "catching_up" // events wait that are older than it takes to apply one
)

// catchingUpAge is the age of an event that was not applied from which on a projection is not live. It is longer than the
// tick after which one looks at the log when no message wakes it.
const catchingUpAge = 5 * time.Second

// Status is how a projection stands.
type Status struct {
	Name    string
	Version int // of the model in this program
	State   State
	Stored  Stored
	Head    domain.Position
	Lag     int64         // events that are not applied
	LagTime time.Duration // age of the oldest of them
	Control Control
	Replay  *Replay // the one that is running; nil when none is
}

// StoredModel is a read model that says what is stored of it.
type StoredModel interface {
	Stored(ctx context.Context) (Stored, error)
}

// LookUp finds out how a projection stands. running is its replay, or nil.
func LookUp(
	ctx context.Context, name string, version int, model StoredModel, log Log, controls Controls, running *Replay, now time.Time,
) (s Status, err error) {
	s = Status{Name: name, Version: version, Replay: running}
	if s.Control, err = controls.Control(ctx, name); err != nil {
		return s, fmt.Errorf("projection %s: %w", name, err)
	}
	// The head is asked for afterwards: it must not be before what is stored.
	if s.Stored, err = model.Stored(ctx); err != nil {
		return s, fmt.Errorf("projection %s: %w", name, err)
	}
	if s.Head, err = log.Head(ctx); err != nil {
		return s, fmt.Errorf("projection %s: %w", name, err)
	}
	s.Lag = max(0, int64(s.Head-s.Stored.Position))
	if s.Lag > 0 {
		// Where the event cannot be read, its age is not known; that it waits is.
		if oldest, err := log.ReadAfter(ctx, s.Stored.Position, 1); err == nil && len(oldest) == 1 {
			s.LagTime = max(0, now.Sub(oldest[0].Time)) // a clock may have been set back
		}
	}
	s.State = s.state()
	return s, nil
}

func (s Status) state() State {
	switch {
	case s.Control.Halt != nil:
		return StateHalted
	case s.Control.Paused:
		return StatePaused
	case s.Replay != nil, s.Stored.Version != s.Version:
		return StateRebuilding
	case s.LagTime > catchingUpAge:
		return StateCatchingUp
	}
	return StateLive
}
