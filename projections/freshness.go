package projections

import (
	"context"
	"sync"

	"github.com/cinelog/cinelog/domain"
)

// Freshness lets queries wait until a read model has reached a position, so that a client reads its own writes.
type Freshness struct {
	mu      sync.Mutex
	at      domain.Position
	changed chan struct{} // closed and replaced when at grows
}

// NewFreshness starts at position 0.
func NewFreshness() *Freshness { return &Freshness{changed: make(chan struct{})} }

// Advance says that the read model has reached pos; a smaller one than before changes nothing.
func (f *Freshness) Advance(pos domain.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if pos <= f.at {
		return
	}
	f.at = pos
	close(f.changed)
	f.changed = make(chan struct{})
}

// Position is the newest one that Advance was told.
func (f *Freshness) Position() domain.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// Wait returns nil once the read model has reached least, or ctx's error when that ends first.
func (f *Freshness) Wait(ctx context.Context, least domain.Position) error {
	for {
		f.mu.Lock()
		at, changed := f.at, f.changed
		f.mu.Unlock()
		if at >= least {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
