package contract

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Facts checks what keeps the figures: however often and in whatever order events come, the figures are those of the
// log. open returns an empty store, usable until the test ends.
func Facts(t *testing.T, open func(t *testing.T) projections.Facts) {
	var facts projections.Facts
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		// Each run has its own videos, positions and days, so that one store does for several.
		if run%10 == 0 {
			facts = open(t)
		}
		story := factStory{run: run, start: time.Date(2026, 2, 27, 20, 0, 0, 0, time.UTC).AddDate(0, 0, 100*run)}
		run++
		log := story.draw(r)
		deliveries := append([]domain.Recorded{}, log...)
		if len(log) > 0 {
			deliveries = append(deliveries, rapid.SliceOfN(rapid.SampledFrom(log), 0, 20).Draw(r, "duplicates")...)
		}
		deliveries = rapid.Permutation(deliveries).Draw(r, "order")
		for len(deliveries) > 0 {
			n := rapid.IntRange(1, len(deliveries)).Draw(r, "batch")
			if err := projections.RecordEvents(t.Context(), facts, deliveries[:n]...); err != nil {
				r.Fatal(err)
			}
			deliveries = deliveries[n:]
		}
		from := story.start.Add(time.Duration(rapid.IntRange(-30, 60).Draw(r, "from")) * time.Hour)
		to := from.Add(time.Duration(rapid.IntRange(0, 120).Draw(r, "hours")) * time.Hour)
		got, err := facts.Summary(t.Context(), from, to)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(story.figures(log, from, to), got); diff != "" {
			r.Errorf("summary (-want +got):\n%s", diff)
		}
	})
}

type factStory struct {
	run   int
	start time.Time
}

// draw draws a log of some videos over some days.
func (s factStory) draw(r *rapid.T) []domain.Recorded {
	var log []domain.Recorded
	now := s.start
	attempts := map[string]int{}
	for range rapid.IntRange(0, 40).Draw(r, "events") {
		now = now.Add(time.Duration(rapid.IntRange(-2*3600_000, 10*3600_000).Draw(r, "ms")) * time.Millisecond) // clocks are set back, too
		video := fmt.Sprint(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "video"), s.run)
		bytes := rapid.Int64Range(0, 1<<40).Draw(r, "bytes")
		code := rapid.SampledFrom([]domain.FailureCode{domain.NotAVideo, domain.Internal}).Draw(r, "code")
		var e domain.Event
		switch rapid.IntRange(0, 7).Draw(r, "event") {
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
		log = append(log, domain.Recorded{
			Position: domain.Position(1000*s.run + len(log) + 1), Stream: video, Time: now, Event: e,
		})
	}
	return log
}

// figures is the definition of a summary: one pass over the log per day.
func (s factStory) figures(log []domain.Recorded, from, to time.Time) []projections.Day {
	type attempt struct {
		video string
		n     int
	}
	started, ended := map[attempt]time.Time{}, map[attempt]time.Time{}
	for _, r := range log {
		switch e := r.Event.(type) { //nolint:gochecksumtype // the others neither start nor end an attempt
		case domain.VideoUploaded:
			started[attempt{r.Stream, e.Attempt}] = r.Time
		case domain.TranscodeRequested:
			started[attempt{r.Stream, e.Attempt}] = r.Time
		case domain.RenditionProduced: // the last one by the clock
			if a := (attempt{r.Stream, e.Attempt}); r.Time.After(ended[a]) {
				ended[a] = r.Time
			}
		}
	}
	var days []projections.Day
	for day := s.start.Truncate(24 * time.Hour); day.Before(to); day = day.Add(24 * time.Hour) {
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
			switch e := r.Event.(type) { //nolint:gochecksumtype // the others are not counted
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
				took := max(0, end.Sub(start))
				d.ProcessingTime += took
				d.LongestProcessing = max(d.LongestProcessing, took)
			}
		}
		if something && !day.Before(from) {
			days = append(days, d)
		}
	}
	return days
}
