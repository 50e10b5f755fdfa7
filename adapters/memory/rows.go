package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Rows keeps the rows of a read model. Its rows share what they point to with the caller's; nobody may change that.
type Rows[R any] struct {
	mu   sync.RWMutex
	at   domain.Position
	rows map[string]R
}

var (
	_ projections.Rows[int]      = (*Rows[int])(nil)
	_ projections.RowReader[int] = (*Rows[int])(nil)
)

// NewRows returns a store without any row.
func NewRows[R any]() *Rows[R] { return &Rows[R]{rows: map[string]R{}} }

// Checkpoint implements projections.Rows.
func (s *Rows[R]) Checkpoint(ctx context.Context) (domain.Position, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.at, ctx.Err()
}

// Load implements projections.Rows.
func (s *Rows[R]) Load(ctx context.Context, keys []string) (map[string]R, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := map[string]R{}
	for _, k := range keys {
		if r, ok := s.rows[k]; ok {
			found[k] = r
		}
	}
	return found, ctx.Err()
}

// Save implements projections.Rows.
func (s *Rows[R]) Save(ctx context.Context, rows map[string]R, drop []string, from, to domain.Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != from {
		return fmt.Errorf("%w: the checkpoint is at %d, not %d", domain.ErrConflict, s.at, from)
	}
	for _, prefix := range drop {
		maps.DeleteFunc(s.rows, func(k string, _ R) bool { return strings.HasPrefix(k, prefix) })
	}
	maps.Copy(s.rows, rows)
	s.at = to
	return nil
}

// Scan implements projections.RowReader.
func (s *Rows[R]) Scan(ctx context.Context, prefix string) ([]R, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []R
	for _, k := range slices.Sorted(maps.Keys(s.rows)) {
		if strings.HasPrefix(k, prefix) {
			found = append(found, s.rows[k])
		}
	}
	return found, ctx.Err()
}
