package streamcheck_test

import (
	"context"
	"testing"

	"github.com/cinelog/cinelog/adapters/streamcheck"
)

// check judges a clip in a folder.
func check(t *testing.T, target string) streamcheck.Report {
	t.Helper()
	report, err := streamcheck.Check(context.Background(), target, streamcheck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAGoodPresentationHasNoFinding(t *testing.T) {
	t.Parallel()
	dir := goodRecipe().make(t).store(t)
	for _, test := range []struct {
		root             string
		playlists, files int
	}{
		{"", 6, 3 + 3*4 + 2*12}, // the folder: its only multivariant playlist
		{"/master.m3u8", 6, 3 + 3*4 + 2*12},
		{"/high.m3u8", 1, 1 + 4},
		{"/clip.mpd", 1, 3 + 3*4},
	} {
		report := check(t, dir+test.root)
		for _, f := range report.Findings {
			t.Errorf("%s: %+v", test.root, f)
		}
		if report.Playlists != test.playlists || report.Files != test.files || report.Seconds < 23.9 || report.Seconds > 24.1 {
			t.Errorf("%s: it read %+v", test.root, report)
		}
	}
}

// TestPicturesThatComeUnevenly: a camera's pictures do, and 25 a second is then what it says.
func TestPicturesThatComeUnevenly(t *testing.T) {
	t.Parallel()
	uneven := goodRecipe()
	uneven.frameTicks = func(f int) uint32 { return frameTicks - 20 + 40*uint32(f%2) }
	c := uneven.make(t)
	dir := c.store(t)
	for _, root := range []string{"/master.m3u8", "/clip.mpd"} {
		if report := check(t, dir+root); len(report.Findings) > 0 {
			t.Errorf("%s: %+v", root, report.Findings)
		}
	}
	c.replace(t, "master.m3u8", "FRAME-RATE=25.000", "FRAME-RATE=27.000")
	if found := clauses(check(t, c.store(t))); found["RFC 8216, 4.3.4.2error"] != 2 {
		t.Errorf("a rate above the highest: %v", found)
	}
}
