package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// CatalogStore is a catalog with both of its sides.
type CatalogStore interface {
	projections.Rows[projections.Video]
	projections.Catalog
}

// Catalog checks a catalog. open returns an empty one, usable until the test ends.
func Catalog(t *testing.T, open func(t *testing.T) CatalogStore) {
	for name, test := range map[string]func(*testing.T, CatalogStore){
		"an empty catalog":               emptyCatalog,
		"one video":                      oneVideo,
		"deleted videos are not found":   deletedVideos,
		"words, prefixes and folding":    searchTexts,
		"ranking":                        ranking,
		"changed texts":                  changedTexts,
		"filters":                        filters,
		"sorts":                          sorts,
		"facets":                         facetCounts,
		"texts that look like operators": operatorTexts,
		"bad queries":                    badQueries,
		"cursors":                        cursors,
		"cursors of other queries":       foreignCursors,
		"cursors while videos come":      stableCursors,
		"agrees with the model":          agreesWithModel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// tell brings a catalog up to the end of a story.
func tell(t *testing.T, c CatalogStore, s *Story) {
	t.Helper()
	target := projections.NewReadModel(projections.CatalogModel(), c)
	if _, err := projections.CatchUp(t.Context(), s, target, projections.CatchUpOptions{Batch: 7}); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, c projections.Catalog, q projections.Query) projections.Page {
	t.Helper()
	page, err := c.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("Search(%+v): %v", q, err)
	}
	return page
}

func ids(page projections.Page) string {
	var all []string
	for _, v := range page.Items {
		all = append(all, string(v.ID))
	}
	return strings.Join(all, " ")
}

func wantFound(t *testing.T, c projections.Catalog, q projections.Query, want string) {
	t.Helper()
	if got := ids(find(t, c, q)); got != want {
		t.Errorf("Search(%+v) found %q, want %q", q, got, want)
	}
}

func tags(tags ...string) func(*domain.Details) { return func(d *domain.Details) { d.Tags = tags } }

func description(s string) func(*domain.Details) {
	return func(d *domain.Details) { d.Description = s }
}

func metadata(kv ...string) func(*domain.Details) {
	return func(d *domain.Details) {
		d.Metadata = map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			d.Metadata[kv[i]] = kv[i+1]
		}
	}
}

func visibility(v domain.Visibility) func(*domain.Details) {
	return func(d *domain.Details) { d.Visibility = v }
}

func inspected(seconds float64) []domain.Event {
	return []domain.Event{
		domain.VideoUploaded{Attempt: 1, Filename: "a.mp4"},
		domain.SourceInspected{Attempt: 1, Source: domain.SourceInfo{Duration: seconds}},
	}
}

func emptyCatalog(t *testing.T, c CatalogStore) {
	page := find(t, c, projections.Query{Text: "go", Facets: []string{"tag", "status"}})
	if len(page.Items) != 0 || page.NextCursor != "" || len(page.Facets["tag"]) != 0 || len(page.Facets) != 2 {
		t.Errorf("an empty catalog answers %+v", page)
	}
	if _, err := c.Video(t.Context(), "none"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("Video of none: %v, want ErrNotFound", err)
	}
}

func oneVideo(t *testing.T, c CatalogStore) {
	s := &Story{}
	s.Create("a", "Größe", tags("x"), metadata("k", "v"), description("d"))
	s.Add("a", inspected(12.5)...)
	tell(t, c, s)
	got, err := c.Video(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	want := projections.FoldVideo(s.Events)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want against got:\n%s", diff)
	}
	if diff := cmp.Diff([]projections.Video{want}, find(t, c, projections.Query{}).Items); diff != "" {
		t.Errorf("found, want against got:\n%s", diff)
	}
}

func deletedVideos(t *testing.T, c CatalogStore) {
	s := &Story{}
	s.Create("a", "go one", tags("x"), metadata("k", "v"))
	s.Create("b", "go two", tags("x"), metadata("k", "v"))
	tell(t, c, s)
	s.Add("a", domain.VideoDeleted{})
	tell(t, c, s)
	s.Add("a", domain.VideoPublished{}) // late: must not bring it back
	tell(t, c, s)
	for _, q := range []projections.Query{
		{}, {Text: "go"}, {Tags: []string{"x"}}, {Metadata: map[string]string{"k": "v"}}, {Sort: projections.SortTitle},
	} {
		wantFound(t, c, q, "b")
	}
	page := find(t, c, projections.Query{Facets: []string{"tag", "status"}})
	want := map[string][]projections.FacetCount{"tag": {{Value: "x", Count: 1}}, "status": {{Value: "waiting", Count: 1}}}
	if diff := cmp.Diff(want, page.Facets); diff != "" {
		t.Errorf("facets, want against got:\n%s", diff)
	}
	if _, err := c.Video(t.Context(), "a"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("Video of a deleted one: %v, want ErrNotFound", err)
	}
}

