package web_test

import "testing"

// Pages of all sites may play, and do nothing else.
func TestPagesOfOtherSitesMayPlayAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const id = "019a0000-0000-7000-8000-000000000001"
	for _, path := range []string{"/play/" + id + "/master.m3u8", "/media/" + id + "/a1/x/720p/init.mp4"} {
		answer := s.ask(t, "GET", path, "", "Origin: https://other.example")
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("%s allows the origin %q", path, got)
		}
		asked := s.ask(t, "OPTIONS", path, "", "Origin: https://other.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: range")
		asked.wants(t, 204)
		if got := asked.Header.Get("Access-Control-Allow-Headers"); got != "Range, If-None-Match, Cinelog-Min-Position" {
			t.Errorf("%s allows the headers %q", path, got)
		}
	}
	for _, path := range []string{"/v1/videos", "/v1/videos/" + id, "/v1/analytics/totals", "/healthz", "/"} {
		answer := s.ask(t, "GET", path, "", "Origin: https://other.example")
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s allows the origin %q", path, got)
		}
	}
	s.ask(t, "OPTIONS", "/v1/videos", "", "Origin: https://other.example", "Access-Control-Request-Method: POST").wants(t, 405)
}
