package domain_test

import (
	"slices"
	"testing"

	"github.com/cinelog/cinelog/domain"
)

func TestTypeFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filters []string
		event   string
		want    bool
	}{
		{nil, "video.created.v1", true},
		{[]string{"video.created.v1"}, "video.created.v1", true},
		{[]string{"video.created.v1"}, "video.created.v10", false},
		{[]string{"video.created.*"}, "video.created.v10", true},
		{[]string{"video.deleted.v1", "video.caption_*"}, "video.caption_added.v1", true},
		{[]string{"*"}, "video.created.v1", true},
		{[]string{"video.*.v1"}, "video.created.v1", false},
	} {
		if got := domain.WantsEventType(c.filters, c.event); got != c.want {
			t.Errorf("%q want %s: %t", c.filters, c.event, got)
		}
	}
	for _, good := range [][]string{nil, {"*"}, {"video.created.v1", "video.p*"}} {
		if wrong := domain.CheckTypeFilters(good); wrong != "" {
			t.Errorf("%q: %s", good, wrong)
		}
	}
	for _, bad := range [][]string{{""}, {"video.created"}, {"video.created.v1", "x*"}, slices.Repeat([]string{"*"}, 51)} {
		if domain.CheckTypeFilters(bad) == "" {
			t.Errorf("%q pass", bad)
		}
	}
}
