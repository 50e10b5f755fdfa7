package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// AnalyticsName names the figures' read model in files and on the command line.
const AnalyticsName = "analytics"

// AnalyticsVersion grows when an event gives other facts than before.
const AnalyticsVersion = 2

// Facts keeps what happened. It is fed by messages, which come more than once and in no order: every fact is known by the
// position of its event, and figures are made of the facts (see Summarize), so neither changes a figure.
type Facts interface {
	// Record stores facts. A fact whose position is there already changes nothing, so that after an error, which may
	// leave some of them stored, the same facts can be given again.
	Record(ctx context.Context, facts []Fact) error
	// Each hands out the facts of times in [from, to), in no order and as of one moment, but for those that only start or
	// describe an attempt. An upload's Length is that which was found in it. An error of f ends it.
	Each(ctx context.Context, from, to time.Time, f func(CountedFact) error) error
}

// FactKind says what happened.
type FactKind string

// The kinds of facts.
const (
	FactUploaded  FactKind = "uploaded"  // a source came; it also starts an attempt
	FactRequested FactKind = "requested" // an attempt started for a source that was there
	FactInspected FactKind = "inspected" // the length of an attempt's source is known
	FactRendition FactKind = "rendition" // a rendition of an attempt is complete
	FactFailed    FactKind = "failed"
	FactPublished FactKind = "published"
)

// Fact is what one event means for the figures.
type Fact struct {
	Position domain.Position // of the event
	Kind     FactKind
	Time     time.Time
	Video    domain.VideoID
	Attempt  int
	Code     domain.FailureCode // of a failure
	Bytes    int64              // of a source or a rendition
	Length   time.Duration      // of a source that was inspected; whole milliseconds
}

// CountedFact is a fact with what others say about it.
type CountedFact struct {
	Fact

	// Done says of a rendition that it is the last one of its attempt, whose start is known, and Took how long that was.
	Done bool
	Took time.Duration
}

// UTCDay returns the day to which a moment counts.
func UTCDay(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// DayNumber numbers the days to which moments count, from 1970-01-01 on.
func DayNumber(t time.Time) int64 { return UTCDay(t).Unix() / secondsPerDay }

// NumberedDay is the inverse of DayNumber: the midnight that a day begins with.
func NumberedDay(n int64) time.Time { return time.Unix(n*secondsPerDay, 0).UTC() }

const secondsPerDay = 24 * 60 * 60

// FactEvents are the types of the events that mean anything for the figures.
func FactEvents() []string {
	return []string{
		"video.uploaded.v1", "video.transcode_requested.v1", "video.source_inspected.v1", "video.source_rejected.v1", "video.rendition_produced.v1",
		"video.transcode_failed.v1", "video.published.v1",
	}
}

// FactOf returns what an event means for the figures; ok is false when that is nothing.
func FactOf(r domain.Recorded) (f Fact, ok bool) {
	f = Fact{Position: r.Position, Time: r.Time.UTC(), Video: r.VideoID()}
	switch e := r.Event.(type) {
	case domain.VideoUploaded:
		f.Kind, f.Attempt, f.Bytes = FactUploaded, e.Attempt, e.Source.Bytes
	case domain.TranscodeRequested:
		f.Kind, f.Attempt = FactRequested, e.Attempt
	case domain.SourceInspected:
		f.Kind, f.Attempt, f.Length = FactInspected, e.Attempt, time.Duration(e.Source.Duration*1000)*time.Millisecond
	case domain.RenditionProduced:
		f.Kind, f.Attempt, f.Bytes = FactRendition, e.Attempt, e.Bytes
	case domain.SourceRejected:
		f.Kind, f.Attempt, f.Code = FactFailed, e.Attempt, e.Failure.Code
	case domain.TranscodeFailed:
		f.Kind, f.Attempt, f.Code = FactFailed, e.Attempt, e.Failure.Code
	case domain.VideoPublished:
		f.Kind = FactPublished
	case domain.VideoCreated, domain.VideoDetailsChanged, domain.PlaybackPolicyChanged,
		domain.TranscodePlanned, domain.ChunkTranscoded, domain.SourceRemuxed, domain.AudioTranscoded, domain.AudioLeftOut, domain.PosterProduced,
		domain.StoryboardProduced, domain.PreviewProduced, domain.VideoUnpublished, domain.CaptionAdded, domain.CaptionRemoved,
		domain.VideoDeleted, domain.VideoErased:
		return Fact{}, false
	}
	return f, f.Kind != ""
}

// FactsOf returns what events mean for the figures.
func FactsOf(events ...domain.Recorded) []Fact {
	var facts []Fact
	for _, e := range events {
		if f, ok := FactOf(e); ok {
			facts = append(facts, f)
		}
	}
	return facts
}

// RecordEvents records what events mean for the figures. It may be given any events, any number of times.
func RecordEvents(ctx context.Context, facts Facts, events ...domain.Recorded) error {
	recorded := FactsOf(events...)
	if len(recorded) == 0 {
		return nil
	}
	if err := facts.Record(ctx, recorded); err != nil {
		return fmt.Errorf("record facts: %w", err)
	}
	return nil
}
