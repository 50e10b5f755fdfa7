package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cinelog/cinelog/projections"
)

// Controls keep what is said about projections until the process ends.
type Controls struct {
	mu   sync.Mutex
	said map[string]projections.Control
}

var _ projections.Controls = (*Controls)(nil)

// Control implements projections.Controls.
func (c *Controls) Control(ctx context.Context, projection string) (projections.Control, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said[projection]
	said.Skips = slices.Clone(said.Skips)
	return said, ctx.Err()
}

// Pause implements projections.Controls.
func (c *Controls) Pause(ctx context.Context, projection string, now time.Time) error {
	return c.say(ctx, projection, func(said *projections.Control) {
		if !said.Paused {
			said.Paused, said.PausedSince = true, now.UTC().Truncate(time.Microsecond)
		}
	})
}

// Resume implements projections.Controls.
func (c *Controls) Resume(ctx context.Context, projection string) error {
	return c.say(ctx, projection, func(said *projections.Control) {
		said.Paused, said.PausedSince = false, time.Time{}
		said.Resumed++
	})
}

// Skip implements projections.Controls.
func (c *Controls) Skip(ctx context.Context, projection string, s projections.Skip) error {
	return c.say(ctx, projection, func(said *projections.Control) {
		at, found := slices.BinarySearchFunc(said.Skips, s, func(a, b projections.Skip) int { return cmp.Compare(a.Position, b.Position) })
		if !found {
			s.Time = s.Time.UTC().Truncate(time.Microsecond)
			said.Skips = slices.Insert(slices.Clone(said.Skips), at, s)
		}
	})
}

// Halted implements projections.Controls.
func (c *Controls) Halted(ctx context.Context, projection string, h *projections.Halt) error {
	return c.say(ctx, projection, func(said *projections.Control) {
		if h == nil {
			said.Halt = nil
			return
		}
		halt := *h
		halt.Since = h.Since.UTC().Truncate(time.Microsecond)
		if said.Halt != nil && said.Halt.Position == h.Position {
			halt.Since = said.Halt.Since
		}
		said.Halt = &halt
	})
}

func (c *Controls) say(ctx context.Context, projection string, change func(*projections.Control)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said == nil {
		c.said = map[string]projections.Control{}
	}
	said := c.said[projection]
	change(&said)
	c.said[projection] = said
	return nil
}
