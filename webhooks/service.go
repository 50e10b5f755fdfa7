package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// Service is what owners of endpoints ask for.
type Service struct {
	Store Store
	Log   Log
	Now   func() time.Time
	// Sender sends tests.
	Sender Sender
	// CheckURL says whether an address may be sent to: nil, or an ErrInvalid that says what is wrong with it.
	CheckURL func(ctx context.Context, url string) error
	// Changed is told of each change, to wake the dispatcher where it is in this process; may be nil. It must not block.
	Changed func()
}

// NewEndpoint is what an owner says about an endpoint.
type NewEndpoint struct {
	URL         string
	Types       []string
	Description string
	Enabled     bool
	From        *domain.Position // the first event to be told of; the next one when nil
}

// Create adds an endpoint, and returns it with its secret, which is not shown again.
// ErrInvalid; ErrNotAllowed when there are as many as may be.
func (s *Service) Create(ctx context.Context, n NewEndpoint) (Endpoint, string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("make an id: %w", err)
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	e := Endpoint{
		ID: id.String(), URL: n.URL, Types: n.Types, Description: n.Description, Enabled: n.Enabled,
		Created: now, Changed: now, Version: 1,
	}
	if err := s.check(ctx, e, true); err != nil {
		return Endpoint{}, "", err
	}
	if e.Start, err = s.start(ctx, n.From, 1); err != nil {
		return Endpoint{}, "", err
	}
	there, err := s.Store.Endpoints(ctx)
	if err != nil {
		return Endpoint{}, "", err
	}
	if len(there) >= MaxEndpoints {
		return Endpoint{}, "", fmt.Errorf("%w: there are %d endpoints already", domain.ErrNotAllowed, len(there))
	}
	secret := e.rotate(now)
	if err := s.Store.Create(ctx, e); err != nil {
		return Endpoint{}, "", err
	}
	s.changed()
	return e, secret, nil
}

// start is where telling begins so that the event at from is the first.
func (s *Service) start(ctx context.Context, from *domain.Position, round int) (Cursor, error) {
	head, err := s.Log.Head(ctx)
	switch {
	case err != nil:
		return Cursor{}, err
	case from == nil:
		return Cursor{Round: round, Position: head}, nil
	case *from < 1 || *from > head+1:
		return Cursor{}, &domain.Invalid{Fields: []domain.FieldError{
			{Field: "from", Message: fmt.Sprintf("must be a position from 1 to %d, the next one", head+1)},
		}}
	}
	return Cursor{Round: round, Position: *from - 1}, nil
}

func (s *Service) check(ctx context.Context, e Endpoint, address bool) error {
	wrong := e.check()
	if address && e.URL != "" && len(e.URL) <= maxURL {
		err := s.CheckURL(ctx, e.URL)
		switch {
		case errors.Is(err, domain.ErrInvalid):
			wrong = append(wrong, domain.FieldError{Field: "url", Message: err.Error()})
		case err != nil:
			return err
		}
	}
	if len(wrong) > 0 {
		return &domain.Invalid{Fields: wrong}
	}
	return nil
}

func (s *Service) changed() {
	if s.Changed != nil {
		s.Changed()
	}
}

// Endpoint returns one. ErrNotFound.
func (s *Service) Endpoint(ctx context.Context, id string) (Endpoint, error) {
	return s.Store.Endpoint(ctx, id)
}

// Endpoints returns all, oldest first.
func (s *Service) Endpoints(ctx context.Context) ([]Endpoint, error) { return s.Store.Endpoints(ctx) }

// Remove ends telling an endpoint anything. ErrNotFound.
func (s *Service) Remove(ctx context.Context, id string) error {
	if err := s.Store.Remove(ctx, id); err != nil {
		return err
	}
	s.changed()
	return nil
}

// Change is what to change; nil leaves as it is.
type Change struct {
	URL         *string
	Types       *[]string
	Description *string
	Enabled     *bool
}

// Change changes an endpoint. Events that were looked at before stay wanted, or not. ErrNotFound, ErrInvalid.
func (s *Service) Change(ctx context.Context, id string, c Change) (Endpoint, error) {
	return s.update(ctx, id, func(e *Endpoint) error {
		set(&e.URL, c.URL)
		set(&e.Types, c.Types)
		set(&e.Description, c.Description)
		set(&e.Enabled, c.Enabled)
		if c.Enabled != nil {
			e.Reason = ""
		}
		return s.check(ctx, *e, c.URL != nil)
	})
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Rotate gives an endpoint a new secret, and returns it. The one before signs beside it for SecretOverlap. ErrNotFound.
func (s *Service) Rotate(ctx context.Context, id string) (e Endpoint, secret string, err error) {
	e, err = s.update(ctx, id, func(e *Endpoint) error {
		e.Secrets = slices.Clone(e.Secrets)
		secret = e.rotate(s.Now().UTC().Truncate(time.Microsecond))
		return nil
	})
	return e, secret, err
}

// Redeliver makes a delivery pending again, as if it had not been tried. ErrNotFound.
func (s *Service) Redeliver(ctx context.Context, id, delivery string) error {
	of, p, ok := ParseDeliveryID(delivery)
	if !ok || of != id {
		return fmt.Errorf("delivery %q: %w", delivery, domain.ErrNotFound)
	}
	d, err := s.Store.Delivery(ctx, id, p)
	if err != nil {
		return err
	}
	d.again(s.Now().UTC().Truncate(time.Microsecond))
	if err := s.Store.Record(ctx, d); err != nil {
		return err
	}
	_, err = s.update(ctx, id, func(*Endpoint) error { return nil })
	return err
}

// RedeliverFrom tells an endpoint of everything again that it wants, from a position on. ErrNotFound, ErrInvalid.
func (s *Service) RedeliverFrom(ctx context.Context, id string, from domain.Position) error {
	_, err := s.update(ctx, id, func(e *Endpoint) (err error) {
		e.Start, err = s.start(ctx, &from, e.Start.Round+1)
		return err
	})
	return err
}

// Deliveries returns those of an endpoint before a position (0: all), newest first, up to limit; with a status where
// that is not empty. ErrNotFound.
func (s *Service) Deliveries(ctx context.Context, id string, status Status, before domain.Position, limit int) ([]Delivery, error) {
	if _, err := s.Store.Endpoint(ctx, id); err != nil {
		return nil, err
	}
	return s.Store.Deliveries(ctx, id, status, before, limit)
}

// triesOnConflict is how often a change is made again because somebody else was faster.
const triesOnConflict = 10

func (s *Service) update(ctx context.Context, id string, change func(*Endpoint) error) (Endpoint, error) {
	e, err := update(ctx, s.Store, id, s.Now(), change)
	if err == nil {
		s.changed()
	}
	return e, err
}

func update(ctx context.Context, store Store, id string, now time.Time, change func(*Endpoint) error) (Endpoint, error) {
	for range triesOnConflict {
		e, err := store.Endpoint(ctx, id)
		if err != nil {
			return Endpoint{}, err
		}
		if err := change(&e); err != nil {
			return Endpoint{}, err
		}
		e.Version, e.Changed = e.Version+1, now.UTC().Truncate(time.Microsecond)
		if err = store.Update(ctx, e); err == nil || !errors.Is(err, domain.ErrConflict) {
			return e, err
		}
	}
	return Endpoint{}, fmt.Errorf("%w: others change endpoint %s all the time", domain.ErrUnavailable, id)
}
