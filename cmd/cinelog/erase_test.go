package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
	"github.com/cinelog/cinelog/web"
)

// secret is what is said about videos that are to be forgotten.
const secret = "zanzibar"

// filesWith returns the files of a folder that have the secret in them, in capitals or not.
func filesWith(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) { // a server renames and removes
			return nil
		}
		if bytes.Contains(bytes.ToLower(b), []byte(secret)) {
			names = append(names, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// secretVideo is a video with the secret wherever there is room for one.
func secretVideo(t *testing.T, a *app) domain.VideoID {
	t.Helper()
	id := readyVideo(t, a.service.Log, "A night in "+secret)
	appendTo(t, a.service.Log, id, domain.VideoDetailsChanged{Details: domain.Details{
		Title: "Two nights in " + secret, Description: "All about " + secret, Tags: []string{secret}, Visibility: domain.Public,
		Metadata: map[string]string{"where": secret},
	}}, domain.CaptionAdded{Language: "en", Label: secret, File: domain.Blob{Key: "media/" + string(id) + "/captions/en.vtt"}})
	return id
}

// Erasing beside a running server, by its API and by the command: nothing of the texts is left, in any file of the data
// folder where everything is there, and nothing else has changed.
func TestErasingBesideAServer(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(t *testing.T) places{
		"SQLite": func(t *testing.T) places { t.Helper(); return places{Data: t.TempDir()} },
		"MongoDB": func(t *testing.T) places {
			t.Helper()
			uri := backends.Mongo(t)
			return places{Data: t.TempDir(), Log: uri, Views: uri}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := at(t)
			args := []string{"--data", at.Data, "--log", at.Log, "--views", at.Views}
			cinelog(t, exitDone, append(args, "provision")...)
			erasesAll(t, servePlaces(t, at), func(want int, more ...string) string { return cinelog(t, want, append(args, more...)...) })
		})
	}
}

func erasesAll(t *testing.T, a *app, command func(want int, args ...string) string) {
	t.Helper()
	cl := &client{server: a.url()}
	// Somebody has a queue, and nobody has handled anything of it yet.
	if err := a.bus.(sqliteBus).DeclareGroup(t.Context(), messaging.TopicEvents, "outsider"); err != nil {
		t.Fatal(err)
	}
	byAPI, byCommand, kept := secretVideo(t, a), secretVideo(t, a), readyVideo(t, a.service.Log, "kept")
	all := []domain.VideoID{byAPI, byCommand, kept}
	eventually(t, time.Minute, func() string { return playableAndListed(t, cl, kept, true) })
	command(exitDone, "replay", "all") // so that there are generations before
	backup := filepath.Join(t.TempDir(), "backup.jsonl")
	erase := func(id domain.VideoID) (web.EraseAnswer, error) {
		var answer web.EraseAnswer
		return answer, cl.call(t.Context(), http.MethodPost, "/v1/admin/videos/"+string(id)+"/erase", nil, &answer)
	}
	if _, err := erase(byAPI); err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("a video that is not deleted: %v", err)
	}
	command(exitFailed, "erase", "--yes", string(byAPI))
	command(exitUsage, "erase", string(byAPI))
	for _, id := range all[:2] {
		if err := cl.call(t.Context(), http.MethodDelete, "/v1/videos/"+string(id), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	command(exitDone, "events", "export", backup)
	before := library(t, a.url(), all[2:])

	for range 2 { // the second time changes nothing
		answer, err := erase(byAPI)
		if err != nil || answer.Events != 4 || answer.Position < 25 {
			t.Errorf("by the API: %+v, %v", answer, err)
		}
		if out := command(exitDone, "erase", "--yes", string(byCommand)); !strings.Contains(out, "the texts of 4 events are gone") {
			t.Errorf("the command says %s", out)
		}
	}
	for _, id := range all[:2] {
		var history json.RawMessage
		if err := cl.call(t.Context(), http.MethodGet, "/v1/videos/"+string(id)+"/events", nil, &history); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(history), secret) || strings.Count(string(history), `"video.erased.v1"`) != 1 {
			t.Errorf("the history is %s", history)
		}
	}
	file := filepath.Join(t.TempDir(), "after.jsonl")
	command(exitDone, "events", "export", file)
	if exported := readFile(t, file); bytes.Contains(exported, []byte(secret)) || !bytes.Contains(exported, []byte(`"kept"`)) {
		t.Errorf("the export is %s", exported)
	}
	if left := filesWith(t, a.Data); len(left) > 0 {
		t.Errorf("it is still in %q", left)
	}
	for _, p := range []projections.StoredModel{a.views.catalog, a.views.playback} {
		if stored, err := p.Stored(t.Context()); err != nil || stored.Previous != "" {
			t.Errorf("generation %q is kept, %v", stored.Previous, err)
		}
	}
	eventually(t, time.Minute, func() string { return playableAndListed(t, cl, kept, true) })
	if diff := cmp.Diff(before, library(t, a.url(), all[2:])); diff != "" {
		t.Errorf("the other video (-before +after):\n%s", diff)
	}
	command(exitDone, "replay", "all", "--verify")
	command(exitDone, "replay", "all")

	// A copy that was made of the backup forgets with the next part of the log.
	dir := t.TempDir()
	cinelog(t, exitDone, "--data", dir, "events", "import", backup)
	if len(filesWith(t, dir)) == 0 {
		t.Fatal("the backup has nothing to forget")
	}
	cinelog(t, exitDone, "--data", dir, "events", "import", file)
	if left := filesWith(t, dir); len(left) > 0 {
		t.Errorf("the copy still has it in %q", left)
	}
	log, err := sqlite.OpenLogReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	if findings, err := log.VerifyChain(t.Context()); err != nil || len(findings) > 0 {
		t.Errorf("the copy: %q, %v", findings, err)
	}
}

// TestErasureSurvivesKill kills erasures of many videos, at whatever they do: the log can be read, what verify finds is
// only what is not done yet, and doing it again does it.
func TestErasureSurvivesKill(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	dir := t.TempDir()
	log, err := sqlite.OpenLog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--data", dir, "erase", "--yes"}
	for range 12 {
		id := readyVideo(t, log, secret)
		appendTo(t, log, id, domain.VideoDeleted{})
		args = append(args, string(id))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	findings := func() []string {
		t.Helper()
		r, err := sqlite.OpenLogReadOnly(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		if _, err := r.ReadAfter(t.Context(), 0, 1000); err != nil {
			t.Fatal(err)
		}
		found, err := r.VerifyChain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, after := range []int{20, 60, 100, 150, 200, 300} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(after)*time.Millisecond) // it is killed then, if it has not ended
		_ = exec.CommandContext(ctx, binary, args...).Run()
		cancel()
		for _, f := range findings() {
			if !strings.Contains(f, "was not carried out") {
				t.Errorf("killed after %d ms: %s", after, f)
			}
		}
	}
	cinelog(t, exitDone, args...)
	if found := findings(); len(found) > 0 {
		t.Errorf("at the end: %q", found)
	}
	if left := filesWith(t, dir); len(left) > 0 {
		t.Errorf("it is still in %q", left)
	}
	cinelog(t, exitDone, "--data", dir, "verify")
}

// A projection that is paused is not gone past: it still has the texts, and whoever erases is told.
func TestErasingWhatAPausedProjectionHas(t *testing.T) {
	t.Parallel()
	dir, ids := logWithVideos(t, 1)
	cinelog(t, exitDone, "--data", dir, "replay", "all")
	cinelog(t, exitDone, "--data", dir, "projections", "pause", projections.CatalogName)
	log, err := sqlite.OpenLog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, log, ids[0], domain.VideoDeleted{})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	erase := []string{"--data", dir, "erase", "--yes", string(ids[0])}
	if code := run(erase, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "cinelog projections resume catalog") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
	cinelog(t, exitDone, "--data", dir, "projections", "resume", projections.CatalogName)
	cinelog(t, exitDone, erase...)
	cinelog(t, exitDone, "--data", dir, "replay", "all", "--verify")
}
