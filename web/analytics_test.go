package web_test

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

// figuresSite has facts of two days, and four views of a film with midnight among them, one of which showed nothing.
func figuresSite(t *testing.T) (s *site, id string) {
	t.Helper()
	night := time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)
	fact := func(after time.Duration, f projections.Fact, took time.Duration) projections.CountedFact {
		f.Time = night.Add(after)
		return projections.CountedFact{Fact: f, Done: took > 0, Took: took}
	}
	facts := analytics{
		fact(time.Hour, projections.Fact{Kind: projections.FactUploaded, Bytes: 5}, 0),
		fact(time.Hour, projections.Fact{Kind: projections.FactFailed, Code: domain.Malformed}, 0),
		fact(2*time.Hour, projections.Fact{Kind: projections.FactPublished}, 0),
		fact(0, projections.Fact{Kind: projections.FactUploaded, Bytes: 10, Length: 1500 * time.Millisecond}, 0),
	}
	for n := range 20 { // 1 s to 20 s
		facts = append(facts, fact(0, projections.Fact{Kind: projections.FactRendition, Bytes: 1}, time.Duration(n+1)*time.Second))
	}
	plays := memory.NewPlays()
	s = newSite(t, func(w *web.Server) {
		w.Analytics, w.Plays = facts, plays
		w.Now = func() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }
	})
	created := s.ask(t, "POST", "/v1/videos", `{"title":"=HYPERLINK(\"http://x\")"}`, asJSON)
	created.wants(t, 201)
	id = created.json["id"].(string)
	for n, p := range []projections.Play{
		{Country: "DE", Started: true, Ended: true, Viewer: 1, Parts: 1<<projections.PlayParts - 1, Startup: &projections.Startup{Took: time.Second, Rendition: "240p"}},
		{Country: "DE", Started: true, Viewer: 1, Parts: 1, Error: projections.PlayErrorNetwork},
		{Country: "FR", Error: projections.PlayErrorDecode},
		{Country: "", Started: true, Viewer: 2, Parts: 3, Startup: &projections.Startup{Took: 3 * time.Second, Rendition: "720p"}},
	} {
		p.Video, p.View, p.First = domain.VideoID(id), strconv.Itoa(n), night.Add(time.Duration(n)*20*time.Minute)
		p.Last = p.First.Add(time.Minute)
		if p.Started {
			p.Qualities = map[string]projections.PlayTimes{
				"240p": {Watched: 9 * time.Second, Stalled: time.Second, Stalls: 1}, "720p": {Watched: 10 * time.Second},
			}
		}
		told := []projections.Play{p}
		if n == 3 { // of another video, which is there no more
			gone := p
			gone.Video, gone.View = "019a0000-0000-7000-8000-000000000001", "gone"
			told = append(told, gone)
		}
		if err := plays.Record(t.Context(), told); err != nil {
			t.Fatal(err)
		}
	}
	return s, id
}

// figures answers with one JSON document's members, written as text.
func (s *site) figures(t *testing.T, path string, members ...string) string {
	t.Helper()
	a := s.ask(t, "GET", "/v1/analytics/"+path, "")
	a.wants(t, 200)
	return written(a.json, members)
}

func written(of map[string]any, members []string) string {
	var parts []string
	for _, m := range members {
		parts = append(parts, fmt.Sprintf("%s=%v", m, of[m]))
	}
	return strings.Join(parts, " ")
}

func TestTotals(t *testing.T) {
	t.Parallel()
	s, _ := figuresSite(t)
	events := []string{"uploads", "uploaded_bytes", "uploaded_seconds", "processed", "processing_seconds_p50", "processing_seconds_p95", "renditions", "publications", "failures"}
	if got, want := s.figures(t, "totals", events...), "uploads=2 uploaded_bytes=15 uploaded_seconds=1.5 processed=20 processing_seconds_p50=10 "+
		"processing_seconds_p95=19 renditions=20 publications=1 failures=map[malformed:1]"; got != want {
		t.Errorf("events\n%s, want\n%s", got, want)
	}
	views := []string{"views", "viewers", "watch_seconds", "stalled_seconds", "stalls", "rebuffer_ratio", "startup_seconds_p50", "startup_seconds_p95", "ended", "completed", "play_errors"}
	if got, want := s.figures(t, "totals", views...), "views=4 viewers=2 watch_seconds=76 stalled_seconds=4 stalls=4 rebuffer_ratio=0.05 "+
		"startup_seconds_p50=3 startup_seconds_p95=3 ended=1 completed=1 play_errors=map[decode:1 network:1]"; got != want {
		t.Errorf("views\n%s, want\n%s", got, want)
	}
	groups := s.ask(t, "GET", "/v1/analytics/totals?group_by=rendition", "").json["groups"].([]any)
	var got []string
	for _, g := range groups {
		got = append(got, written(g.(map[string]any), []string{"group", "views", "watch_seconds", "rebuffer_ratio", "startup_seconds_p50"}))
	}
	if want := "group=240p views=4 watch_seconds=36 rebuffer_ratio=0.1 startup_seconds_p50=1; group=720p views=4 watch_seconds=40 rebuffer_ratio=0 startup_seconds_p50=3"; strings.Join(got, "; ") != want {
		t.Errorf("by rendition\n%s, want\n%s", strings.Join(got, "; "), want)
	}
}

