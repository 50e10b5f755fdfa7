package sqlite

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// buildBatches are how many events a build folds at once, and of how many it writes the rows at once. Events are much to hold
// in memory, and folding them is one step; a video that is changed again before it is written is stored once.
type buildBatches struct{ fold, write int }

const (
	foldBatch    = 500
	rebuildBatch = 5000
)

// gathered are the rows of a build. What is saved is kept until there is much of it and then written, on the other CPU where
// nobody waits for that. So the checkpoint that is stored stands behind, which only a build may do: nobody sees it, and one
// that is cut off goes on where it stands.
type gathered[R any] struct {
	*generationRows[R]

	most   int  // events that are gathered
	beside bool // what is written is written while more is folded

	folded  gathering[R]
	writing gathering[R]
	written chan error // of writing; nil when nothing is
}

// gathering is what several saves come to.
type gathering[R any] struct {
	rows     map[string]R
	drop     []string
	from, to domain.Position
}

func (s *gathering[R]) add(rows map[string]R, drop []string, from, to domain.Position) {
	if s.rows == nil {
		s.rows, s.from = map[string]R{}, from
	}
	for _, prefix := range drop {
		maps.DeleteFunc(s.rows, func(key string, _ R) bool { return strings.HasPrefix(key, prefix) })
	}
	s.drop = append(s.drop, drop...)
	maps.Copy(s.rows, rows)
	s.to = to
}

// find returns what becomes of a row; known is false where it stays as it is.
func (s *gathering[R]) find(key string) (row R, exists, known bool) {
	if row, exists = s.rows[key]; exists {
		return row, true, true
	}
	return row, false, slices.ContainsFunc(s.drop, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// Load implements projections.Rows.
func (g *gathered[R]) Load(ctx context.Context, keys []string) (map[string]R, error) {
	found := map[string]R{}
	stored := make([]string, 0, len(keys))
	for _, key := range keys {
		row, exists, known := g.folded.find(key)
		if !known {
			row, exists, known = g.writing.find(key)
		}
		switch {
		case !known:
			stored = append(stored, key)
		case exists:
			found[key] = row
		}
	}
	if len(stored) == 0 {
		return found, nil
	}
	more, err := g.generationRows.Load(ctx, stored)
	maps.Copy(found, more)
	return found, err
}

// Save implements projections.Rows, but for the moment at which it stores.
func (g *gathered[R]) Save(ctx context.Context, rows map[string]R, drop []string, from, to domain.Position) error {
	g.folded.add(rows, drop, from, to)
	if int(g.folded.to-g.folded.from) < g.most {
		return nil
	}
	return g.write(ctx)
}

// write begins to write what is folded, when what was being written is stored.
func (g *gathered[R]) write(ctx context.Context) error {
	if err := g.wait(); err != nil || g.folded.rows == nil {
		return err
	}
	s := g.folded
	g.folded = gathering[R]{}
	if !g.beside {
		return g.generationRows.Save(ctx, s.rows, s.drop, s.from, s.to)
	}
	written := make(chan error, 1)
	g.writing, g.written = s, written
	go func() { // whoever folds may end before
		written <- g.generationRows.Save(context.WithoutCancel(ctx), s.rows, s.drop, s.from, s.to)
	}()
	return nil
}

func (g *gathered[R]) wait() error {
	if g.written == nil {
		return nil
	}
	err := <-g.written
	g.written, g.writing = nil, gathering[R]{}
	return err
}

// store writes all that is folded, and waits for it. After an error of whoever folds, what is folded is forgotten.
func (g *gathered[R]) store(ctx context.Context, failed error) error {
	if failed == nil {
		failed = g.write(ctx)
	}
	g.folded = gathering[R]{}
	if err := g.wait(); failed == nil {
		return err
	}
	return failed
}
