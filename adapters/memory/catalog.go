package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Catalog looks at every video for every query: it shows what the answers must be, not how to find them quickly.
type Catalog struct{ *Rows[projections.Video] }

var _ projections.Catalog = (*Catalog)(nil)

// NewCatalog returns an empty catalog.
func NewCatalog() *Catalog { return &Catalog{NewRows[projections.Video]()} }

// Video implements projections.Catalog.
func (c *Catalog) Video(ctx context.Context, id domain.VideoID) (projections.Video, error) {
	return projections.LiveVideo(ctx, c, id)
}

// Search implements projections.Catalog.
func (c *Catalog) Search(ctx context.Context, q projections.Query) (projections.Page, error) {
	s, err := q.Check()
	if err != nil {
		return projections.Page{}, err
	}
	all, err := c.Scan(ctx, "")
	if err != nil {
		return projections.Page{}, err
	}
	type hit struct {
		projections.Video

		place projections.Place
	}
	var hits []hit
	var found []projections.Video
	for _, v := range all {
		if p, ok := s.Match(v); ok {
			found = append(found, v)
			if s.After == nil || s.Compare(p, *s.After) > 0 {
				hits = append(hits, hit{v, p})
			}
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return s.Compare(a.place, b.place) })
	page := projections.Page{Facets: facets(s, found)}
	for i, h := range hits {
		if i == s.Limit {
			page.NextCursor, err = s.Cursor(hits[i-1].place)
			break
		}
		page.Items = append(page.Items, h.Video)
	}
	return page, err
}

func facets(s projections.Search, found []projections.Video) map[string][]projections.FacetCount {
	if len(s.Facets) == 0 {
		return nil
	}
	answer := map[string][]projections.FacetCount{}
	for _, name := range s.Facets {
		counts := map[string]int{}
		for _, v := range found {
			if name == projections.FacetStatus {
				counts[string(v.Status)]++
				continue
			}
			for _, t := range v.Details.Tags {
				counts[t]++
			}
		}
		list := make([]projections.FacetCount, 0, len(counts))
		for value, n := range counts {
			list = append(list, projections.FacetCount{Value: value, Count: n})
		}
		slices.SortFunc(list, func(a, b projections.FacetCount) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
		})
		answer[name] = list[:min(len(list), projections.MaxFacetValues)]
	}
	return answer
}
