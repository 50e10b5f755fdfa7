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
	report := check(t, goodRecipe().make(t).store(t))
	for _, f := range report.Findings {
		t.Errorf("%+v", f)
	}
	if report.Playlists != 6 || report.Files != 3+3*4+2*12 || report.Seconds < 23.9 || report.Seconds > 24.1 {
		t.Errorf("it read %+v", report)
	}
}
