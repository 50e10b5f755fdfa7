package sqlite_test

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// However often and in whatever order the events come, the figures are those of the log.
func TestAnalyticsIsExactUnderDuplicatesInAnyOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		ctx := context.Background()
		a, err := sqlite.OpenAnalytics(ctx, filepath.Join(dir, strconv.Itoa(run)))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Close() }()
		log := analyticsLog(t)
		deliveries := append([]domain.Recorded{}, log...)
		if len(log) > 0 {
			deliveries = append(deliveries, rapid.SliceOfN(rapid.SampledFrom(log), 0, 20).Draw(t, "duplicates")...)
		}
		deliveries = rapid.Permutation(deliveries).Draw(t, "order")
		for len(deliveries) > 0 {
			n := rapid.IntRange(1, len(deliveries)).Draw(t, "batch")
			if err := projections.RecordEvents(ctx, a, deliveries[:n]...); err != nil {
				t.Fatal(err)
			}
			deliveries = deliveries[n:]
		}
		from := analyticsStart.Add(time.Duration(rapid.IntRange(-30, 60).Draw(t, "from")) * time.Hour)
		to := from.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "hours")) * time.Hour)
		got, err := a.Summary(ctx, from, to)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(figures(log, from, to), got); diff != "" {
			t.Errorf("summary (-want +got):\n%s", diff)
		}
	})
}

var analyticsStart = time.Date(2026, 2, 27, 20, 0, 0, 0, time.UTC)

// analyticsLog draws a log of some videos over some days.
func analyticsLog(t *rapid.T) []domain.Recorded {
	var log []domain.Recorded
	now := analyticsStart
	attempts := map[string]int{}
	for range rapid.IntRange(0, 40).Draw(t, "events") {
		now = now.Add(time.Duration(rapid.IntRange(0, 10*3600_000).Draw(t, "ms")) * time.Millisecond)
		video := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "video")
		bytes := rapid.Int64Range(0, 1<<40).Draw(t, "bytes")
		code := rapid.SampledFrom([]domain.FailureCode{domain.NotAVideo, domain.Internal}).Draw(t, "code")
		var e domain.Event
		switch rapid.IntRange(0, 7).Draw(t, "event") {
		case 0:
			attempts[video]++
			e = domain.VideoUploaded{Attempt: attempts[video], Source: domain.Blob{Bytes: bytes}}
		case 1:
			attempts[video]++
			e = domain.TranscodeRequested{Attempt: attempts[video]}
		case 2, 3:
			e = domain.RenditionProduced{Attempt: attempts[video], Name: "240p", Bytes: bytes}
		case 4:
			e = domain.SourceRejected{Attempt: attempts[video], Failure: domain.Failure{Code: code}}
		case 5:
			e = domain.TranscodeFailed{Attempt: attempts[video], Failure: domain.Failure{Code: code}}
		case 6:
			e = domain.VideoPublished{}
		default:
			e = domain.VideoDeleted{}
		}
		log = append(log, domain.Recorded{Position: domain.Position(len(log) + 1), Stream: video, Time: now, Event: e})
	}
	return log
}

// figures is the definition of a summary: one pass over the log per day.
func figures(log []domain.Recorded, from, to time.Time) []projections.Day {
	type attempt struct {
		video string
		n     int
	}
	started, ended := map[attempt]time.Time{}, map[attempt]time.Time{}
	for _, r := range log {
		switch e := r.Event.(type) {
		case domain.VideoUploaded:
			started[attempt{r.Stream, e.Attempt}] = r.Time
		case domain.TranscodeRequested:
			started[attempt{r.Stream, e.Attempt}] = r.Time
		case domain.RenditionProduced:
			ended[attempt{r.Stream, e.Attempt}] = r.Time
		}
	}
	var days []projections.Day
	for day := analyticsStart.Truncate(24 * time.Hour); day.Before(to); day = day.Add(24 * time.Hour) {
		d, something := projections.Day{Day: day}, false
		within := func(t time.Time) bool { return !t.Before(day) && t.Before(day.Add(24*time.Hour)) }
		for _, r := range log {
			if !within(r.Time) {
				continue
			}
			fail := func(code domain.FailureCode) {
				if something = true; d.Failures == nil {
					d.Failures = map[domain.FailureCode]int{}
				}
				d.Failures[code]++
			}
			switch e := r.Event.(type) {
			case domain.VideoUploaded:
				d.Uploads, d.UploadedBytes, something = d.Uploads+1, d.UploadedBytes+e.Source.Bytes, true
			case domain.RenditionProduced:
				d.Renditions, d.RenditionBytes, something = d.Renditions+1, d.RenditionBytes+e.Bytes, true
			case domain.VideoPublished:
				d.Publications, something = d.Publications+1, true
			case domain.SourceRejected:
				fail(e.Failure.Code)
			case domain.TranscodeFailed:
				fail(e.Failure.Code)
			}
		}
		for a, end := range ended {
			if start, ok := started[a]; ok && within(end) {
				d.Processed++
				d.ProcessingTime += end.Sub(start)
				d.LongestProcessing = max(d.LongestProcessing, end.Sub(start))
			}
		}
		if something && !day.Before(from) {
			days = append(days, d)
		}
	}
	return days
}

func TestAnalytics(t *testing.T) {
	t.Parallel()
	contract.Facts(t, func(t *testing.T) projections.Facts {
		t.Helper()
		a, err := sqlite.OpenAnalytics(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close() })
		return a
	})
}
