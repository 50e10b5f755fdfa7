package projections

import (
	"context"

	"github.com/cinelog/cinelog/domain"
)

// Log is the part of the event log that the read side needs. Reading it never changes anything.
type Log interface {
	// ReadAfter returns up to limit events with a position above after, in order, none left out. Fewer than limit:
	// the head was there. Every adapter passes contract.EventLog.
	ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error)
	// Head returns the position of the newest event, 0 for an empty log.
	Head(ctx context.Context) (domain.Position, error)
}

// Target is what CatchUp feeds: a read model, or a relay whose effect is to publish.
type Target interface {
	// Checkpoint returns the position up to which everything is applied; 0 before the first event.
	Checkpoint(ctx context.Context) (domain.Position, error)
	// Apply applies consecutive events, the first of them right after the checkpoint, and moves the checkpoint to the
	// last. When it returns nil both are stored. After an error, or a crash, neither or (for effects that cannot be
	// undone) only the effect is: the same events come again, so applying twice must equal applying once.
	// ErrConflict, and nothing is done, when the checkpoint is elsewhere, or t was rebuilt since Checkpoint was asked:
	// callers may come long after they asked.
	Apply(ctx context.Context, events []domain.Recorded) error
}

// Rows keeps one read model's rows: any number of them, each under a key. R is the row's type.
type Rows[R any] interface {
	Checkpoint(ctx context.Context) (domain.Position, error)
	// Load returns the rows that exist among keys.
	Load(ctx context.Context, keys []string) (map[string]R, error)
	// Save stores rows, removes every row whose key begins with one of drop (drop first, then rows), and moves the
	// checkpoint from from to to, all at once. ErrConflict when the checkpoint is not at from: another process
	// was faster, load again. ErrConflict too when the rows were rebuilt since Checkpoint was asked.
	Save(ctx context.Context, rows map[string]R, drop []string, from, to domain.Position) error
}