func changedTexts(t *testing.T, c CatalogStore) {
	s := &Story{}
	s.Create("a", "first", tags("one"), metadata("k", "1"))
	tell(t, c, s)
	s.Add("a", domain.VideoDetailsChanged{Details: domain.Details{
		Title: "second", Tags: []string{"two"}, Metadata: map[string]string{"k": "2"}, Visibility: domain.Private,
	}})
	s.Add("a", inspected(9)...)
	tell(t, c, s)
	wantFound(t, c, projections.Query{Text: "first"}, "")
	wantFound(t, c, projections.Query{Text: "second"}, "a")
	wantFound(t, c, projections.Query{Tags: []string{"one"}}, "")
	wantFound(t, c, projections.Query{Tags: []string{"two"}}, "a")
	wantFound(t, c, projections.Query{Metadata: map[string]string{"k": "1"}}, "")
	wantFound(t, c, projections.Query{Metadata: map[string]string{"k": "2"}}, "a")
	wantFound(t, c, projections.Query{Visibility: domain.Private, MinDuration: 8, Status: domain.StatusProcessing}, "a")
}

func filters(t *testing.T, c CatalogStore) {
	s := &Story{}
	s.Create("a", "go", tags("x", "y"), metadata("course", "101", "term", "spring"))
	s.Create("b", "go", tags("x"), metadata("course", "101"), visibility(domain.Unlisted))
	s.Create("c", "go", tags("y", "X"), metadata("course", "102"))
	s.Add("a", inspected(10)...)
	s.Add("b", inspected(20)...)
	s.Add("b", domain.SourceRejected{Attempt: 1, Failure: domain.Failure{Code: domain.Malformed}})
	tell(t, c, s)
	at := func(i int) time.Time { return s.Events[i].Time }
	for _, text := range []string{"", "go"} {
		for _, test := range []struct {
			query projections.Query
			want  string
		}{
			{projections.Query{Tags: []string{"x"}}, "b a"},
			{projections.Query{Tags: []string{"x", "y"}}, "a"},
			{projections.Query{Tags: []string{"none"}}, ""},
			{projections.Query{Metadata: map[string]string{"course": "101"}}, "b a"},
			{projections.Query{Metadata: map[string]string{"course": "101", "term": "spring"}}, "a"},
			{projections.Query{Metadata: map[string]string{"$where": "1"}}, ""},
			{projections.Query{Metadata: map[string]string{"course": "101"}, Tags: []string{"y"}}, "a"},
			{projections.Query{Status: domain.StatusWaiting}, "c"},
			{projections.Query{Status: domain.StatusProcessing}, "a"},
			{projections.Query{Status: domain.StatusFailed}, "b"},
			{projections.Query{Visibility: domain.Unlisted}, "b"},
			{projections.Query{MinDuration: 10}, "b a"},
			{projections.Query{MinDuration: 10.5}, "b"},
			{projections.Query{MaxDuration: 10}, "c a"},
			{projections.Query{CreatedAfter: at(0)}, "c b"},
			{projections.Query{CreatedBefore: at(1)}, "a"},
			{projections.Query{CreatedAfter: at(0), CreatedBefore: at(2)}, "b"},
		} {
			test.query.Text = text
			wantFound(t, c, test.query, test.want)
		}
	}
}

func sorts(t *testing.T, c CatalogStore) {
	s := &Story{}
	s.Create("a", "Zebra go")
	s.Create("b", "ähre go")
	s.Create("c", "Berg go")
	s.Create("d", "berg GO")
	s.Add("a", inspected(5)...)
	s.Add("b", inspected(2)...)
	s.Add("c", inspected(7)...)
	tell(t, c, s)
	for _, text := range []string{"", "g"} {
		for sort, want := range map[projections.Sort]string{
			"":                        "d c b a",
			projections.SortNewest:    "d c b a",
			projections.SortOldest:    "a b c d",
			projections.SortTitle:     "b c d a",
			projections.SortTitleDesc: "a d c b",
			projections.SortShortest:  "d b a c",
			projections.SortLongest:   "c a b d",
		} {
			wantFound(t, c, projections.Query{Text: text, Sort: sort}, want)
			wantFound(t, c, projections.Query{Text: text, Sort: sort, Limit: 2}, want[:3])
		}
	}
}

func facetCounts(t *testing.T, c CatalogStore) {
	s := &Story{}
	for i := range 30 {
		s.Create(fmt.Sprintf("v%02d", i), fmt.Sprintf("go %d", i%2), tags("all", fmt.Sprint("mod", i%3)))
	}
	s.Add("v00", inspected(1)...)
	tell(t, c, s)
	for _, q := range []projections.Query{{}, {Text: "go"}} {
		q.Facets, q.Limit = []string{"tag", "status"}, 1
		want := map[string][]projections.FacetCount{
			"tag":    {{Value: "all", Count: 30}, {Value: "mod0", Count: 10}, {Value: "mod1", Count: 10}, {Value: "mod2", Count: 10}},
			"status": {{Value: "waiting", Count: 29}, {Value: "processing", Count: 1}},
		}
		if diff := cmp.Diff(want, find(t, c, q).Facets); diff != "" {
			t.Errorf("facets, want against got:\n%s", diff)
		}
	}
	page := find(t, c, projections.Query{Text: "1", Tags: []string{"mod0"}, Facets: []string{"tag"}})
	if !slices.Contains(page.Facets["tag"], projections.FacetCount{Value: "all", Count: 5}) {
		t.Errorf("facets of a filtered text: %v", page.Facets)
	}
}
