package contract

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func searchTexts(t *testing.T, c CatalogStore) {
	s := &Story{}
	s.Create("kube", "Running Kubernetes on bare metal")
	s.Create("ist", "İstanbul'da gezi")
	s.Create("ger", "Straße der Größe")
	s.Create("fr", "Crème brûlée – ﬀ")
	s.Create("pl", "Łódź")
	s.Create("zh", "北京大学公开课")
	s.Create("ja", "データベース入門")
	s.Create("ko", "한국어 강의")
	s.Create("ru", "Ёлка в МОСКВЕ")
	s.Create("emoji", "🚀 launch 2026")
	s.Create("long", strings.Repeat("a", 150))
	tell(t, c, s)
	for text, want := range map[string]string{
		"kub":                    "kube",
		"KUBERNETES":             "kube",
		"metal kube":             "kube",
		"kube  kube":             "kube",
		"ubernetes":              "",
		"kube wood":              "",
		"istanbul":               "ist",
		"ISTANBUL":               "ist",
		"İST":                    "ist",
		"ıst":                    "ist",
		"strasse":                "ger",
		"STRASSE":                "ger",
		"straß":                  "ger",
		"grosse":                 "ger",
		"größe":                  "ger",
		"creme brulee":           "fr",
		"cre\u0300me":            "fr",
		"ff":                     "fr",
		"lodz":                   "pl",
		"北京":                     "zh",
		"大学":                     "zh",
		"公":                      "zh",
		"入門":                     "ja",
		"한국":                     "ko",
		"하":                      "ko",
		"елка":                   "ru",
		"москв":                  "ru",
		"2026":                   "emoji",
		"🚀":                      "",
		"launch!":                "emoji",
		strings.Repeat("a", 150): "long",
		strings.Repeat("a", 64):  "long",
		"  ":                     "long emoji ru ko ja zh pl fr ger ist kube",
	} {
		wantFound(t, c, projections.Query{Text: text}, want)
	}
}

func ranking(t *testing.T, c CatalogStore) {
	s := &Story{}
	s.Create("exact1", "Go in depth")
	s.Create("prefix1", "Golang in depth")
	s.Create("tag1", "Compilers in depth", tags("go"))
	s.Create("meta1", "Talk", metadata("language", "go"), tags("depth"))
	s.Create("desc1", "Talk", description("about Go in depth"))
	s.Create("none", "Talk", description("about Rust in depth"))
	s.Create("desc2", "Depth", description("gophers"))
	s.Create("meta2", "Depth", metadata("x", "goes"))
	s.Create("tag2", "depth", tags("gold"))
	s.Create("prefix2", "Depths of Gotham")
	s.Create("exact2", "Depth: Go")
	tell(t, c, s)
	wantFound(t, c, projections.Query{Text: "go depth"},
		"exact2 exact1 prefix2 prefix1 tag2 tag1 meta2 meta1 desc2 desc1")
	wantFound(t, c, projections.Query{Text: "go depth", Sort: projections.SortOldest},
		"exact1 prefix1 tag1 meta1 desc1 desc2 meta2 tag2 prefix2 exact2")
}

func operatorTexts(t *testing.T, c CatalogStore) {
	s := &Story{}
	s.Create("a", "NEAR and OR not title", tags(`a"b`, "100%"), metadata("$where", "1=1"))
	s.Create("b", "plain")
	tell(t, c, s)
	for text, want := range map[string]string{
		`"`: "", `*`: "", `""""`: "", `'`: "", `;--`: "", `(`: "", `^`: "", `{`: "", `:`: "", "\x00": "",
		`near`: "a", `NEAR(near or)`: "a", `NOT`: "a", `or OR not`: "a", `near AND plain`: "", `-plain`: "b",
		`"plain`: "b", `pla*`: "b", `title:plain`: "", `{title}: plain`: "", `plain" OR "near`: "",
		`$where`: "", `%`: "", `pl_in`: "", `1=1`: "a", `a"b`: "a", `100%`: "a", `'; DROP TABLE rows; --`: "",
	} {
		wantFound(t, c, projections.Query{Text: text}, want)
	}
	wantFound(t, c, projections.Query{Tags: []string{`a"b`}}, "a")
	wantFound(t, c, projections.Query{Tags: []string{`' OR 1=1 --`}}, "")
	wantFound(t, c, projections.Query{Metadata: map[string]string{"$where": "1=1"}}, "a")
}

