package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/cinelog/cinelog/commands"
)

// Tasks keeps the tasks sent until they are taken, for tests.
type Tasks struct {
	mu   sync.Mutex
	sent []commands.Task
}

var _ commands.Tasks = (*Tasks)(nil)

// Send implements commands.Tasks.
func (t *Tasks) Send(ctx context.Context, tasks ...commands.Task) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = append(t.sent, tasks...)
	return nil
}

// Take returns all tasks sent since the last call, those with a higher priority first.
func (t *Tasks) Take() []commands.Task {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.sent
	t.sent = nil
	slices.SortStableFunc(taken, func(a, b commands.Task) int { return b.Priority - a.Priority })
	return taken
}
