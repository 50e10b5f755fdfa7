package projections

import (
	"context"

	"github.com/cinelog/cinelog/domain"
)

// VideoIndex is what a store answers a Search with, at one moment where it can.
type VideoIndex interface {
	// Facets counts all results.
	Facets(ctx context.Context, s Search) (map[string][]FacetCount, error)
	// OnLevel returns the results of a level without those of the levels before it, the newest first, up to limit.
	// Only those that were created before a position, if that is not 0.
	OnLevel(ctx context.Context, s Search, level Level, before domain.Position, limit int) ([]Video, error)
	// Sorted returns results in the order of s, which is by a field, from s.After on, up to limit.
	Sorted(ctx context.Context, s Search, limit int) ([]Video, error)
}

// Page answers s from an index.
func (s Search) Page(ctx context.Context, index VideoIndex) (page Page, err error) {
	if page.Facets, err = index.Facets(ctx, s); err != nil || (s.HasText && len(s.Words) == 0) {
		return page, err
	}
	last := Level(0)
	if s.Sort == SortRelevance {
		page.Items, last, err = s.byRelevance(ctx, index)
	} else {
		page.Items, err = index.Sorted(ctx, s, s.Limit+1)
	}
	if err != nil || len(page.Items) <= s.Limit {
		return page, err
	}
	page.Items = page.Items[:s.Limit]
	page.NextCursor, err = s.Cursor(s.Place(page.Items[s.Limit-1], last))
	return page, err
}

// byRelevance goes through the levels until it has one item more than asked for. last is the level of the last item
// that is asked for.
func (s Search) byRelevance(ctx context.Context, index VideoIndex) (items []Video, last Level, err error) {
	first, before := LevelTitleExact, domain.Position(0)
	if s.After != nil {
		first, before = s.After.Level, s.After.Created
	}
	for level := first; level < Levels && len(items) <= s.Limit; level++ {
		more, err := index.OnLevel(ctx, s, level, before, s.Limit+1-len(items))
		if err != nil {
			return nil, 0, err
		}
		before = 0
		if len(items) < s.Limit && len(more) > 0 {
			last = level
		}
		items = append(items, more...)
	}
	return items, last, nil
}