// Hours and days begin and end at those of UTC, wherever the question comes from.
func TestTimeseriesAtTheBordersOfHoursAndDays(t *testing.T) {
	t.Parallel()
	s, _ := figuresSite(t)
	for query, want := range map[string]string{
		"interval=day":  "2026-03-01T00:00:00Z 1 2; 2026-03-02T00:00:00Z 1 2",
		"interval=hour": "2026-03-01T23:00:00Z 1 2; 2026-03-02T00:00:00Z 1 2; 2026-03-02T01:00:00Z 0 0",
		"interval=hour&from=2026-03-02&to=2026-03-02":                                  "2026-03-02T00:00:00Z 1 2; 2026-03-02T01:00:00Z 0 0",
		"interval=day&from=2026-03-02T00:50:00%2B01:00&to=2026-03-02T01:30:00%2B01:00": "2026-03-01T00:00:00Z 0 1; 2026-03-02T00:00:00Z 0 0", // 23:50 to 0:30
		"interval=hour&from=2026-03-01T23:30:00Z&to=2026-03-01T23:30:00.000001Z":       "2026-03-01T23:00:00Z 1 1",
	} {
		a := s.ask(t, "GET", "/v1/analytics/timeseries?"+query, "")
		a.wants(t, 200)
		var got []string
		for _, item := range a.json["items"].([]any) {
			point := item.(map[string]any)
			got = append(got, fmt.Sprint(point["time"], " ", point["uploads"], " ", point["views"]))
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s\n%q, want\n%q", query, strings.Join(got, "; "), want)
		}
	}
	a := s.ask(t, "GET", "/v1/analytics/timeseries?group_by=country", "")
	a.wants(t, 200)
	if items := a.json["items"].([]any); len(items) != 3 || items[0].(map[string]any)["group"] != "DE" || items[1].(map[string]any)["group"] != "" {
		t.Errorf("by country: %s", a.text)
	}
	for _, bad := range []string{
		"from=x", "from=2026-13-01", "from=2026-02-02&to=2026-02-01", "from=1026-01-01&to=2026-01-01", "to=2026-02-01T00:00",
		"from=2026-03-01T23:30:00Z&to=2026-03-01T23:30:00Z",
		"interval=minute", "interval=hour&from=2026-01-01&to=2026-06-01", "group_by=viewer", "format=xml",
	} {
		s.ask(t, "GET", "/v1/analytics/timeseries?"+bad, "").wants(t, 422)
	}
}

func TestFiguresOfVideos(t *testing.T) {
	t.Parallel()
	s, id := figuresSite(t)
	top := s.ask(t, "GET", "/v1/analytics/top?by=watch_seconds", "")
	top.wants(t, 200)
	items := top.json["items"].([]any)
	if len(items) != 2 || items[0].(map[string]any)["video"] != id || items[1].(map[string]any)["title"] != "" {
		t.Errorf("top %s", top.text)
	}
	a := s.ask(t, "GET", "/v1/analytics/videos/"+id, "")
	a.wants(t, 200)
	curve := a.json["curve"].([]any)
	if len(curve) != projections.PlayParts || fmt.Sprint(curve[:3]) != "[3 2 1]" || curve[49] != 1.0 || a.json["views"] != 3.0 {
		t.Errorf("figures of a video %s", a.text)
	}
	if countries := a.json["countries"].([]any); len(countries) != 3 || countries[0].(map[string]any)["group"] != "DE" {
		t.Errorf("countries %v", countries)
	}
	s.ask(t, "GET", "/v1/analytics/videos/019a0000-0000-7000-8000-000000000001", "").wants(t, 404)
	s.ask(t, "GET", "/v1/analytics/videos/x", "").wants(t, 404)
	s.ask(t, "GET", "/v1/analytics/top?limit=101", "").wants(t, 422)
}

// A title that is a formula is text in a spreadsheet.
func TestFiguresForSpreadsheets(t *testing.T) {
	t.Parallel()
	s, id := figuresSite(t)
	for path, want := range map[string][2]string{
		"totals":                    {"uploads", "2"},
		"totals?group_by=rendition": {"rendition", "240p"},
		"timeseries":                {"time", "2026-03-01T00:00:00Z"},
		"top":                       {"video", id},
		"videos/" + id:              {"from_percent", "0"},
	} {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		a := s.ask(t, "GET", "/v1/analytics/"+path+separator+"format=csv", "")
		a.wants(t, 200)
		lines, err := csv.NewReader(strings.NewReader(a.text)).ReadAll()
		if err != nil || len(lines) < 2 || lines[0][0] != want[0] || lines[1][0] != want[1] || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/csv") {
			t.Errorf("%s: %v\n%s", path, err, a.text)
		}
		if path == "top" && (lines[0][1] != "title" || lines[1][1] != `'=HYPERLINK("http://x")`) {
			t.Errorf("a title that is a formula: %q", lines[1])
		}
	}
	if a := s.ask(t, "GET", "/v1/analytics/totals?format=csv", ""); !strings.Contains(a.text, ",malformed=1,") || !strings.Contains(a.text, "decode=1 network=1") {
		t.Errorf("totals %s", a.text)
	}
}
