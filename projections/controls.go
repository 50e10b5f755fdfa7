package projections

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Control is what people have said about a projection, and what it has last said of itself.
type Control struct {
	Paused      bool
	PausedSince time.Time
	Resumed     int64  // how often it was told to go on: one that has halted tries again when this grows
	Skips       []Skip // in the order of their positions
	Halt        *Halt  // why it does not go on; nil while it does
}

// Skip is an event that is not given to a projection, neither live nor in a rebuild, and why.
type Skip struct {
	Position domain.Position
	Reason   string
	Time     time.Time
}

// Halt is an event that a projection cannot apply.
type Halt struct {
	Position domain.Position
	Type     string // of the event; empty where the event itself cannot be read
	Video    domain.VideoID
	Error    string
	Since    time.Time
}

// Controls keep what is said about projections, for good: what was said is on disk when a call returns. Any number of
// processes may ask and say. Every adapter passes contract.Controls.
type Controls interface {
	// Control returns all that is known of a projection; the zero value where nobody has said anything.
	Control(ctx context.Context, projection string) (Control, error)
	// Pause stops a projection. One that is paused already stays so, since then.
	Pause(ctx context.Context, projection string, now time.Time) error
	// Resume ends a pause, and has a projection that has halted try again.
	Resume(ctx context.Context, projection string) error
	// Skip adds an event to those that are not given to a projection. One that is among them already stays as it is.
	Skip(ctx context.Context, projection string, s Skip) error
	// Halted says where a projection has halted, or with nil that it goes on. The same position again keeps Since.
	Halted(ctx context.Context, projection string, h *Halt) error
}

// Skips is a set of positions that can be asked while it changes.
type Skips struct {
	set atomic.Pointer[map[domain.Position]bool]
}

// Set replaces the positions.
func (s *Skips) Set(skips []Skip) {
	set := make(map[domain.Position]bool, len(skips))
	for _, k := range skips {
		set[k.Position] = true
	}
	s.set.Store(&set)
}

// Has tells whether an event is skipped.
func (s *Skips) Has(p domain.Position) bool {
	set := s.set.Load()
	return set != nil && (*set)[p]
}

// Given returns the events without those that skip names; skip may be nil.
func Given(events []domain.Recorded, skip func(domain.Position) bool) []domain.Recorded {
	if skip == nil {
		return events
	}
	for i, e := range events {
		if !skip(e.Position) {
			continue
		}
		given := append([]domain.Recorded{}, events[:i]...)
		for _, e := range events[i+1:] {
			if !skip(e.Position) {
				given = append(given, e)
			}
		}
		return given
	}
	return events
}
