package main

import (
	"bytes"
	"fmt"
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
	if diff := cmp.Diff(before, library(t, serveForTest(t, back).url(), ids)); diff != "" {
		t.Errorf("back in SQLite (-want +got):\n%s", diff)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
