package contract

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
		by := rapid.SampledFrom([]projections.Interval{projections.Hourly, projections.Daily, projections.Whole}).Draw(r, "interval")
		spans, err := projections.Summarize(t.Context(), from, to, by, facts.Each)
		if err != nil {
			r.Fatal(err)
		}
		got := map[time.Time]span{}
		for at, f := range spans {
			got[at] = span{*f, [3]time.Duration{f.Processing(50), f.Processing(95), f.Processing(100)}}
		}
		if diff := cmp.Diff(story.figures(log, from, to, by), got, cmpopts.IgnoreUnexported(projections.Figures{}), cmpopts.EquateEmpty(), cmp.AllowUnexported(span{})); diff != "" {
			r.Errorf("figures (-want +got):\n%s", diff)
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
		switch rapid.IntRange(0, 8).Draw(r, "event") {
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
		case 7:
			e = domain.SourceInspected{Attempt: attempts[video], Source: domain.SourceInfo{Duration: float64(bytes%100_000) / 1000}}
		default:
			e = domain.VideoDeleted{}
		}
		log = append(log, domain.Recorded{
			Position: domain.Position(1000*s.run + len(log) + 1), Stream: video, Time: now, Event: e,
		})
	}
	return log
}

// span is the figures of a span, with the median, the 95th percentile and the longest of the times of processing.
type span struct {
	figures projections.Figures
	took    [3]time.Duration
}

// figures is the definition: one pass over the log for each span.
func (s factStory) figures(log []domain.Recorded, from, to time.Time, by projections.Interval) map[time.Time]span {
	type attempt struct {
		video string
		n     int
	}
	started, ended, length := map[attempt]time.Time{}, map[attempt]time.Time{}, map[attempt]time.Duration{}
	for _, r := range log {
		switch e := r.Event.(type) { //nolint:gochecksumtype // the others neither start nor end an attempt
		case domain.VideoUploaded:
			started[attempt{r.Stream, e.Attempt}] = r.Time
		case domain.TranscodeRequested:
			started[attempt{r.Stream, e.Attempt}] = r.Time
		case domain.SourceInspected:
			if _, known := length[attempt{r.Stream, e.Attempt}]; !known {
				length[attempt{r.Stream, e.Attempt}] = time.Duration(e.Source.Duration*1000) * time.Millisecond
			}
		case domain.RenditionProduced:
			ended[attempt{r.Stream, e.Attempt}] = r.Time
		}
	}
	step := time.Duration(by)
	begin := s.start.Truncate(24*time.Hour).AddDate(0, 0, -4) // clocks are set back
	if by == projections.Whole {
		step, begin = to.Sub(from)+1, from
	}
	spans := map[time.Time]span{}
	for ; begin.Before(to); begin = begin.Add(step) {
		var d projections.Figures
		something := false
		within := func(t time.Time) bool {
			return !t.Before(from) && t.Before(to) && !t.Before(begin) && t.Before(begin.Add(step))
		}
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
				d.UploadedLength += length[attempt{r.Stream, e.Attempt}]
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
		var took []time.Duration
		for a, end := range ended {
			if start, ok := started[a]; ok && within(end) {
				d.Processed++
				took = append(took, max(0, end.Sub(start))) // a clock may have been set back
			}
		}
		if something {
			spans[by.Span(begin)] = span{d, [3]time.Duration{rank(took, 50), rank(took, 95), rank(took, 100)}}
		}
	}
	return spans
}

// rank is the least of the values that so many of a hundred do not exceed.
func rank(values []time.Duration, percent int) time.Duration {
	slices.Sort(values)
	for i, v := range values {
		if (i+1)*100 >= percent*len(values) {
			return v
		}
	}
	return 0
}
