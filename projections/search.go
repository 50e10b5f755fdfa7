package projections

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cinelog/cinelog/domain"
)

// Facets that a query may ask for.
const (
	FacetTag    = "tag"
	FacetStatus = "status"
	// MaxFacetValues is how many values of one facet an answer holds: those with the most results, ties by value.
	MaxFacetValues = 100
)

const maxWords = 32

// Search is a Query that was checked, with its defaults filled in: what an adapter answers.
type Search struct {
	Query

	HasText bool     // there is a text to search for; one without any word finds nothing
	Words   []string // of the text, distinct
	After   *Place   // where the page begins; nil for the first one
}

// Place is where a video stands in an order: which fields count depends on the sort.
type Place struct {
	Level    Level           `json:"l,omitempty"`
	Title    string          `json:"t,omitempty"`
	Duration float64         `json:"d,omitempty"`
	Created  domain.Position `json:"c"`
}

// Check fills the defaults in, or returns an *Invalid that names every parameter that breaks a rule, by its name in
// the HTTP interface.
func (q Query) Check() (Search, error) {
	var bad []domain.FieldError
	refuse := func(field, format string, args ...any) {
		bad = append(bad, domain.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	s := Search{Query: q, HasText: strings.TrimSpace(q.Text) != ""}
	switch {
	case !utf8.ValidString(q.Text):
		refuse("q", "must be valid UTF-8")
	case utf8.RuneCountInString(q.Text) > MaxQueryLength:
		refuse("q", "at most %d characters", MaxQueryLength)
	default:
		if s.Words = distinct(Words(q.Text)); len(s.Words) > maxWords {
			refuse("q", "at most %d different words", maxWords)
		}
	}
	if len(q.Tags) > domain.MaxTags || slices.ContainsFunc(q.Tags, invalidText) {
		refuse("tag", "at most %d tags of valid UTF-8", domain.MaxTags)
	}
	if len(q.Metadata) > domain.MaxMetadata {
		refuse("metadata", "at most %d entries", domain.MaxMetadata)
	}
	for k, v := range q.Metadata {
		if invalidText(k) || invalidText(v) {
			refuse("metadata", "must be valid UTF-8")
			break
		}
	}
	if !slices.Contains([]domain.Status{
		"", domain.StatusWaiting, domain.StatusProcessing, domain.StatusReady, domain.StatusFailed,
	}, q.Status) {
		refuse("status", "must be waiting, processing, ready or failed")
	}
	if !slices.Contains([]domain.Visibility{"", domain.Public, domain.Unlisted, domain.Private}, q.Visibility) {
		refuse("visibility", "must be public, unlisted or private")
	}
	if !(q.MinDuration >= 0) || math.IsInf(q.MinDuration, 0) { // NaN too
		refuse("min_duration", "must be a number of seconds, not below 0")
	}
	if !(q.MaxDuration >= 0) || math.IsInf(q.MaxDuration, 0) {
		refuse("max_duration", "must be a number of seconds, not below 0")
	}
	for _, f := range q.Facets {
		if f != FacetTag && f != FacetStatus {
			refuse("facets", "must be of tag, status")
			break
		}
	}
	if s.Limit = cmp.Or(q.Limit, DefaultLimit); s.Limit < 1 || s.Limit > MaxLimit {
		refuse("limit", "must be from 1 to %d", MaxLimit)
	}
	s.Sort = q.Sort
	switch q.Sort {
	case "":
		s.Sort = SortNewest
		if s.HasText {
			s.Sort = SortRelevance
		}
	case SortRelevance:
		if !s.HasText {
			refuse("sort", "relevance needs a text to search for (q)")
		}
	case SortOldest, SortNewest, SortTitle, SortTitleDesc, SortShortest, SortLongest:
	default:
		refuse("sort", "must be relevance, created_at, -created_at, title, -title, duration or -duration")
	}
	if q.Cursor != "" {
		after, ok := s.readCursor()
		if !ok {
			refuse("cursor", "is not one of this query")
		}
		s.After = &after
	}
	if len(bad) > 0 {
		return Search{}, &domain.Invalid{Fields: bad}
	}
	return s, nil
}

func invalidText(s string) bool { return !utf8.ValidString(s) }

// Match says whether a video is a result, and where it stands. An adapter may use it as it is, or must agree with it.
func (s Search) Match(v Video) (Place, bool) {
	if v.Deleted || v.Version == 0 ||
		(s.Status != "" && v.Status != s.Status) ||
		(s.Visibility != "" && v.Details.Visibility != s.Visibility) ||
		(!s.CreatedAfter.IsZero() && !v.CreatedAt.After(s.CreatedAfter)) ||
		(!s.CreatedBefore.IsZero() && !v.CreatedAt.Before(s.CreatedBefore)) ||
		v.Duration < s.MinDuration ||
		(s.MaxDuration > 0 && v.Duration > s.MaxDuration) {
		return Place{}, false
	}
	for _, t := range s.Tags {
		if !slices.Contains(v.Details.Tags, t) {
			return Place{}, false
		}
	}
	for k, want := range s.Metadata {
		if got, ok := v.Details.Metadata[k]; !ok || got != want {
			return Place{}, false
		}
	}
	var level Level
	if s.HasText {
		var ok bool
		if level, ok = v.SearchText().Level(s.Words); !ok {
			return Place{}, false
		}
	}
	return s.Place(v, level), true
}

// Place returns where a result stands in the order of s.
func (s Search) Place(v Video, level Level) Place {
	p := Place{Created: v.Created}
	switch s.Sort {
	case SortRelevance:
		p.Level = level
	case SortTitle, SortTitleDesc:
		p.Title = v.TitleKey()
	case SortShortest, SortLongest:
		p.Duration = v.Duration
	case SortOldest, SortNewest:
	}
	return p
}

// Compare orders two places as s sorts them.
func (s Search) Compare(a, b Place) int {
	c := cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Duration, b.Duration), cmp.Compare(a.Created, b.Created))
	switch s.Sort {
	case SortRelevance:
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(b.Created, a.Created))
	case SortNewest, SortTitleDesc, SortLongest:
		return -c
	case SortOldest, SortTitle, SortShortest:
	}
	return c
}
