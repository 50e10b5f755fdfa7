package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

// standing is how the projections stand, as "cinelog projections ls" says.
func standing(t *testing.T, dir string) map[string]web.ProjectionAnswer {
	t.Helper()
	all := map[string]web.ProjectionAnswer{}
	for line := range strings.Lines(cinelog(t, exitDone, "--data", dir, "--json", "projections", "ls")) {
		var p web.ProjectionAnswer
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all[p.Name] = p
	}
	if len(all) != len(readModels()) {
		t.Fatalf("listed: %+v", all)
	}
	return all
}

// blocked makes the catalog unable to apply the next video: its row cannot be stored.
func blocked(t *testing.T, dir string) (repair func()) {
	t.Helper()
	number, err := os.ReadFile(filepath.Join(dir, "views-catalog.current"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.OpenDB(t.Context(), filepath.Join(dir, "views-catalog-"+strings.TrimSpace(string(number))+".db"), sqlite.Normal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `CREATE TRIGGER planted BEFORE INSERT ON rows WHEN NEW.title LIKE '%poison%'
		BEGIN SELECT RAISE(ABORT, 'a planted fault'); END`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), `DROP TRIGGER planted`); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A projection that cannot apply an event halts; the server, and the other projections, go on. It goes on when it is told
// to try again after a fix, or to skip the event.
func TestAServerWithAHaltedProjection(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"fix", "skip"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			a := serveForTest(t, dir)
			cl := &client{server: a.url()}
			first := readyVideo(t, a.service.Log, "right")
			eventually(t, time.Minute, func() string { return playableAndListed(t, cl, first, true) })
			repair := blocked(t, dir)
			second := readyVideo(t, a.service.Log, "poison")
			eventually(t, time.Minute, func() string {
				if p := standing(t, dir)["catalog"]; p.State != "halted" {
					return "the catalog is " + p.State
				}
				return playableAndListed(t, cl, second, false)
			})
			p := standing(t, dir)["catalog"]
			if p.Position != 7 || p.Head != 14 || p.LagEvents != 7 || p.Error.Position != 8 || p.Error.Type != "video.created.v1" ||
				p.Error.Video != string(second) || !strings.Contains(p.Error.Detail, "a planted fault") {
				t.Errorf("the halted catalog: %+v, %+v", p, p.Error)
			}
			if other := standing(t, dir)["playback"]; other.State != "live" || other.LagEvents != 0 {
				t.Errorf("the other one: %+v", other)
			}
			var ready struct{ Halted []string }
			if err := cl.call(t.Context(), http.MethodGet, "/readyz", nil, &ready); err != nil || !slices.Equal(ready.Halted, []string{"catalog"}) {
				t.Errorf("/readyz: %v, %v", ready, err)
			}
			if out := cinelog(t, exitDone, "--data", dir, "projections", "ls"); !strings.Contains(out, "catalog: halted at 8 since") {
				t.Errorf("ls says:\n%s", out)
			}
			if way == "fix" {
				repair()
				cinelog(t, exitDone, "--data", dir, "projections", "resume", "catalog")
				eventually(t, time.Minute, func() string { return playableAndListed(t, cl, second, true) })
			} else {
				cinelog(t, exitFailed, "--data", dir, "projections", "skip", "catalog", "--position", "8", "--reason", " ")
				cinelog(t, exitFailed, "--data", dir, "projections", "skip", "catalog", "--position", "15", "--reason", "later")
				var p web.ProjectionAnswer
				if err := cl.call(t.Context(), http.MethodPost, "/v1/admin/projections/catalog/skip",
					map[string]any{"position": 8, "reason": "a planted fault"}, &p); err != nil || len(p.Skips) != 1 {
					t.Fatalf("%+v, %v", p, err)
				}
			}
			eventually(t, time.Minute, func() string {
				if p := standing(t, dir)["catalog"]; p.State != "live" || p.Error != nil || p.LagEvents != 0 {
					return "the catalog is " + p.State
				}
				return ""
			})
			if way == "skip" {
				repair()
				// A rebuild, and verify, leave out what is skipped.
				cinelog(t, exitDone, "--data", dir, "replay", "catalog", "--verify")
				cinelog(t, exitDone, "--data", dir, "replay", "catalog")
				cinelog(t, exitDone, "--data", dir, "replay", "catalog", "--verify")
				if out := cinelog(t, exitDone, "--data", dir, "projections", "ls"); !strings.Contains(out, "skips 8 since") || !strings.Contains(out, "a planted fault") {
					t.Errorf("ls says:\n%s", out)
				}
			}
		})
	}
}

func playableAndListed(t *testing.T, cl *client, id domain.VideoID, listed bool) string {
	t.Helper()
	if err := cl.call(t.Context(), http.MethodGet, "/play/"+string(id)+"/master.m3u8", nil, nil); err != nil {
		return err.Error()
	}
	var page struct {
		Items []struct {
			ID domain.VideoID `json:"id"`
		} `json:"items"`
	}
	if err := cl.call(t.Context(), http.MethodGet, "/v1/videos", nil, &page); err != nil {
		return err.Error()
	}
	found := false
	for _, v := range page.Items {
		found = found || v.ID == id
	}
	if found != listed {
		return "video " + string(id) + " is in the catalog, or not, the wrong way round"
	}
	return ""
}

func TestAProjectionIsPaused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := serveForTest(t, dir)
	cl := &client{server: a.url()}
	cinelog(t, exitDone, "--data", dir, "projections", "pause", "catalog")
	cinelog(t, exitDone, "--data", dir, "projections", "pause", projections.AnalyticsName)
	time.Sleep(5 * tick) // a running server takes notice within one; nothing says that it has
	id := readyVideo(t, a.service.Log, "right")
	eventually(t, time.Minute, func() string { return playableAndListed(t, cl, id, false) })
	p := standing(t, dir)
	if p["catalog"].State != "paused" || p["catalog"].PausedSince == nil || p["catalog"].LagEvents != 7 || p["playback"].State != "live" {
		t.Errorf("paused: %+v", p)
	}
	if got := look(t, cl, id).Uploaded; got != 0 || p[projections.AnalyticsName].State != "paused" {
		t.Errorf("figures that are paused: %d bytes, %+v", got, p[projections.AnalyticsName])
	}
	for _, name := range []string{"catalog", projections.AnalyticsName} {
		var p web.ProjectionAnswer
		if err := cl.call(t.Context(), http.MethodPost, "/v1/admin/projections/"+name+"/resume", nil, &p); err != nil || p.PausedSince != nil {
			t.Errorf("%+v, %v", p, err)
		}
	}
	eventually(t, time.Minute, func() string {
		if look(t, cl, id).Uploaded != 5000 {
			return "the figures do not go on"
		}
		return playableAndListed(t, cl, id, true)
	})
	eventually(t, time.Minute, func() string {
		for name, p := range standing(t, dir) {
			if p.State != "live" || p.LagEvents != 0 {
				return name + " is " + p.State
			}
		}
		return ""
	})
}

func TestWhatIsNotAProjection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cl := &client{server: serveForTest(t, dir).url()}
	for _, path := range []string{"/v1/admin/projections/relay/pause", "/v1/admin/projections/relay/resume"} {
		if err := cl.call(t.Context(), http.MethodPost, path, nil, nil); err == nil || !strings.Contains(err.Error(), "there is no projection") {
			t.Errorf("%s: %v", path, err)
		}
	}
	cinelog(t, exitFailed, "--data", dir, "projections", "pause", "relay")
	cinelog(t, exitFailed, "--data", t.TempDir(), "projections", "ls") // no log
}
