package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/backends"
)

// variedLog is a data folder with a log of videos that were changed, renamed and deleted.
func variedLog(t *testing.T, videos int) (dir string, ids []domain.VideoID) {
	t.Helper()
	dir, ids = logWithVideos(t, videos)
	log, err := sqlite.OpenLog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	for i, id := range ids {
		switch i % 4 {
		case 1:
			appendTo(t, log, id, domain.VideoDetailsChanged{Details: domain.Details{
				Title: "Zürich <at> night\u2028🎬", Tags: []string{"city"}, Visibility: domain.Public,
				Metadata: map[string]string{"камера": "x\"1\\", "": "empty"},
			}})
		case 2:
			appendTo(t, log, id, domain.VideoDeleted{})
		}
	}
	return dir, ids
}

func appendTo(t *testing.T, log commands.EventLog, id domain.VideoID, events ...domain.Event) {
	t.Helper()
	before, err := log.ReadStream(t.Context(), string(id), 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = log.Append(t.Context(), domain.Commit{
		ID: fmt.Sprint(id, "-", len(before)), Stream: string(id), Expected: len(before), Time: time.Now(), Events: events,
		Meta: domain.Meta{Actor: "local", Correlation: "c", Causation: "1", Request: "<r>"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// library is what a client of a server sees.
func library(t *testing.T, server string, ids []domain.VideoID) map[string]any {
	t.Helper()
	cl := &client{server: server}
	seen := map[string]any{}
	get := func(name, path string) {
		var got any
		if err := cl.call(t.Context(), http.MethodGet, path, nil, &got); err != nil {
			got = strings.ReplaceAll(err.Error(), server, "")
		}
		seen[name] = got
	}
	get("all", "/v1/videos?limit=100&facets=status,tags,visibility")
	get("search", "/v1/videos?q=zurich")
	for _, id := range ids {
		get(string(id), "/v1/videos/"+string(id))
		get("events of "+string(id), "/v1/videos/"+string(id)+"/events")
	}
	return seen
}

// The whole way: a log in SQLite goes into MongoDB and back, and is the same everywhere.
func TestALogMovesToMongoAndBack(t *testing.T) {
	t.Parallel()
	from, ids := variedLog(t, 10)
	before := library(t, serveForTest(t, from).url(), ids) // it goes on while its log is exported
	if n := len(before["search"].(map[string]any)["items"].([]any)); n != 3 {
		t.Fatalf("a search finds %d videos, want 3", n)
	}
	dir, uri := t.TempDir(), backends.Mongo(t)
	first := filepath.Join(dir, "first.jsonl")
	cinelog(t, exitDone, "--data", from, "events", "export", first)

	away := []string{"--data", filepath.Join(dir, "away"), "--log", uri, "--views", uri}
	on := func(args ...string) []string { return slices.Concat(away, args) }
	cinelog(t, exitFailed, on("events", "import", first)...) // nothing is provisioned
	cinelog(t, exitDone, on("provision")...)
	if out := cinelog(t, exitDone, on("events", "import", "--dry-run", first)...); !strings.Contains(out, "75 would be added") {
		t.Errorf("--dry-run says: %s", out)
	}
	if out := cinelog(t, exitDone, on("events", "import", first)...); !strings.Contains(out, "the log had 0 of them, 75 were added") {
		t.Errorf("import says: %s", out)
	}
	if out := cinelog(t, exitDone, on("events", "import", first)...); !strings.Contains(out, "nothing to do") {
		t.Errorf("import again says: %s", out)
	}
	cinelog(t, exitDone, on("replay", "all")...)
	if out := cinelog(t, exitDone, on("replay", "all", "--verify")...); strings.Count(out, "equal to the one in use") != 3 {
		t.Errorf("replay says: %s", out)
	}

	second, third := filepath.Join(dir, "second.jsonl"), filepath.Join(dir, "third.jsonl")
	cinelog(t, exitDone, on("events", "export", second)...)
	back := filepath.Join(dir, "back")
	cinelog(t, exitDone, "--data", back, "events", "import", second)
	cinelog(t, exitDone, "--data", back, "events", "export", third)
	want := readFile(t, first)
	if !bytes.Equal(want, readFile(t, second)) || !bytes.Equal(want, readFile(t, third)) {
		t.Error("the exports differ")
	}
	for where, at := range map[string]places{
		"in MongoDB": {Data: filepath.Join(dir, "away"), Log: uri, Views: uri}, "back in SQLite": {Data: back},
	} {
		if diff := cmp.Diff(before, library(t, servePlaces(t, at).url(), ids)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", where, diff)
		}
	}
}

// After a move nothing is wrong, and what was unfinished goes on: a video whose source was stored, and no more, is made.
func TestAnUnfinishedVideoIsMovedAndMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clip, file := filepath.Join(dir, "clip.mp4"), filepath.Join(dir, "log.jsonl")
	if err := makeSample(t.Context(), clip, 3); err != nil {
		t.Fatal(err)
	}
	here := places{Data: filepath.Join(dir, "here")}
	there := places{Data: filepath.Join(dir, "there"), Log: backends.Mongo(t), Blobs: "file:" + filepath.Join(here.Data, "blobs")}
	there.Views = there.Log
	on := func(args ...string) []string {
		return slices.Concat([]string{"--data", there.Data, "--log", there.Log, "--views", there.Views, "--blobs", there.Blobs}, args)
	}
	a := servePlaces(t, here, roleAPI, roleRelay, roleProjector)
	cl := &client{server: a.url()}
	var v answer
	if err := cl.call(t.Context(), http.MethodPost, "/v1/videos", map[string]any{"title": "Moved"}, &v); err != nil {
		t.Fatal(err)
	}
	source := bytes.NewReader(readFile(t, clip))
	if err := cl.put(t.Context(), v.ID, "clip.mp4", source, source.Size()); err != nil {
		t.Fatal(err)
	}
	cinelog(t, exitDone, "--data", here.Data, "events", "export", file)
	cinelog(t, exitDone, on("provision")...)
	cinelog(t, exitDone, on("events", "import", file)...)
	cinelog(t, exitDone, on("replay", "all")...)

	cl = &client{server: servePlaces(t, there).url()}
	var found struct {
		Items []answer `json:"items"`
	}
	if err := cl.call(t.Context(), http.MethodGet, "/v1/videos?q=moved", nil, &found); err != nil || len(found.Items) != 1 {
		t.Fatalf("a search finds %+v, %v", found, err)
	}
	v, err := cl.wait(t.Context(), found.Items[0].ID, true, func(float64) {})
	if err != nil || v.Status != "ready" {
		t.Fatalf("%+v, %v", v, err)
	}
	if out := cinelog(t, exitDone, on("verify")...); !strings.Contains(out, "Nothing wrong") {
		t.Errorf("verify says: %s", out)
	}
}

// A log goes on where it was left: what came after the first export follows with --after, then a server appends.
func TestTheRestOfALogFollows(t *testing.T) {
	t.Parallel()
	from, _ := variedLog(t, 4)
	dir := t.TempDir()
	to, first, rest := filepath.Join(dir, "to"), filepath.Join(dir, "first.jsonl"), filepath.Join(dir, "rest.jsonl")
	out := cinelog(t, exitDone, "--data", from, "events", "export", first)
	if !strings.Contains(out, "cinelog events export --after 30\n") {
		t.Fatalf("export says: %s", out)
	}
	a := serveForTest(t, from)
	id := readyVideo(t, a.service.Log, "later")
	cinelog(t, exitDone, "--data", from, "events", "export", "--after", "30", rest)
	fails(t, "begins after position 30, and the log ends at 0", "--data", to, "events", "import", rest)
	cinelog(t, exitDone, "--data", to, "events", "import", first)
	if out := cinelog(t, exitDone, "--data", to, "events", "import", rest); !strings.Contains(out, "the log had 0 of them, 7 were added") {
		t.Errorf("import says: %s", out)
	}
	b := serveForTest(t, to)
	cl := &client{server: b.url()}
	var v answer
	if err := cl.call(t.Context(), http.MethodGet, "/v1/videos/"+string(id), nil, &v); err != nil || v.Title != "later" {
		t.Errorf("the new video: %+v, %v", v, err)
	}
	// A server has the log now: no import may come between.
	fails(t, "in use by another server", "--data", to, "events", "import", rest)
	cinelog(t, exitDone, "--data", to, "events", "import", "--dry-run", rest)
	appendTo(t, b.service.Log, id, domain.VideoDeleted{})
	next := cinelog(t, exitDone, "--data", to, "events", "export", "--after", "37")
	if strings.Count(next, "\n") != 3 || !strings.Contains(next, `{"position":38,"stream":"`+string(id)+`","version":8,`) {
		t.Errorf("after the move:\n%s", next)
	}
}

// fails runs a command that must fail and say why.
func fails(t *testing.T, why string, args ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(args, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), why) || out.Len() > 0 {
		t.Errorf("cinelog %s: exit code %d\n%s%s\nwant: %s", strings.Join(args, " "), code, out.String(), errs.String(), why)
	}
}

func TestExportToAFile(t *testing.T) {
	t.Parallel()
	data, _ := variedLog(t, 2)
	dir := t.TempDir()
	file := filepath.Join(dir, "log.jsonl")
	cinelog(t, exitDone, "--data", data, "events", "export", file)
	whole := readFile(t, file)
	if out := cinelog(t, exitDone, "--data", data, "events", "export"); out != string(whole) {
		t.Error("the standard output gets something else than the file")
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, "exists: choose another name, or replace it with --force", "--data", data, "events", "export", file)
	if got := readFile(t, file); string(got) != "precious" {
		t.Errorf("a file that was there is now\n%s", got)
	}
	fails(t, "there is no position 99: the log ends at 15", "--data", data, "events", "export", "--after", "99", file, "--force")
	fails(t, "position 3 is inside of a commit, which ends at 7", "--data", data, "events", "export", "--after", "3", file, "--force")
	cinelog(t, exitDone, "--data", data, "events", "export", file, "--force")
	if !bytes.Equal(readFile(t, file), whole) {
		t.Error("--force does not replace the file")
	}
	fails(t, "no such file", "--data", data, "events", "export", filepath.Join(dir, "nowhere", "log.jsonl"))
	fails(t, "there is no event log in", "--data", dir, "events", "export", filepath.Join(dir, "other.jsonl"))
	mustHold(t, dir, "log.jsonl")
}

// mustHold checks that a folder has these files and no other.
func mustHold(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// An export that is stopped at any moment leaves nothing, and says that it is not done.
func TestExportStoppedAnywhere(t *testing.T) {
	t.Parallel()
	data, _ := variedLog(t, 4)
	dir := t.TempDir()
	stops := 0
	for moment := 1; ; moment++ {
		ctx, cancel := context.WithCancel(t.Context())
		until := &countdown{Context: ctx, stop: cancel}
		until.left.Store(int64(moment))
		err := eventsExportCmd{File: filepath.Join(dir, "log.jsonl")}.Run(until, &console{out: io.Discard, err: io.Discard, places: places{Data: data}})
		cancel()
		if err == nil {
			break
		}
		if errors.Is(err, context.Canceled) {
			t.Fatalf("%v: then the exit code says that all went well", err)
		}
		stops++
		mustHold(t, dir)
	}
	if stops < 5 {
		t.Errorf("it was stopped at %d moments only", stops)
	}
}

// A file that is not right is refused before anything is written; what the log has stays.
func TestImportOfWhatIsNotRight(t *testing.T) {
	t.Parallel()
	data, _ := variedLog(t, 4)
	dir := t.TempDir()
	whole := cinelog(t, exitDone, "--data", data, "events", "export")
	lines := slices.Collect(strings.Lines(whole))
	other, _ := variedLog(t, 1)
	swapped := slices.Clone(lines)
	swapped[8], swapped[9] = swapped[9], swapped[8]
	for name, c := range map[string]struct {
		file string
		into string // an empty folder when ""
		says string
	}{
		"cut off":        {file: strings.Join(lines[:25], ""), says: "after line 25 without the closing line: it was cut off"},
		"a changed byte": {file: strings.Replace(whole, `"title":"right"`, `"title":"wrong"`, 1), says: "line 8: invalid: the hash of the commit at position 1 "},
		"swapped lines":  {file: strings.Join(swapped, ""), says: "line 9: invalid: position 9 where 8 must be"},
		"no such format": {file: "hello\n", says: "line 1: invalid: this is not the first line of an export"},
		"another log":    {file: whole, into: other, says: "line 8: conflict: the log has another commit at position 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, into := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")), c.into
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var before string
			if into == "" {
				into = t.TempDir()
			} else {
				before = cinelog(t, exitDone, "--data", into, "events", "export")
			}
			fails(t, c.says, "--data", into, "events", "import", "--dry-run", file)
			fails(t, c.says, "--data", into, "events", "import", file)
			switch {
			case c.into == "":
				if hasLog(into) {
					t.Error("there is a log now")
				}
			case cinelog(t, exitDone, "--data", into, "events", "export") != before:
				t.Error("the log has changed")
			}
		})
	}
	fails(t, "no such file", "--data", filepath.Join(dir, "x"), "events", "import", filepath.Join(dir, "nothing"))
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