func badQueries(t *testing.T, c CatalogStore) {
	for _, q := range []projections.Query{
		{Text: strings.Repeat("a", projections.MaxQueryLength+1)},
		{Text: "\xff"},
		{Tags: []string{"\xff"}},
		{Metadata: map[string]string{"\xff": ""}},
		{Status: "gone"},
		{Visibility: "secret"},
		{MinDuration: -1},
		{MinDuration: math.NaN()},
		{MaxDuration: math.Inf(1)},
		{Sort: "$where"},
		{Sort: projections.SortRelevance},
		{Limit: -1},
		{Limit: projections.MaxLimit + 1},
		{Facets: []string{"owner"}},
		{Cursor: "x"},
		{Cursor: strings.Repeat("A", 1<<20)},
	} {
		if _, err := c.Search(t.Context(), q); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Search(%.200q): %v, want ErrInvalid", q.Text+q.Cursor, err)
		}
	}
	wantFound(t, c, projections.Query{Text: strings.Repeat("é", projections.MaxQueryLength)}, "")
}

// walk follows the cursors to the end.
func walk(t *testing.T, c projections.Catalog, q projections.Query, between func()) []string {
	t.Helper()
	var all []string
	for {
		page := find(t, c, q)
		for _, v := range page.Items {
			all = append(all, string(v.ID))
		}
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			return all
		}
		if len(page.Items) != q.Limit {
			t.Errorf("a page before the last has %d items, want %d", len(page.Items), q.Limit)
		}
		if between != nil {
			between()
		}
	}
}

func manyVideos() *Story {
	s := &Story{}
	titles := []string{"go now", "golang", "now: Go", "other", "ALSO go"}
	for i := range 40 {
		id := "v" + string(rune('a'+i/10)) + string(rune('0'+i%10))
		s.Create(id, titles[i%len(titles)], tags("go", "t"+string(rune('0'+i%3))), description("go there"))
		if i%4 > 0 {
			s.Add(id, inspected(float64(i%4))...)
		}
	}
	return s
}

var allSorts = []projections.Sort{ //nolint:gochecknoglobals // a table that nobody writes to
	projections.SortRelevance, projections.SortOldest, projections.SortNewest, projections.SortTitle,
	projections.SortTitleDesc, projections.SortShortest, projections.SortLongest,
}

func cursors(t *testing.T, c CatalogStore) {
	tell(t, c, manyVideos())
	for _, sort := range allSorts {
		q := projections.Query{Text: "go", Sort: sort, Limit: projections.MaxLimit}
		var want []string
		for _, v := range find(t, c, q).Items {
			want = append(want, string(v.ID))
		}
		if len(want) != 40 {
			t.Errorf("%s: %d found, want 40", sort, len(want))
		}
		for _, limit := range []int{1, 7, 8, 40} {
			q.Limit = limit
			if diff := cmp.Diff(want, walk(t, c, q, nil)); diff != "" {
				t.Errorf("%s by %d, want against got:\n%s", sort, limit, diff)
			}
		}
	}
}

