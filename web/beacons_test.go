package web_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

// audience is a site whose views are recorded as messages come that a bus delivers: late, again, and in any order.
type audience struct {
	*site

	plays *memory.Plays
	mu    sync.Mutex
	told  []projections.Play
	now   time.Time
}

// Send implements web.Beacons.
func (a *audience) Send(ctx context.Context, told projections.Play) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, told)
	return a.plays.Record(ctx, []projections.Play{told})
}

func (a *audience) at(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
}

func newAudience(t *testing.T) *audience {
	t.Helper()
	a := &audience{plays: memory.NewPlays(), now: time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)}
	a.site = newSite(t, func(s *web.Server) {
		s.Plays, s.Beacons, s.CountryHeader, s.AddressHeader = a.plays, a, "X-Country", "X-Forwarded-For"
		s.Now = func() time.Time {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.now
		}
	})
	return a
}

// playable makes a video of a minute in two renditions.
func (a *audience) playable(t *testing.T) string {
	t.Helper()
	id := a.newVideo(t)
	_, err := a.catalog.log.Append(t.Context(), domain.Commit{ID: "plan " + id, Stream: id, Expected: 1, Time: a.now, Events: []domain.Event{
		domain.VideoUploaded{Attempt: 1},
		domain.SourceInspected{Attempt: 1, Source: domain.SourceInfo{Duration: 60}},
		domain.TranscodePlanned{Attempt: 1, Plan: domain.Plan{Rungs: []domain.Rung{{Name: "720p"}, {Name: "240p"}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (a *audience) all(t *testing.T) (all []projections.Play) {
	t.Helper()
	err := a.plays.Each(t.Context(), time.Unix(0, 0), time.Unix(1<<40, 0), "", func(p projections.Play) error {
		all = append(all, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b projections.Play) int { return strings.Compare(a.View, b.View) })
	return all
}

func viewID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

func beaconsBody(video string, view int, beacons string) string {
	return fmt.Sprintf(`{"video":%q,"view":%q,"beacons":[%s]}`, video, viewID(view), beacons)
}

// A view is counted once, with what the last of its beacons says, its times never longer than the server saw it.
func TestBeaconsOfAView(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	id := a.playable(t)
	begun := a.now
	send := func(after time.Duration, beacons string) {
		t.Helper()
		a.at(begun.Add(after))
		sent := a.ask(t, "POST", "/v1/views", beaconsBody(id, 1, beacons), asJSON, "X-Country: de", "User-Agent: a")
		sent.wants(t, 202)
		if sent.text != "" || sent.Header.Get("Set-Cookie") != "" {
			t.Errorf("the answer is %q with %v", sent.text, sent.Header)
		}
	}
	send(0, `{"type":"start","startup":0.4512,"rendition":"240p"}`)
	origin := a.all(t)[0]
	send(10*time.Second, `{"type":"heartbeat","rendition":"240p","from":0,"to":6,"watched":6},
		{"type":"rebuffer","rendition":"720p","from":6,"to":8.4,"watched":2.4,"stalled":1.5,"stalls":1}`)
	// It goes on past midnight, which is another day for viewers that come then, and the same view.
	send(2*time.Minute, `{"type":"end","rendition":"720p","from":8.4,"to":60,"watched":54,"stalled":1.5,"stalls":1}`)
	send(2*time.Minute, `{"type":"end","rendition":"720p","from":8.4,"to":60,"watched":54,"stalled":1.5,"stalls":1}`)
	want := projections.Play{
		Video: domain.VideoID(id), View: viewID(1), First: begun, Last: begun.Add(2 * time.Minute), Country: "DE", Started: true, Ended: true,
		Startup: &projections.Startup{Took: 451 * time.Millisecond, Rendition: "240p"}, Parts: 1<<projections.PlayParts - 1,
		Qualities: map[string]projections.PlayTimes{
			"240p": {Watched: 6 * time.Second}, "720p": {Watched: 54 * time.Second, Stalled: 1500 * time.Millisecond, Stalls: 1},
		},
	}
	all := a.all(t)
	if len(all) != 1 {
		t.Fatalf("%d views", len(all))
	}
	want.Viewer = origin.Viewer // on the first day, though the last beacons came on the next
	if diff := cmp.Diff(want, all[0]); diff != "" || want.Viewer == 0 {
		t.Errorf("view (-want +got):\n%s", diff)
	}

	// Each message five times, shuffled over a window of 100, makes the same figures.
	deliveries := slices.Repeat(a.told, 5)
	for i := range deliveries {
		j := min(i+rand.IntN(100), len(deliveries)-1)
		deliveries[i], deliveries[j] = deliveries[j], deliveries[i]
	}
	again := memory.NewPlays()
	for _, told := range deliveries {
		if err := again.Record(t.Context(), []projections.Play{told}); err != nil {
			t.Fatal(err)
		}
	}
	a.plays = again
	if diff := cmp.Diff(all, a.all(t)); diff != "" {
		t.Errorf("views after duplicates (-want +got):\n%s", diff)
	}
}

// The same browser at the same address is one viewer for a day, without a cookie, and another one on the next.
func TestViewersAreCountedWithoutBeingKnown(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	id := a.playable(t)
	view := 0
	viewer := func(address, agent string) int64 {
		view++
		a.ask(t, "POST", "/v1/views", beaconsBody(id, view, `{"type":"start"}`), asJSON, "User-Agent: "+agent,
			"X-Forwarded-For: 203.0.113.7, "+address, "X-Country: somewhere").wants(t, 202)
		all := a.all(t)
		if len(all) != view || all[view-1].Country != "" {
			t.Fatalf("%d views, the last %+v", len(all), all[len(all)-1])
		}
		return all[view-1].Viewer
	}
	first := viewer("192.0.2.1", "a")
	if viewer("192.0.2.1", "a") != first || viewer("::ffff:192.0.2.1", "a") != first {
		t.Error("the same browser is two viewers")
	}
	if viewer("192.0.2.2", "a") == first || viewer("192.0.2.1", "b") == first {
		t.Error("two browsers are one viewer")
	}
	a.at(a.now.Add(time.Hour))
	if viewer("192.0.2.1", "a") == first {
		t.Error("a viewer can be followed from day to day")
	}
}

func TestHostileBeacons(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	id := a.playable(t)
	const start = `{"type":"start"}`
	beacon := func(fields string) string { return beaconsBody(id, 1, `{"type":"heartbeat",`+fields+`}`) }
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"no body":               {"", 400},
		"array":                 {"[]", 400},
		"not JSON":              {"{", 400},
		"no beacons":            {beaconsBody(id, 1, ""), 422},
		"many beacons":          {beaconsBody(id, 1, strings.Repeat(start+",", 100)+start), 422},
		"large":                 {`{"video":"` + strings.Repeat("x", 64<<10) + `"}`, 413},
		"no view":               {`{"video":"` + id + `","beacons":[` + start + `]}`, 422},
		"a view of another":     {`{"video":"` + id + `","view":"me","beacons":[` + start + `]}`, 422},
		"unknown field":         {`{"video":"` + id + `","viewer":1,"view":"` + viewID(1) + `","beacons":[` + start + `]}`, 422},
		"unknown type":          {beaconsBody(id, 1, `{"type":"pause"}`), 422},
		"unknown video":         {beaconsBody("01890000-0000-7000-8000-000000000000", 1, start), 404},
		"video of another kind": {beaconsBody("../../etc", 1, start), 404},
		"negative":              {beacon(`"watched":-1`), 422},
		"endless":               {beacon(`"watched":1e308`), 422},
		"not a number":          {beacon(`"watched":NaN`), 400},
		"too large a number":    {beacon(`"stalled":1e999`), 400},
		"text":                  {beacon(`"watched":"1"`), 422},
		"half a stall":          {beacon(`"stalls":0.5`), 422},
		"many stalls":           {beacon(`"stalls":9223372036854775807`), 422},
		"backwards":             {beacon(`"from":9,"to":3`), 422},
		"a name without end":    {beacon(`"rendition":"` + strings.Repeat("x", 41) + `"`), 422},
		"unknown error":         {beaconsBody(id, 1, `{"type":"error","error":"=cmd()"}`), 422},
		"an error without one":  {beaconsBody(id, 1, `{"type":"error"}`), 422},
	} {
		t.Run(name, func(t *testing.T) {
			a.ask(t, "POST", "/v1/views", c.body, asJSON).wants(t, c.want)
		})
	}
	if all := a.all(t); len(all) > 0 {
		t.Fatalf("counted is %+v", all)
	}
	// What is allowed and cannot be: a day in a moment, beyond the end, in renditions that are not.
	a.ask(t, "POST", "/v1/views", beaconsBody(id, 1, `{"type":"heartbeat","from":50,"to":172800,"watched":86400,"stalled":86400,"rendition":"720p"},
		{"type":"heartbeat","rendition":"=cmd()","watched":86400},{"type":"heartbeat","rendition":"4320p","watched":3}`), asJSON).wants(t, 202)
	view := a.all(t)[0]
	times := view.Times()
	if names := slices.Sorted(maps.Keys(times)); !slices.Equal(names, []string{"", "720p"}) {
		t.Errorf("renditions %q", names)
	}
	if got := times[""].Watched + times[""].Stalled + times["720p"].Watched + times["720p"].Stalled; got != 30*time.Second {
		t.Errorf("a view of no length took %s", got)
	}
	if view.Parts != projections.PartsOf(50, 60, 60) || view.Parts == 0 {
		t.Errorf("parts %b", view.Parts)
	}
}

// Players on pages of other sites may send, and nothing else; as text/plain they need not ask before.
func TestBeaconsFromPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	id := a.playable(t)
	cross := []string{"Origin: https://other.example", "Sec-Fetch-Site: cross-site"}
	sent := a.ask(t, "POST", "/v1/views", beaconsBody(id, 1, `{"type":"start"}`), append(cross, "Content-Type: text/plain;charset=UTF-8")...)
	sent.wants(t, 202)
	asked := a.ask(t, "OPTIONS", "/v1/views", "", append(cross, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")...)
	asked.wants(t, 204)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Content-Type", "Access-Control-Allow-Credentials": "",
	} {
		if got := asked.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	a.ask(t, "POST", "/v1/videos", `{"title":"x"}`, append(cross, asJSON)...).wants(t, 403)
	a.ask(t, "POST", "/v1/videos", `{"title":"x"}`, "Content-Type: text/plain").wants(t, 415)
	a.ask(t, "GET", "/v1/views", "", cross...).wants(t, 405)
	if len(a.all(t)) != 1 {
		t.Errorf("%d views", len(a.all(t)))
	}
}
