package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/localfs"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

// storedVideo is a video with a source, in the log and in storage; failed says that its attempt has ended.
func storedVideo(t *testing.T, dir string, failed bool) (key string) {
	t.Helper()
	return storedVideoOf(t, dir, "sources", "a source", func(b domain.Blob) []domain.Event {
		events := []domain.Event{domain.VideoUploaded{Attempt: 1, Source: b}}
		if failed {
			events = append(events, domain.SourceRejected{Attempt: 1, Failure: domain.Failure{Code: domain.NotAVideo}})
		}
		return events
	})
}

// storedVideoOf is a video with one file.
func storedVideoOf(t *testing.T, dir, area, content string, events func(domain.Blob) []domain.Event) (key string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	id, err := domain.NewVideoID()
	must(err)
	store, err := localfs.Open(filepath.Join(dir, "blobs"))
	must(err)
	blob, err := store.Put(t.Context(), area+"/"+string(id)+"/first", strings.NewReader(content))
	must(err)
	must(store.Close())
	log, err := sqlite.OpenLog(t.Context(), dir)
	must(err)
	_, err = log.Append(t.Context(), domain.Commit{
		ID: string(id), Stream: string(id), Events: append([]domain.Event{domain.VideoCreated{}}, events(blob)...),
	})
	must(err)
	must(log.Close())
	return blob.Key
}

func TestVerifyFindsWhatIsWrongWithMedia(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lost, cut, changed, sound := storedVideo(t, dir, true), storedVideo(t, dir, true), storedVideo(t, dir, true), storedVideo(t, dir, true)
	inWork := storedVideo(t, dir, false)
	storedVideoOf(t, dir, "sources", "", func(b domain.Blob) []domain.Event { // people send empty files
		return []domain.Event{domain.VideoUploaded{Attempt: 1, Source: b}, domain.SourceRejected{Attempt: 1, Failure: domain.Failure{Code: domain.NotAVideo}}}
	})
	if out := cinelog(t, exitDone, "--data", dir, "verify", "--grace", "0s"); !strings.Contains(out, "of 6 videos, 6 media files") {
		t.Errorf("nothing is wrong, but it says:\n%s", out)
	}
	empty := storedVideoOf(t, dir, "media", "", func(b domain.Blob) []domain.Event {
		return []domain.Event{domain.CaptionAdded{Language: "en", File: b}}
	})
	write := func(key, content string) {
		t.Helper()
		path := filepath.Join(dir, "blobs", filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "blobs", filepath.FromSlash(lost))); err != nil {
		t.Fatal(err)
	}
	write(cut, "a sour")
	write(changed, "a sourcE")
	write(sound+"-2", "left over")
	write(inWork+"-2", "will be named")
	write("media/nobody/a1/x", "left over")
	want := []found{
		{"media", lost + " is missing"},
		{"media", cut + " has 6 bytes, the log says 8"},
		{"media", changed + " has other content than was recorded"},
		{"media", empty + " is empty"},
		{"orphans", sound + "-2 is stored but no event names it"},
		{"orphans", "media/nobody/a1/x is stored but no event names it"},
	}
	if diff := cmp.Diff(want, findings(t, dir, "--grace", "0s")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want = slices.DeleteFunc(want, func(f found) bool { return strings.Contains(f.What, "other content") })
	if diff := cmp.Diff(want, findings(t, dir, "--quick", "--grace", "0s")); diff != "" {
		t.Errorf("--quick: -want +got:\n%s", diff)
	}
	want = slices.DeleteFunc(want, func(f found) bool { return f.Check == "orphans" })
	if diff := cmp.Diff(want, findings(t, dir, "--quick")); diff != "" { // they may still be in somebody's hands
		t.Errorf("with an hour's grace: -want +got:\n%s", diff)
	}
}

// found is a finding without the rest.
type found struct{ Check, What string }

// findings are what verify finds, without the hints.
func findings(t *testing.T, dir string, flags ...string) (all []found) {
	t.Helper()
	out := cinelog(t, exitFailed, append([]string{"--data", dir, "--json", "verify"}, flags...)...)
	for line := range strings.Lines(out) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Hint == "" {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, found{f.Check, f.What})
	}
	return all
}