func foreignCursors(t *testing.T, c CatalogStore) {
	tell(t, c, manyVideos())
	q := projections.Query{Text: "go", Limit: 3}
	cursor := find(t, c, q).NextCursor
	for _, other := range []projections.Query{
		{},
		{Text: "golang"},
		{Text: "go", Sort: projections.SortNewest},
		{Text: "go", Tags: []string{"t1"}},
		{Text: "go", Metadata: map[string]string{"a": "b"}},
		{Text: "go", Status: domain.StatusReady},
	} {
		other.Cursor = cursor
		if _, err := c.Search(t.Context(), other); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("a cursor of another query with %+v: %v, want ErrInvalid", other, err)
		}
	}
	for i := range cursor {
		bad := []byte(cursor)
		bad[i] ^= 1
		if _, err := c.Search(t.Context(), projections.Query{Text: "go", Cursor: string(bad)}); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("a cursor with byte %d changed: %v, want ErrInvalid", i, err)
		}
	}
	q.Cursor, q.Limit, q.Facets = cursor, 5, []string{"tag"} // these may change
	if n := len(find(t, c, q).Items); n != 5 {
		t.Errorf("%d items on a page of 5", n)
	}
}

func stableCursors(t *testing.T, c CatalogStore) {
	for _, sort := range allSorts {
		s := manyVideos()
		if at, err := c.Checkpoint(t.Context()); err != nil || at != 0 {
			save := c.Save(t.Context(), nil, []string{""}, at, 0) // empty again
			if err != nil || save != nil {
				t.Fatal(err, save)
			}
		}
		tell(t, c, s)
		before := find(t, c, projections.Query{Text: "go", Sort: sort, Limit: 100})
		n := 0
		got := walk(t, c, projections.Query{Text: "go", Sort: sort, Limit: 6}, func() {
			n++
			s.Create("new"+string(rune('0'+n)), "Go, quite new")
			s.Add("vd9", domain.VideoPublished{}) // changes a row, not its place
			tell(t, c, s)
		})
		got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "new") })
		if want := strings.Fields(ids(before)); !slices.Equal(got, want) {
			t.Errorf("%s: found %v while videos came, want %v", sort, got, want)
		}
	}
}

// agreesWithModel searches random videos by random queries: every catalog answers as projections.Search.Match says.
func agreesWithModel(t *testing.T, c CatalogStore) {
	words := rapid.SampledFrom([]string{"go", "golang", "Größe", "Gros", "北京", "a", "b2", "Ab", "ｆｕｌｌ", "!", "\""})
	text := rapid.Custom(func(r *rapid.T) string {
		return strings.Join(rapid.SliceOfN(words, 1, 4).Draw(r, "words"), " ")
	})
	rapid.Check(t, func(r *rapid.T) {
		if at, err := c.Checkpoint(t.Context()); err != nil {
			r.Fatal(err)
		} else if err := c.Save(t.Context(), nil, []string{""}, at, 0); err != nil {
			r.Fatal(err)
		}
		s := RandomStory(r, text)
		tell(t, c, s)
		var rows []projections.Video
		byID := map[string][]domain.Recorded{}
		for _, e := range s.Events {
			byID[e.Stream] = append(byID[e.Stream], e)
		}
		for _, events := range byID {
			rows = append(rows, projections.FoldVideo(events))
		}
		for range 5 {
			q := projections.Query{Limit: rapid.IntRange(1, 10).Draw(r, "limit")}
			q.Text = rapid.OneOf(rapid.Just(""), text).Draw(r, "text")
			q.Tags = rapid.SliceOfN(words, 0, 1).Draw(r, "tags")
			q.Status = rapid.SampledFrom([]domain.Status{"", "", "ready", "processing", "failed", "waiting"}).Draw(r, "status")
			q.Sort = rapid.SampledFrom(allSorts).Draw(r, "sort")
			if q.Text == "" && q.Sort == projections.SortRelevance {
				q.Sort = ""
			}
			search, err := q.Check()
			if err != nil {
				r.Fatal(err)
			}
			type hit struct {
				id    string
				place projections.Place
			}
			var hits []hit
			for _, v := range rows {
				if p, ok := search.Match(v); ok {
					hits = append(hits, hit{string(v.ID), p})
				}
			}
			slices.SortFunc(hits, func(a, b hit) int { return search.Compare(a.place, b.place) })
			var want []string
			for _, h := range hits {
				want = append(want, h.id)
			}
			if diff := cmp.Diff(want, walk(t, c, q, nil)); diff != "" {
				r.Fatalf("Search(%+v), want against got:\n%s", q, diff)
			}
		}
	})
}

