package projections

import (
	"context"

	"github.com/cinelog/cinelog/domain"
)

// Model says how events become the rows of a read model: which rows an event touches and what becomes of them. It is
// pure, so the same events always give the same rows.
type Model[R any] struct {
	Name string
	// Version changes with the meaning of the rows: a read model of another version is rebuilt.
	Version int
	// Keys names the rows that an event changes.
	Keys func(domain.Recorded) []string
	// Fold returns the row after the event; row is the zero value when there was none.
	Fold func(key string, row R, e domain.Recorded) R
	// Drop names prefixes of keys whose rows the event removes; nil when no event does.
	Drop func(domain.Recorded) []string
	// Skip names events that the model is not given; nil when it gets all.
	Skip func(domain.Position) bool
}

// RowReader reads the rows of a read model that keeps them under keys.
type RowReader[R any] interface {
	// Scan returns the rows whose key begins with prefix, in the order of the keys.
	Scan(ctx context.Context, prefix string) ([]R, error)
}
