package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/streamcheck"
)

// chosen are the recommendations that our presentations do not follow, each with its reason.
var chosen = map[string]string{
	"Apple, 7.5":  "segments of 4 s start sooner than segments of 6 s",
	"Apple, 7.6":  "segments of 4 s start sooner than segments of 6 s",
	"Apple, 9.10": "a second encode of the highest rung costs as much as all others",
	"Apple, 1.32": "players begin with the first variant, and measure; the highest that fits is what people want",
}

// ofTheSource are those that depend on what was uploaded.
var ofTheSource = map[string]string{
	"Apple, 1.4":  "the source's own pictures are served as they are",
	"Apple, 1.13": "the source's own pictures have the keyframes that they have",
	"Apple, 8.14": "the source's own pictures come as unevenly as they do; they are not encoded again for that",
	"Apple, 1.18": "the frame rate is the source's own",
	"Apple, 1.30": "a scene that is still and then not has a peak; the encoder's cap bounds it",
	"Apple, 9.9":  "a source of the lowest rung's size has no lower one",
}

// ofGrowth are those that a video does not follow before it is complete.
var ofGrowth = map[string]string{
	"Apple, 6.1": "keyframes are listed when all of them are known",
}

// brokenRules holds what a server serves of a video against the rules of HLS and DASH, and returns what is broken
// beside what is chosen; an address that is empty is left out.
func brokenRules(ctx context.Context, server, hls, dash string, excused ...map[string]string) (wrong []string) {
	for _, address := range []string{hls, dash} {
		if address == "" {
			continue
		}
		report, err := streamcheck.Check(ctx, server+address, streamcheck.Options{})
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		for _, f := range report.Findings {
			if slices.ContainsFunc(excused, func(m map[string]string) bool { return m[f.Clause] != "" }) {
				continue
			}
			wrong = append(wrong, fmt.Sprintf("%s %s: %s, %s:%d: is %s, wanted %s", f.Severity, f.Clause, f.Rule, f.File, f.Line, f.Measured, f.Wanted))
		}
	}
	return wrong
}

// followsTheRules fails the test where a video that is complete does not.
func followsTheRules(t testing.TB, server string, v answer) {
	t.Helper()
	for _, w := range brokenRules(context.WithoutCancel(t.Context()), server, v.Playback.HLS, v.Playback.DASH, chosen, ofTheSource) {
		t.Errorf("%s: %s", v.Title, w)
	}
}

// allFollowTheRules looks at every video of a server that is ready to be watched. Whoever ends a server of a test calls it
// before, so that it is asked of all that tests produce.
func allFollowTheRules(t testing.TB, server string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Minute)
	defer cancel()
	cl := &client{server: server}
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				answer

				Published      bool
				PlaybackPolicy string `json:"playback_policy"`
			}
			NextCursor string `json:"next_cursor"`
		}
		if err := cl.call(ctx, http.MethodGet, "/v1/videos?limit=100&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			t.Error(err)
			return
		}
		for _, v := range page.Items {
			if v.Status == "ready" && v.Published && v.PlaybackPolicy == "public" {
				followsTheRules(t, server, v.answer)
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			return
		}
	}
}