// RandomStory draws what may happen to a few videos, also in orders that no decision would allow.
func RandomStory(r *rapid.T, text *rapid.Generator[string]) *Story {
	s := &Story{}
	videos := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 1, 40).Draw(r, "videos")
	details := rapid.Custom(func(r *rapid.T) domain.Details {
		return domain.Details{
			Title: text.Draw(r, "title"), Description: text.Draw(r, "description"),
			Tags:       rapid.SliceOfNDistinct(text, 0, 2, rapid.ID).Draw(r, "tags"),
			Metadata:   rapid.MapOfN(text, text, 0, 2).Draw(r, "metadata"),
			Visibility: rapid.SampledFrom([]domain.Visibility{domain.Public, domain.Private}).Draw(r, "visibility"),
		}
	})
	blob := domain.Blob{Key: "media/x", Bytes: 1000, SHA256: "00"}
	rate := domain.Rational{Num: 25, Den: 1}
	for _, id := range videos {
		attempt := rapid.IntRange(1, 2).Draw(r, "attempt")
		rung := rapid.SampledFrom([]string{"720p", "360p"}).Draw(r, "rung")
		s.Add(id, rapid.SampledFrom([]domain.Event{
			domain.VideoCreated{Owner: "local", Details: details.Draw(r, "details")},
			domain.VideoDetailsChanged{Details: details.Draw(r, "details")},
			domain.VideoUploaded{Attempt: attempt, Filename: "a.mp4", Source: blob},
			domain.TranscodeRequested{Attempt: attempt},
			domain.SourceInspected{Attempt: attempt, Source: domain.SourceInfo{Duration: float64(attempt), FrameRate: rate}},
			domain.TranscodePlanned{Attempt: attempt, Plan: domain.Plan{
				FrameRate: rate, Frames: 200, GOP: 50, SegmentFrames: 100, Rungs: []domain.Rung{{Name: "720p"}, {Name: "360p"}}, Audio: &domain.AudioPlan{},
				MoreAudio: []domain.AudioPlan{{Language: "de"}},
			}},
			domain.ChunkTranscoded{Attempt: attempt, Chunk: attempt - 1, Renditions: []domain.RenditionChunk{
				{Name: rung, Segments: []domain.Segment{{Blob: blob, Duration: 4}}},
			}},
			domain.AudioTranscoded{Attempt: attempt, Track: attempt - 1, Final: true},
			domain.AudioLeftOut{Attempt: attempt, Track: attempt - 1},
			domain.RenditionProduced{Attempt: attempt, Name: rung, Duration: 3},
			domain.TranscodeFailed{Attempt: attempt, Failure: domain.Failure{Code: domain.Internal}},
			domain.SourceRejected{Attempt: attempt, Failure: domain.Failure{Code: domain.NotAVideo}},
			domain.VideoPublished{},
			domain.VideoUnpublished{},
			domain.VideoDeleted{},
			domain.PosterProduced{},
			domain.PlaybackPolicyChanged{PlaybackPolicy: domain.PlaybackSigned},
			domain.CaptionAdded{Language: "en"},
			domain.CaptionAdded{Attempt: attempt, Name: "de", Language: "de", File: blob},
			domain.CaptionRemoved{Language: "en"},
			domain.SourceRemuxed{Attempt: attempt, Part: attempt - 1, Segments: []domain.Segment{{Blob: blob, Duration: 4}}, Final: attempt == 2},
			domain.StoryboardProduced{Attempt: attempt, Image: blob},
			domain.PreviewProduced{Attempt: attempt, Image: blob},
		}).Draw(r, "event"))
		if rapid.IntRange(0, 3).Draw(r, "clock") == 0 { // it is set back for a while
			last := &s.Events[len(s.Events)-1]
			last.Time = last.Time.AddDate(0, 0, -2)
		}
	}
	return s
}
