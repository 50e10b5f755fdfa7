package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

func TestAReplayOverHTTP(t *testing.T) {
	t.Parallel()
	dir, ids := logWithVideos(t, 30)
	cl := &client{server: serveForTest(t, dir).url()}
	start := func(projection string, rate int, dryRun bool) (r web.ReplayAnswer, err error) {
		return r, cl.call(t.Context(), http.MethodPost, "/v1/admin/replays", map[string]any{"projection": projection, "rate": rate, "dry_run": dryRun}, &r)
	}
	get := func(id string) (r web.ReplayAnswer) {
		t.Helper()
		if err := cl.call(t.Context(), http.MethodGet, "/v1/admin/replays/"+id, nil, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	ended := func(id, state string) (r web.ReplayAnswer) {
		t.Helper()
		eventually(t, time.Minute, func() string {
			if r = get(id); r.State != state {
				return fmt.Sprintf("the replay: %+v, want it %s", r, state)
			}
			return ""
		})
		return r
	}
	slow, err := start("catalog", 30, false) // 7 s, if it were left alone
	if err != nil || slow.State != "running" || slow.Head != 210 {
		t.Fatalf("%+v, %v", slow, err)
	}
	if _, err := start("catalog", 0, false); err == nil || !strings.Contains(err.Error(), "another rebuild of catalog is running") {
		t.Errorf("a second one: %v", err)
	}
	if out := cinelog(t, exitDone, "--data", dir, "projections", "ls"); !strings.Contains(out, "catalog: rebuild at ") {
		t.Errorf("ls says:\n%s", out)
	}
	eventually(t, time.Minute, func() string {
		if r := get(slow.ID); r.Position == 0 || r.EventsPerSecond == 0 || r.ETASeconds == nil {
			return fmt.Sprintf("%+v", r)
		}
		return ""
	})
	if p := standing(t, dir)["catalog"]; p.State != "rebuilding" || p.Replay == nil || p.Replay.ID != slow.ID {
		t.Errorf("the projection: %+v", p)
	}
	if err := cl.call(t.Context(), http.MethodDelete, "/v1/admin/replays/"+slow.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
	ended(slow.ID, "cancelled")
	if err := cl.call(t.Context(), http.MethodDelete, "/v1/admin/replays/"+slow.ID, nil, nil); err == nil {
		t.Error("one that is over was called off")
	}
	dry, err := start("playback", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if r := ended(dry.ID, "done"); !r.Outcome.Equal || r.Outcome.New || r.Outcome.Switched || r.Outcome.Rows != 120 {
		t.Errorf("a dry run: %+v", r.Outcome)
	}
	damage(t, dir, ids[3])
	fast, err := start("catalog", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	r := ended(fast.ID, "done")
	if r.Resumed != 0 || r.Position != 210 || r.Outcome.Equal || !r.Outcome.Switched || len(r.Outcome.Different) != 1 || r.Outcome.Different[0] != string(ids[3]) {
		t.Errorf("%+v, %+v", r, r.Outcome)
	}
	if got := look(t, cl, ids[3]).Title; got != "right" {
		t.Errorf("afterwards the title is %q", got)
	}
	var all struct{ Items []web.ReplayAnswer }
	if err := cl.call(t.Context(), http.MethodGet, "/v1/admin/replays", nil, &all); err != nil || len(all.Items) != 3 || all.Items[0].ID != fast.ID {
		t.Errorf("listed: %+v, %v", all, err)
	}
	if _, err := start("relay", 0, false); err == nil || !strings.Contains(err.Error(), "no projection") {
		t.Errorf("of what is none: %v", err)
	}
	if err := cl.call(t.Context(), http.MethodGet, "/v1/admin/replays/none", nil, nil); err == nil {
		t.Error("a replay that is not there was found")
	}
}

// A replay that is stopped goes on where it was, when the same is asked for again.
func TestAReplayGoesOn(t *testing.T) {
	t.Parallel()
	dir, _ := logWithVideos(t, 30)
	cinelog(t, exitDone, "--data", dir, "replay", "all")
	stop := func(name string) string {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var out, lines bytes.Buffer
		ended := make(chan error, 1)
		go func() {
			ended <- replayCmd{Projection: name, Rate: 30}.Run(ctx, &console{out: &out, err: &lines, places: places{Data: dir}})
		}()
		eventually(t, time.Minute, func() string {
			if r := standing(t, dir)[name].Replay; r == nil || r.Position == 0 {
				return "it has not begun"
			}
			return ""
		})
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a replay that was stopped: %v", err)
		}
		return out.String()
	}
	for _, name := range readModels() {
		if out := stop(name); !strings.Contains(out, "the same command goes on there") {
			t.Errorf("stopped, it says:\n%s", out)
		}
		if out := cinelog(t, exitDone, "--data", dir, "replay", name); !strings.Contains(out, name+": resumed at ") || !strings.Contains(out, "equal to the one in use") {
			t.Errorf("asked for again, it says:\n%s", out)
		}
		stop(name)
		if out := cinelog(t, exitDone, "--data", dir, "replay", name, "--fresh"); strings.Contains(out, "resumed") {
			t.Errorf("asked for anew, it says:\n%s", out)
		}
	}
	stop("catalog")
	cinelog(t, exitDone, "--data", dir, "projections", "skip", "catalog", "--position", "1", "--reason", "for a test")
	if out := cinelog(t, exitDone, "--data", dir, "replay", "catalog"); strings.Contains(out, "resumed") || !strings.Contains(out, "210 events") {
		t.Errorf("with another event to skip, it says:\n%s", out)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	dir, ids := logWithVideos(t, 3)
	cinelog(t, exitDone, "--data", dir, "replay", "all")
	for _, name := range readModels() {
		cinelog(t, exitDone, "--data", dir, "replay", name)
	}
	damage(t, dir, ids[1])
	cinelog(t, exitDone, "--data", dir, "replay", "all")
	a := serveForTest(t, dir)
	cl := &client{server: a.url()}
	sound, damaged := seen{"right", true, 15000}, seen{"wrong", false, 15003}
	for _, want := range []seen{damaged, sound} { // there and back
		if out := cinelog(t, exitDone, "--data", dir, "replay", "all", "--rollback"); strings.Count(out, "back to the generation before") != 3 {
			t.Errorf("a rollback says:\n%s", out)
		}
		if got := look(t, cl, ids[1]); got != want {
			t.Errorf("after the rollback: %+v, want %+v", got, want)
		}
	}
	id := readyVideo(t, a.service.Log, "another")
	eventually(t, time.Minute, func() string {
		if got := look(t, cl, id); got != (seen{"another", true, 20000}) {
			return fmt.Sprintf("%+v", got)
		}
		return ""
	})
	// What was rolled back to is brought up to date first.
	cinelog(t, exitDone, "--data", dir, "replay", "all", "--rollback")
	if got := look(t, cl, id); got != (seen{"another", true, 20003}) {
		t.Errorf("a later video, after a rollback: %+v", got)
	}
	cinelog(t, exitUsage, "--data", dir, "replay", "all", "--rollback", "--dry-run")
}

func TestALookAtThePast(t *testing.T) {
	t.Parallel()
	dir, ids := logWithVideos(t, 3)
	cinelog(t, exitDone, "--data", dir, "replay", "all")
	before := viewFiles(t, dir)
	file := filepath.Join(t.TempDir(), "past.jsonl")
	past := func(name string, to string) (keys []string, text string) {
		t.Helper()
		cinelog(t, exitDone, "--data", dir, "replay", name, "--to", to, "--out", file)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			var row struct {
				Key string          `json:"key"`
				Row json.RawMessage `json:"row"`
			}
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			keys = append(keys, row.Key)
		}
		return keys, string(b)
	}
	if keys, text := past("catalog", "8"); len(keys) != 2 || keys[1] != string(ids[1]) || strings.Count(text, `"Status":"ready"`) != 1 {
		t.Errorf("as of 8: %v\n%s", keys, text)
	}
	if keys, _ := past("playback", "7"); len(keys) != 4 || keys[0] != string(ids[0]) {
		t.Errorf("what can be played as of 7: %v", keys)
	}
	if _, text := past("analytics", "2"); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"kind":"uploaded"`) {
		t.Errorf("facts as of 2:\n%s", text)
	}
	if out := cinelog(t, exitDone, "--data", dir, "replay", "catalog", "--to", "1", "--out", "-"); strings.Count(out, "\n") != 1 {
		t.Errorf("to the standard output:\n%s", out)
	}
	if after := viewFiles(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("looking changed %v to %v", before, after)
	}
	for _, wrong := range [][]string{{"catalog", "--to", "3"}, {"all", "--to", "3", "--out", file}, {"catalog", "--to", "99", "--out", file}} {
		cinelog(t, exitUsage, append([]string{"--data", dir, "replay"}, wrong...)...)
	}
}

// Nobody who reacts to events sees those of a replay: no message is sent, no event comes of it, and no work is done again.
func TestNobodyReactsToAReplay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := serveForTest(t, dir)
	cl := &client{server: a.url()}
	id := readyVideo(t, a.service.Log, "right")
	eventually(t, time.Minute, func() string {
		if got := look(t, cl, id); got != (seen{"right", true, 5000}) {
			return fmt.Sprintf("%+v", got)
		}
		return ""
	})
	db, err := sqlite.OpenReadOnly(t.Context(), filepath.Join(dir, "bus.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	sent := func() (last int64) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), `SELECT seq FROM sqlite_sequence WHERE name = 'messages'`).Scan(&last); err != nil {
			t.Fatal(err)
		}
		return last
	}
	head := func() int64 { return standing(t, dir)["catalog"].Head }
	// What the first events lead to is done when all are sent and no message is left, and no event came meanwhile.
	eventually(t, time.Minute, func() string {
		var left int
		var relayed int64
		last := head()
		err := db.QueryRowContext(t.Context(), `SELECT position, (SELECT count(*) FROM messages) FROM checkpoints WHERE name = ?`, relayName).Scan(&relayed, &left)
		if now := head(); err != nil || left > 0 || relayed != now || last != now {
			return fmt.Sprintf("%d messages are left, %d of %d events are sent, %v", left, relayed, now, err)
		}
		return ""
	})
	messages, events := sent(), head()
	if messages == 0 {
		t.Fatal("no message was sent: the test shows nothing")
	}
	for range 2 {
		cinelog(t, exitDone, "--data", dir, "replay", "all")
	}
	var r web.ReplayAnswer
	if err := cl.call(t.Context(), http.MethodPost, "/v1/admin/replays", map[string]any{"projection": "catalog"}, &r); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string {
		if err := cl.call(t.Context(), http.MethodGet, "/v1/admin/replays/"+r.ID, nil, &r); err != nil || r.State != "done" {
			return r.State
		}
		return ""
	})
	// One more event goes the way of all: had there been others, they would have gone before it.
	another := readyVideo(t, a.service.Log, "another")
	eventually(t, time.Minute, func() string {
		if got := look(t, cl, another); got != (seen{"another", true, 10000}) {
			return fmt.Sprintf("%+v", got)
		}
		return ""
	})
	eventually(t, time.Minute, func() string {
		if got := sent() - messages; got != messages {
			return fmt.Sprintf("%d messages were sent for a video, %d for another one and three replays", messages, got)
		}
		return ""
	})
	if got := head() - events; got != events {
		t.Errorf("%d events came of a video, %d of another one and three replays", events, got)
	}
}

// A server of a new version of a read model serves the one that is there, and has its own soon.
func TestAServerOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir, ids := logWithVideos(t, 3)
	cinelog(t, exitDone, "--data", dir, "replay", "all")
	damage(t, dir, ids[1]) // what the version before says is something else
	for _, name := range readModels() {
		number, err := os.ReadFile(filepath.Join(dir, "views-"+name+".current"))
		if err != nil {
			t.Fatal(err)
		}
		db, err := sqlite.OpenDB(t.Context(), filepath.Join(dir, fmt.Sprintf("views-%s-%s.db", name, strings.TrimSpace(string(number)))), sqlite.Normal)
		if err == nil {
			_, err = db.ExecContext(t.Context(), `UPDATE meta SET version = version + 1000`)
		}
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if p := standing(t, dir)["catalog"]; p.State != "rebuilding" || p.Stored != p.Version+1000 || p.Position != 21 {
		t.Errorf("before the server: %+v", p)
	}
	if out := cinelog(t, exitDone, "--data", dir, "projections", "ls"); !strings.Contains(out, "catalog: the rows in use are of version") {
		t.Errorf("ls says:\n%s", out)
	}
	cl := &client{server: serveForTest(t, dir).url()}
	if got := look(t, cl, ids[1]); got.Title == "" { // the first answer, from whichever
		t.Errorf("the first answer: %+v", got)
	}
	eventually(t, time.Minute, func() string {
		for name, p := range standing(t, dir) {
			if p.State != "live" || p.Stored != p.Version || p.LagEvents != 0 {
				return fmt.Sprintf("%s: %+v", name, p)
			}
		}
		if got := look(t, cl, ids[1]); got != (seen{"right", true, 15000}) {
			return fmt.Sprintf("%+v", got)
		}
		return ""
	})
	var all struct{ Items []web.ReplayAnswer }
	if err := cl.call(t.Context(), http.MethodGet, "/v1/admin/replays", nil, &all); err != nil {
		t.Fatal(err)
	}
	versions := 0
	for _, r := range all.Items {
		if r.Kind == string(projections.ReplayVersion) && r.State == "done" && r.Outcome.New {
			versions++
		}
	}
	if versions != 3 {
		t.Errorf("%d replays because of a version, want 3: %+v", versions, all.Items)
	}
}
