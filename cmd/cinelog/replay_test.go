package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// readyVideo appends all that makes a video ready, in one commit, so that no worker finds anything to do.
func readyVideo(t testing.TB, log commands.EventLog, title string) domain.VideoID {
	t.Helper()
	id, err := domain.NewVideoID()
	if err != nil {
		t.Fatal(err)
	}
	info := domain.SourceInfo{Width: 320, Height: 240, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 4, Frames: 100}
	plan := domain.PlanTranscode(info)
	blob := domain.Blob{Key: "media/" + string(id) + "/a1/0/240p/00000.m4s", Bytes: 1000, SHA256: strings.Repeat("a", 64)}
	_, err = log.Append(t.Context(), domain.Commit{
		ID: string(id), Stream: string(id), Time: time.Now(), Events: []domain.Event{
			domain.VideoCreated{Owner: "local", Details: domain.Details{Title: title, Visibility: domain.Public}, Publish: domain.PublishAuto},
			domain.VideoUploaded{Attempt: 1, Filename: "a.mp4", Source: domain.Blob{Key: "sources/" + string(id) + "/1", Bytes: 5000}},
			domain.SourceInspected{Attempt: 1, Source: info},
			domain.TranscodePlanned{Attempt: 1, Plan: plan},
			domain.ChunkTranscoded{Attempt: 1, Renditions: []domain.RenditionChunk{{
				Name: plan.Rungs[0].Name, Init: blob, Codecs: "avc1.64000d", Segments: []domain.Segment{{Blob: blob, Duration: 4}},
			}}},
			domain.RenditionProduced{Attempt: 1, Name: plan.Rungs[0].Name, Bytes: 1000, Duration: 4},
			domain.VideoPublished{},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// damage changes every read model on disk: another title, nothing to play, other figures.
func damage(t *testing.T, dir string, id domain.VideoID) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	catalog, err := sqlite.OpenCatalog(ctx, dir)
	must(err)
	v, err := catalog.Video(ctx, id)
	must(err)
	v.Details.Title = "wrong"
	at, err := catalog.Checkpoint(ctx)
	must(err)
	must(catalog.Save(ctx, map[string]projections.Video{string(id): v}, nil, at, at))
	must(catalog.Close())
	playback, err := sqlite.OpenRows(ctx, dir, projections.PlaybackModel())
	must(err)
	at, err = playback.Checkpoint(ctx)
	must(err)
	must(playback.Save(ctx, nil, []string{string(id)}, at, at))
	must(playback.Close())
	number, err := os.ReadFile(filepath.Join(dir, "views-analytics.current"))
	must(err)
	db, err := sql.Open("sqlite", filepath.Join(dir, "views-analytics-"+strings.TrimSpace(string(number))+".db"))
	must(err)
	_, err = db.ExecContext(ctx, "UPDATE facts SET bytes = bytes + 1 WHERE kind = 'uploaded'")
	must(err)
	must(db.Close())
}

// seen is what a client sees of a video and of the figures.
type seen struct {
	Title    string
	Playable bool
	Uploaded int64
}

// look returns what there is so far.
func look(t *testing.T, cl *client, id domain.VideoID) seen {
	t.Helper()
	var v answer
	_ = cl.call(t.Context(), "GET", "/v1/videos/"+string(id), nil, &v)
	var totals struct {
		UploadedBytes int64 `json:"uploaded_bytes"`
	}
	if err := cl.call(t.Context(), "GET", "/v1/analytics/totals", nil, &totals); err != nil {
		t.Fatal(err)
	}
	playable := cl.call(t.Context(), "GET", "/play/"+string(id)+"/master.m3u8", nil, nil) == nil
	return seen{v.Title, playable, totals.UploadedBytes}
}

// cinelog runs the command as main does.
func cinelog(t *testing.T, want int, args ...string) (stdout string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(args, &out, &errs); code != want {
		t.Fatalf("cinelog %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), errs.String())
	}
	return out.String()
}

func TestARunningServerNoticesAReplay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := serveForTest(t, dir)
	cl := &client{server: a.url()}
	id := readyVideo(t, a.service.Log, "right")
	right := seen{"right", true, 5000}
	eventually(t, time.Minute, func() string { return cmp.Diff(right, look(t, cl, id)) })
	damage(t, dir, id)
	if diff := cmp.Diff(seen{"wrong", false, 5001}, look(t, cl, id)); diff != "" {
		t.Fatalf("the damage does not show (-want +got):\n%s", diff)
	}
	cinelog(t, exitFailed, "--data", dir, "replay", "all", "--verify")
	cinelog(t, exitDone, "--data", dir, "replay", "all")
	if diff := cmp.Diff(right, look(t, cl, id)); diff != "" {
		t.Errorf("after the replay (-want +got):\n%s", diff)
	}
	cinelog(t, exitDone, "--data", dir, "replay", "all", "--verify")
	// And it goes on in the new ones.
	id = readyVideo(t, a.service.Log, "another")
	eventually(t, time.Minute, func() string { return cmp.Diff(seen{"another", true, 10_000}, look(t, cl, id)) })
}

// A server that finds a log and no read models, or only those of another version, answers when they are whole.
func TestTheFirstAnswerIsWhole(t *testing.T) {
	t.Parallel()
	const videos = 2000
	dir, _ := logWithVideos(t, videos)
	var page struct {
		Facets map[string][]struct {
			Value string `json:"value"`
			Count int    `json:"count"`
		} `json:"facets"`
	}
	cl := &client{server: serveForTest(t, dir).url()}
	if err := cl.call(t.Context(), "GET", "/v1/videos?limit=1&facets=status", nil, &page); err != nil {
		t.Fatal(err)
	}
	if got := page.Facets["status"]; len(got) != 1 || got[0].Value != "ready" || got[0].Count != videos {
		t.Errorf("the first answer counts %+v, want %d that are ready", got, videos)
	}
}

// logWithVideos is a data folder with nothing but a log.
func logWithVideos(t *testing.T, n int) (dir string, ids []domain.VideoID) {
	t.Helper()
	dir = t.TempDir()
	log, err := sqlite.OpenLog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		ids = append(ids, readyVideo(t, log, "right"))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, ids
}

func TestReplayWithoutAServer(t *testing.T) {
	t.Parallel()
	dir, ids := logWithVideos(t, 3)
	if out := cinelog(t, exitDone, "--data", dir, "replay", "all"); strings.Count(out, "nothing of this version to compare with; switched") != 3 {
		t.Errorf("the first replay says:\n%s", out)
	}
	damage(t, dir, ids[1])
	before := viewFiles(t, dir)
	out := cinelog(t, exitDone, "--data", dir, "replay", "catalog", "--dry-run")
	if !strings.Contains(out, "21 events") || !strings.Contains(out, "was wrong in "+string(ids[1])+"; nothing changed") {
		t.Errorf("--dry-run says:\n%s", out)
	}
	out = cinelog(t, exitFailed, "--data", dir, "replay", "playback", "--verify")
	if !strings.Contains(out, "was wrong in "+string(ids[1])) || !strings.Contains(out, "; nothing changed") {
		t.Errorf("--verify says:\n%s", out)
	}
	if out = cinelog(t, exitFailed, "--data", dir, "verify"); strings.Count(out, "cinelog replay all") != 3 {
		t.Errorf("verify says:\n%s", out)
	}
	if diff := cmp.Diff(before, viewFiles(t, dir)); diff != "" {
		t.Errorf("looking changed something:\n%s", diff)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for i, line := range strings.Split(strings.TrimSpace(cinelog(t, exitDone, "--data", dir, "replay", "all", "--json")), "\n") {
		var got replayed
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got.Seconds <= 0 || got.EventsPerSecond <= 0 {
			t.Errorf("no figures: %s", line)
		}
		got.Seconds, got.EventsPerSecond = 0, 0
		want := []replayed{
			{Projection: "catalog", Rows: 3, Different: []string{string(ids[1])}},
			{Projection: "playback", Rows: 12, Different: []string{
				string(ids[1]), string(ids[1]) + "/000001/000000", string(ids[1]) + "/000001/plan", string(ids[1]) + "/000001/source",
			}},
			{Projection: "analytics", Rows: 12, Different: []string{today}},
		}[i]
		want.Events, want.Position, want.Switched = 21, 21, true
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if out = cinelog(t, exitDone, "--data", dir, "replay", "all", "--verify"); strings.Count(out, "equal to the one in use") != 3 {
		t.Errorf("afterwards:\n%s", out)
	}
}

func TestReplayOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	cinelog(t, exitFailed, "--data", t.TempDir(), "replay", "all")
	cinelog(t, exitUsage, "--data", t.TempDir(), "replay", "everything")
	cinelog(t, exitUsage, "--data", t.TempDir(), "replay", "all", "--from", "7") // a row needs all events of its video
}

// TestReplayStoppedAnywhere stops a replay at ever later moments until it comes to its end: as long as it does not, all
// is as it was.
func TestReplayStoppedAnywhere(t *testing.T) {
	t.Parallel()
	dir, _ := logWithVideos(t, 3)
	cinelog(t, exitDone, "--data", dir, "replay", "all")
	for _, name := range readModels() {
		before := viewFiles(t, dir)
		stopped := 0
		for moment := 1; ; moment += 1 + moment/6 {
			ctx, cancel := context.WithCancel(t.Context())
			until := &countdown{Context: ctx, stop: cancel}
			until.left.Store(int64(moment))
			err := replayCmd{Projection: name}.Run(until, &console{out: io.Discard, err: io.Discard, places: places{Data: dir}})
			cancel()
			if err == nil {
				break
			}
			stopped++
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s, stopped at moment %d: %v", name, moment, err)
			}
			if diff := cmp.Diff(before, withoutBuilds(viewFiles(t, dir), before)); diff != "" {
				t.Fatalf("%s, stopped at moment %d, changed something:\n%s", name, moment, diff)
			}
		}
		t.Logf("%s was stopped at %d moments", name, stopped)
		if stopped < 10 {
			t.Errorf("%s was stopped at %d moments only", name, stopped)
		}
	}
	cinelog(t, exitDone, "--data", dir, "replay", "all", "--verify")
}

// withoutBuilds leaves out what was not there before, where it is one build that can be gone on with.
func withoutBuilds(now, before map[string]string) map[string]string {
	builds := 0
	for name := range now {
		if _, ok := before[name]; !ok && strings.HasSuffix(name, ".db") {
			if builds++; builds == 1 {
				delete(now, name)
			}
		}
	}
	return now
}

// countdown ends when it was asked so many times whether it has.
type countdown struct {
	context.Context //nolint:containedctx // it is one

	left atomic.Int64
	stop func()
}

func (c *countdown) Err() error {
	c.asked()
	return c.Context.Err()
}

func (c *countdown) Done() <-chan struct{} {
	c.asked()
	return c.Context.Done()
}

func (c *countdown) asked() {
	if c.left.Add(-1) <= 0 {
		c.stop()
	}
}

// viewFiles lists the files of the read models, without those that SQLite keeps beside them, and what the small ones say.
func viewFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case slices.ContainsFunc([]string{"-wal", "-shm", "-journal"}, func(s string) bool { return strings.HasSuffix(name, s) }):
		case strings.HasSuffix(name, ".current"), strings.HasSuffix(name, ".previous"):
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			found[name] = string(b)
		case strings.HasPrefix(name, "views-"):
			found[name] = ""
		}
	}
	return found
}
