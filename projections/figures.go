package projections

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Interval is how long the spans are that figures are asked for by. They begin at whole hours and days of UTC.
type Interval time.Duration

// The intervals.
const (
	Whole  Interval = 0 // one span for all
	Hourly          = Interval(time.Hour)
	Daily           = Interval(24 * time.Hour)
)

// Span returns the beginning of the span that a moment belongs to; the zero time for Whole.
func (i Interval) Span(t time.Time) time.Time {
	if i == Whole {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Duration(i))
}

// Figures are sums of facts: what happened in one span of time. The zero value is that of nothing.
type Figures struct {
	Uploads        int
	UploadedBytes  int64
	UploadedLength time.Duration // of the videos that were uploaded, as far as it is known
	Renditions     int
	RenditionBytes int64
	Publications   int
	Failures       map[domain.FailureCode]int // nil when there were none
	// Processed is how often a video became ready: each time the last rendition of an attempt was produced.
	Processed int

	took []time.Duration
}

// Add counts a fact, as Facts.Each hands it out.
func (f *Figures) Add(fact CountedFact) {
	switch fact.Kind {
	case FactUploaded:
		f.Uploads++
		f.UploadedBytes += fact.Bytes
		f.UploadedLength += fact.Length
	case FactRendition:
		f.Renditions++
		f.RenditionBytes += fact.Bytes
		if fact.Done {
			f.Processed++
			f.took = append(f.took, fact.Took)
		}
	case FactFailed:
		if f.Failures == nil {
			f.Failures = map[domain.FailureCode]int{}
		}
		f.Failures[fact.Code]++
	case FactPublished:
		f.Publications++
	case FactRequested, FactInspected:
	}
}

// Processing is the quantile of how long attempts took, from the upload (or the request to encode again) to the last
// rendition; 0 without any.
func (f *Figures) Processing(percent int) time.Duration { return quantile(f.took, percent) }

// Summarize sums facts up by span; there is none for a span in which nothing happened.
func Summarize(
	ctx context.Context, from, to time.Time, by Interval,
	each func(ctx context.Context, from, to time.Time, f func(CountedFact) error) error,
) (map[time.Time]*Figures, error) {
	spans := map[time.Time]*Figures{}
	err := each(ctx, from, to, func(fact CountedFact) error {
		at := by.Span(fact.Time)
		if spans[at] == nil {
			spans[at] = &Figures{}
		}
		spans[at].Add(fact)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("figures: %w", err)
	}
	return spans, nil
}

// quantile is the smallest of the values that at least so many of a hundred do not exceed (the nearest rank): one of them,
// and exact.
func quantile(values []time.Duration, percent int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[max(0, (percent*len(values)+99)/100-1)]
}
