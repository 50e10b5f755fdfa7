package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// filesWith returns the files of a folder that have some text in them, in capitals or not.
func filesWith(t *testing.T, dir, text string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if n := bytes.Count(bytes.ToLower(b), []byte(text)); n > 0 {
			names = append(names, fmt.Sprintf("%s: %d times", filepath.Base(path), n))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestNothingIsLeftOfDeletedRows says something about many videos, in small batches so that pages are split and merged,
// changes it, deletes half of the videos, and looks at the bytes of the files.
func TestNothingIsLeftOfDeletedRows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := openCatalog(t, dir)
	p, err := sqlite.OpenRows(t.Context(), dir, projections.PlaybackModel())
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, p)
	var story contract.Story
	const videos = 300
	details := func(i, n int) domain.Details {
		word := "kept"
		if i%2 == 0 {
			word = "zanzibar"
		}
		text := func(s string) string { return fmt.Sprintf("%s%s%dx%d", s, word, i, n) }
		return domain.Details{
			Title: text("title"), Description: text("description") + " " + text("words"), Tags: []string{text("a"), text("b")},
			Metadata: map[string]string{text("key"): text("value")}, Visibility: domain.Public,
		}
	}
	catchUpAll := func() {
		t.Helper()
		for _, target := range []projections.Target{
			projections.NewReadModel(projections.CatalogModel(), c), projections.NewReadModel(projections.PlaybackModel(), p),
		} {
			if _, err := projections.CatchUp(t.Context(), &story, target, projections.CatchUpOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range 3 {
		for i := range videos {
			id := fmt.Sprintf("v%03d", i*7%videos)
			if n == 0 {
				story.Add(id, domain.VideoCreated{Owner: details(i, n).Title, Details: details(i, n)})
				story.Add(id, domain.CaptionAdded{Language: "en", Label: details(i, n).Title})
			} else {
				story.Add(id, domain.VideoDetailsChanged{Details: details(i, n)})
			}
			if i%10 == 0 {
				catchUpAll()
			}
		}
		if n == 1 { // so that there is a generation before
			if _, err := c.Rebuild(t.Context(), &story, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	catchUpAll()
	for i := range videos {
		if i%2 == 0 {
			story.Add(fmt.Sprintf("v%03d", i*7%videos), domain.VideoDeleted{})
		}
		if i%10 == 0 {
			catchUpAll()
		}
	}
	catchUpAll()
	if len(filesWith(t, dir, "zanzibar")) == 0 {
		t.Fatal("there is nothing to remove")
	}
	for name, forget := range map[string]func() error{"catalog": func() error { return c.Forget(t.Context()) }, "playback": func() error { return p.Forget(t.Context()) }} {
		if err := forget(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if left := filesWith(t, dir, "zanzibar"); len(left) > 0 {
		t.Errorf("it is still in %q", left)
	}
}
