package projections

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/cinelog/cinelog/domain"
)

// NewReadModel returns the Target that keeps rows as m says. Rows and checkpoint are saved together, so an event is
// never applied twice. It remembers the rows of the last batches: a rebuild would read most of them again and again.
func NewReadModel[R any](m Model[R], rows Rows[R]) Target {
	return &readModel[R]{model: m, rows: rows, cached: remembered[R]{now: map[string]R{}}}
}

type readModel[R any] struct {
	model Model[R]
	rows  Rows[R]

	mu     sync.Mutex
	at     domain.Position // cached is as of here
	cached remembered[R]   // what is stored; a zero row for a key that has none
}

// Checkpoint also forgets the cached rows: whoever asks where to begin may find another build of the rows.
func (m *readModel[R]) Checkpoint(ctx context.Context) (domain.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cached.clear()
	return m.rows.Checkpoint(ctx)
}

func (m *readModel[R]) Apply(ctx context.Context, events []domain.Recorded) (err error) {
	if len(events) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var at domain.Position // of the event that the model has in hand
	defer func() {
		if p := recover(); p != nil { // a fault of this read model alone: it halts here, the others go on
			m.cached.clear()
			err = &PanicError{Model: m.model.Name, Position: at, Value: p, Stack: debug.Stack()}
		}
	}()
	from, to := events[0].Position-1, events[len(events)-1].Position
	if from != m.at {
		m.cached.clear()
	}
	m.cached.age()
	events = Given(events, m.model.Skip)
	if err := m.load(ctx, events, &at); err != nil {
		return err
	}
	changed, drop := m.fold(events, &at)
	at = 0
	if err := m.rows.Save(ctx, changed, drop, from, to); err != nil {
		m.cached.clear()
		return fmt.Errorf("%s at %d: %w", m.model.Name, from, err)
	}
	m.at = to
	return nil
}

// load brings the rows that events change into the cache.
func (m *readModel[R]) load(ctx context.Context, events []domain.Recorded, at *domain.Position) error {
	var missing []string
	var zero R
	for _, e := range events {
		*at = e.Position
		for _, k := range m.model.Keys(e) {
			if _, ok := m.cached.get(k); !ok {
				missing = append(missing, k)
				m.cached.put(k, zero)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	rows, err := m.rows.Load(ctx, missing)
	if err != nil {
		m.cached.clear()
		return fmt.Errorf("load %d rows of %s: %w", len(missing), m.model.Name, err)
	}
	maps.Copy(m.cached.now, rows)
	return nil
}

// fold applies events to the cached rows and returns what is to be saved. An event removes rows before it changes
// any.
func (m *readModel[R]) fold(events []domain.Recorded, at *domain.Position) (changed map[string]R, drop []string) {
	changed = map[string]R{}
	var zero R
	for _, e := range events {
		*at = e.Position
		if m.model.Drop != nil {
			for _, prefix := range m.model.Drop(e) {
				drop = append(drop, prefix)
				m.cached.each(func(k string) {
					if strings.HasPrefix(k, prefix) {
						m.cached.put(k, zero)
						delete(changed, k)
					}
				})
			}
		}
		for _, k := range m.model.Keys(e) {
			row, _ := m.cached.get(k)
			row = m.model.Fold(k, row, e)
			m.cached.put(k, row)
			changed[k] = row
		}
	}
	return changed, drop
}

// PanicError is the error of a model that panicked.
type PanicError struct {
	Model    string
	Position domain.Position // of the event that it had in hand; 0 for none
	Value    any
	Stack    []byte
}

func (p *PanicError) Error() string {
	if p.Position == 0 {
		return fmt.Sprintf("%s panicked: %v", p.Model, p.Value)
	}
	return fmt.Sprintf("%s panicked on event %d: %v", p.Model, p.Position, p.Value)
}
