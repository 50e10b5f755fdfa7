package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func TestAnalytics(t *testing.T) {
	t.Parallel()
	contract.Facts(t, func(t *testing.T) projections.Facts {
		t.Helper()
		a, err := sqlite.OpenAnalytics(t.Context(), filepath.Join(t.TempDir(), "views-analytics-1.db"))
		if err != nil {
			t.Fatal(err)
		}
		closeAtEnd(t, a)
		return a
	})
}

var analyticsStart = time.Date(2026, 2, 27, 20, 0, 0, 0, time.UTC)

// What was not heard of because nobody listened yet is learned from the log.
func TestAnalyticsIsBuiltFromTheLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "views-analytics-1.db")
	a, err := sqlite.OpenAnalytics(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	replay := projections.NewFactsReplay(a)
	for i, e := range []domain.Event{
		domain.VideoCreated{}, domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Bytes: 5}}, domain.RenditionProduced{Attempt: 1, Bytes: 7},
	} {
		r := domain.Recorded{
			Position: domain.Position(i + 1), Stream: "v", Version: i + 1, Event: e, Time: analyticsStart.Add(time.Duration(i) * time.Second),
		}
		if err := replay.Apply(t.Context(), []domain.Recorded{r}); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := replay.Checkpoint(t.Context()); p != 3 || err != nil {
		t.Errorf("checkpoint %d, %v", p, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a, err = sqlite.OpenAnalytics(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	got, err := a.Summary(t.Context(), projections.UTCDay(analyticsStart), analyticsStart)
	want := []projections.Day{{
		Day: projections.UTCDay(analyticsStart), Uploads: 1, UploadedBytes: 5, Renditions: 1, RenditionBytes: 7,
		Processed: 1, ProcessingTime: time.Second, LongestProcessing: time.Second,
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("summary (-want +got): %v\n%s", err, diff)
	}
}
