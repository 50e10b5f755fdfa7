package webhooks

import (
	"context"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Log is the event log as the dispatcher reads it; projections.Log has the contract.
type Log interface {
	ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error)
	Head(ctx context.Context) (domain.Position, error)
}

// Store keeps endpoints and their deliveries, so that what was acknowledged is on disk. Every method may fail with
// ErrUnavailable. Every adapter passes contract.Webhooks.
type Store interface {
	// Create stores a new endpoint.
	Create(ctx context.Context, e Endpoint) error
	// Endpoint returns one. ErrNotFound.
	Endpoint(ctx context.Context, id string) (Endpoint, error)
	// Endpoints returns all, oldest first.
	Endpoints(ctx context.Context) ([]Endpoint, error)
	// Update stores a changed endpoint whose Version is one more than the stored one's; otherwise ErrConflict. ErrNotFound.
	Update(ctx context.Context, e Endpoint) error
	// Remove deletes an endpoint with all that is kept of it. ErrNotFound.
	Remove(ctx context.Context, id string) error

	// Cursor returns how far an endpoint has come; the zero value for one that was never advanced.
	Cursor(ctx context.Context, id string) (Cursor, error)
	// Advance stores deliveries and moves the cursor; after an error the deliveries may be stored and the cursor not moved, and
	// the same call may be made again. A delivery that is there already is replaced by one of a greater round only. What is
	// given for an endpoint that was removed is nothing, or is gone with the next Remove of it.
	Advance(ctx context.Context, id string, to Cursor, deliveries []Delivery) error
	// Record stores what became of a delivery, unless it is of a later round by now, or is gone.
	Record(ctx context.Context, d Delivery) error

	// Pending returns the pending deliveries of an endpoint, up to limit, by position.
	Pending(ctx context.Context, id string, limit int) ([]Delivery, error)
	// Delivery returns one. ErrNotFound.
	Delivery(ctx context.Context, id string, p domain.Position) (Delivery, error)
	// Deliveries returns those of an endpoint before a position (0: all), newest first, up to limit; with a status where
	// that is not empty.
	Deliveries(ctx context.Context, id string, status Status, before domain.Position, limit int) ([]Delivery, error)
	// Prune forgets deliveries of an endpoint that are not pending and were last tried before a moment: all, or the oldest
	// ones of them.
	Prune(ctx context.Context, id string, before time.Time) error

	// Lease makes the caller the only one who delivers to an endpoint. ErrConflict: somebody else is. The context that it
	// returns ends with the lease; release ends it. Who lost it and does not know yet may do what two would do.
	Lease(ctx context.Context, id string) (held context.Context, release func(), err error)
}

// Message is what a receiver is sent.
type Message struct {
	ID   string
	Time time.Time // of this attempt
	Body []byte
}

// Sender sends messages. The result's error is fit to be shown to the endpoint's owner.
type Sender interface {
	Send(ctx context.Context, url string, keys []string, m Message) Result
}
