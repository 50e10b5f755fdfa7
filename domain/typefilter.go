package domain

import (
	"slices"
	"strings"
)

// MatchEventType tells whether an event's type is the one that a filter names, or begins like it where that ends in a *
// ("video.caption_*").
func MatchEventType(filter, eventType string) bool {
	if prefix, ok := strings.CutSuffix(filter, "*"); ok {
		return strings.HasPrefix(eventType, prefix)
	}
	return filter == eventType
}

// WantsEventType tells whether one of the filters matches; no filter at all wants everything.
func WantsEventType(filters []string, eventType string) bool {
	return len(filters) == 0 || slices.ContainsFunc(filters, func(f string) bool { return MatchEventType(f, eventType) })
}

// MaxTypeFilters is how many filters of types one reader may have.
const MaxTypeFilters = 50

// CheckTypeFilters returns what is wrong with filters, "" if nothing is: one that matches no type is a mistake.
func CheckTypeFilters(filters []string) string {
	if len(filters) > MaxTypeFilters {
		return "too many"
	}
	for _, f := range filters {
		if !slices.ContainsFunc(EventTypes(), func(known string) bool { return MatchEventType(f, known) }) {
			return "no event has this type"
		}
	}
	return ""
}
