package web

import (
	"context"
	"math"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

type searchInput struct {
	QueryHeaders

	Q             string            `query:"q" doc:"Every word must match, as a prefix; case and accents do not matter. Up to 200 characters"`
	Tags          []string          `query:"tag,explode" doc:"Has this tag; repeat for several"`
	Metadata      map[string]string `query:"metadata,deepObject" doc:"metadata[key]=value: has this entry"`
	Status        string            `query:"status" enum:"waiting,processing,ready,failed"`
	Visibility    string            `query:"visibility" enum:"public,unlisted,private"`
	CreatedAfter  time.Time         `query:"created_after"`
	CreatedBefore time.Time         `query:"created_before"`
	MinDuration   float64           `query:"min_duration" minimum:"0" doc:"Seconds"`
	MaxDuration   float64           `query:"max_duration" minimum:"0" doc:"Seconds"`
	Sort          string            `query:"sort" enum:"relevance,created_at,-created_at,title,-title,duration,-duration" doc:"relevance where there is a q, else newest first"`
	Limit         int               `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Cursor        string            `query:"cursor" doc:"next_cursor of the page before" maxLength:"2000"`
	Facets        []string          `query:"facets" enum:"tag,status" doc:"Count all results by these"`
}

// Resolve checks what a schema cannot say.
func (in *searchInput) Resolve(ctx huma.Context) []error {
	var bad []error
	refuse := func(name, message string) {
		bad = append(bad, &huma.ErrorDetail{Location: "query." + name, Message: message})
	}
	address := ctx.URL()
	for name, values := range address.Query() {
		if len(values) > 1 && name != "tag" {
			refuse(name, "stands there twice")
		}
	}
	if utf8.RuneCountInString(in.Q) > projections.MaxQueryLength {
		refuse("q", "at most 200 characters")
	}
	if in.Sort == string(projections.SortRelevance) && in.Q == "" {
		refuse("sort", "relevance needs a q")
	}
	for name, d := range map[string]float64{"min_duration": in.MinDuration, "max_duration": in.MaxDuration} {
		if math.IsNaN(d) || math.IsInf(d, 0) {
			refuse(name, "must be a number of seconds")
		}
	}
	if len(in.Tags) > domain.MaxTags {
		refuse("tag", "too many")
	}
	if len(in.Metadata) > domain.MaxMetadata {
		refuse("metadata", "too many")
	}
	return bad
}

type searchOutput struct {
	Body struct {
		Items      []VideoAnswer            `json:"items" nullable:"false"`
		NextCursor string                   `json:"next_cursor,omitempty" doc:"Not there on the last page"`
		Facets     map[string][]facetAnswer `json:"facets,omitempty"`
	}
}

type facetAnswer struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

func (s *Server) search(ctx context.Context, in *searchInput) (*searchOutput, error) {
	if err := s.fresh(ctx, in.QueryHeaders); err != nil {
		return nil, err
	}
	page, err := s.Catalog.Search(ctx, projections.Query{
		Text: in.Q, Tags: in.Tags, Metadata: in.Metadata, Status: domain.Status(in.Status),
		Visibility: domain.Visibility(in.Visibility), CreatedAfter: in.CreatedAfter, CreatedBefore: in.CreatedBefore,
		MinDuration: in.MinDuration, MaxDuration: in.MaxDuration, Sort: projections.Sort(in.Sort), Limit: in.Limit,
		Cursor: in.Cursor, Facets: in.Facets,
	})
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	out := &searchOutput{}
	out.Body.NextCursor = page.NextCursor
	out.Body.Items = make([]VideoAnswer, len(page.Items))
	for i, v := range page.Items {
		out.Body.Items[i] = answerVideo(v)
	}
	for name, counts := range page.Facets {
		if out.Body.Facets == nil {
			out.Body.Facets = map[string][]facetAnswer{}
		}
		answers := make([]facetAnswer, len(counts))
		for i, c := range counts {
			answers[i] = facetAnswer(c)
		}
		out.Body.Facets[name] = answers
	}
	return out, nil
}
