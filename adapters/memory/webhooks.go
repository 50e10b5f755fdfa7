package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

// Webhooks is a store of webhooks that lives as long as the process does.
type Webhooks struct {
	mu         sync.Mutex
	endpoints  map[string]webhooks.Endpoint
	cursors    map[string]webhooks.Cursor
	deliveries map[string]map[domain.Position]webhooks.Delivery
	leased     map[string]bool
}

var _ webhooks.Store = (*Webhooks)(nil)

// NewWebhooks returns an empty store.
func NewWebhooks() *Webhooks {
	return &Webhooks{
		endpoints: map[string]webhooks.Endpoint{}, cursors: map[string]webhooks.Cursor{},
		deliveries: map[string]map[domain.Position]webhooks.Delivery{}, leased: map[string]bool{},
	}
}

// Create implements webhooks.Store.
func (s *Webhooks) Create(ctx context.Context, e webhooks.Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints[e.ID] = e
	return ctx.Err()
}

// Endpoint implements webhooks.Store.
func (s *Webhooks) Endpoint(ctx context.Context, id string) (webhooks.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.endpoints[id]
	if !ok {
		return e, fmt.Errorf("endpoint %s: %w", id, domain.ErrNotFound)
	}
	return e, ctx.Err()
}

// Endpoints implements webhooks.Store.
func (s *Webhooks) Endpoints(ctx context.Context) ([]webhooks.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.endpoints), func(a, b webhooks.Endpoint) int { return strings.Compare(a.ID, b.ID) }), ctx.Err()
}

// Update implements webhooks.Store.
func (s *Webhooks) Update(ctx context.Context, e webhooks.Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	there, ok := s.endpoints[e.ID]
	switch {
	case !ok:
		return fmt.Errorf("endpoint %s: %w", e.ID, domain.ErrNotFound)
	case there.Version != e.Version-1:
		return fmt.Errorf("endpoint %s: %w", e.ID, domain.ErrConflict)
	}
	s.endpoints[e.ID] = e
	return ctx.Err()
}

// Remove implements webhooks.Store.
func (s *Webhooks) Remove(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.endpoints[id]; !ok {
		return fmt.Errorf("endpoint %s: %w", id, domain.ErrNotFound)
	}
	delete(s.endpoints, id)
	delete(s.cursors, id)
	delete(s.deliveries, id)
	return ctx.Err()
}

// Cursor implements webhooks.Store.
func (s *Webhooks) Cursor(ctx context.Context, id string) (webhooks.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[id], ctx.Err()
}

// Advance implements webhooks.Store.
func (s *Webhooks) Advance(ctx context.Context, id string, to webhooks.Cursor, deliveries []webhooks.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.cursors[id] = to
	of := s.deliveries[id]
	if of == nil {
		of = map[domain.Position]webhooks.Delivery{}
		s.deliveries[id] = of
	}
	for _, d := range deliveries {
		if there, ok := of[d.Position]; !ok || there.Round < d.Round {
			of[d.Position] = d
		}
	}
	return nil
}

// Record implements webhooks.Store.
func (s *Webhooks) Record(ctx context.Context, d webhooks.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there, ok := s.deliveries[d.Endpoint][d.Position]; ok && there.Round <= d.Round {
		s.deliveries[d.Endpoint][d.Position] = d
	}
	return ctx.Err()
}

// Pending implements webhooks.Store.
func (s *Webhooks) Pending(ctx context.Context, id string, limit int) ([]webhooks.Delivery, error) {
	found := s.find(id, func(d webhooks.Delivery) bool { return d.Status == webhooks.Pending })
	return found[:min(limit, len(found))], ctx.Err()
}

// Delivery implements webhooks.Store.
func (s *Webhooks) Delivery(ctx context.Context, id string, p domain.Position) (webhooks.Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.deliveries[id][p]
	if !ok {
		return d, fmt.Errorf("delivery of %d to %s: %w", p, id, domain.ErrNotFound)
	}
	return d, ctx.Err()
}

// Deliveries implements webhooks.Store.
func (s *Webhooks) Deliveries(
	ctx context.Context, id string, status webhooks.Status, before domain.Position, limit int,
) ([]webhooks.Delivery, error) {
	found := s.find(id, func(d webhooks.Delivery) bool {
		return (status == "" || d.Status == status) && (before == 0 || d.Position < before)
	})
	slices.Reverse(found)
	return found[:min(limit, len(found))], ctx.Err()
}

// find returns what ok says, by position.
func (s *Webhooks) find(id string, ok func(webhooks.Delivery) bool) (found []webhooks.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range slices.Sorted(maps.Keys(s.deliveries[id])) {
		if d := s.deliveries[id][p]; ok(d) {
			found = append(found, d)
		}
	}
	return found
}

// Prune implements webhooks.Store.
func (s *Webhooks) Prune(ctx context.Context, id string, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.deliveries[id], func(_ domain.Position, d webhooks.Delivery) bool {
		return d.Status != webhooks.Pending && d.Last.Before(before)
	})
	return ctx.Err()
}

// Lease implements webhooks.Store.
func (s *Webhooks) Lease(ctx context.Context, id string) (context.Context, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leased[id] {
		return nil, nil, fmt.Errorf("the lease of %s: %w", id, domain.ErrConflict)
	}
	s.leased[id] = true
	return ctx, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.leased, id)
	}), nil
}
