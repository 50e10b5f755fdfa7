package web

import (
	"context"
	"net/http"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// How many days a summary spans: at first, and at most.
const (
	summaryDays    = 30
	maxSummaryDays = 3660
)

type summaryInput struct {
	QueryHeaders

	From string `query:"from" format:"date" doc:"First day (UTC); 29 days before to where not given"`
	To   string `query:"to" format:"date" doc:"Last day (UTC); today where not given"`
}

type summaryOutput struct{ Body summaryAnswer }

type summaryAnswer struct {
	From   string      `json:"from" format:"date"`
	To     string      `json:"to" format:"date"`
	Totals Figures     `json:"totals"`
	Days   []dayAnswer `json:"days" nullable:"false" doc:"Oldest first, without the days on which nothing happened"`
}

type dayAnswer struct {
	Day string `json:"day" format:"date"`
	Figures
}

// Figures are what is counted, of one day or of several.
type Figures struct {
	Uploads           int            `json:"uploads"`
	UploadedBytes     int64          `json:"uploaded_bytes"`
	Processed         int            `json:"processed" doc:"Videos that became ready, each time they did"`
	ProcessingMean    float64        `json:"processing_seconds_mean" doc:"From the upload to the last rendition"`
	ProcessingLongest float64        `json:"processing_seconds_longest"`
	Renditions        int            `json:"renditions"`
	RenditionBytes    int64          `json:"rendition_bytes"`
	Publications      int            `json:"publications"`
	Failures          map[string]int `json:"failures" doc:"By error code"`
}

func (s *Server) summary(ctx context.Context, in *summaryInput) (*summaryOutput, error) {
	from, to, err := in.span(s.Now())
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	if s.Analytics == nil {
		return nil, newProblem(http.StatusNotFound, "this server keeps no figures")
	}
	if err = s.fresh(ctx, in.QueryHeaders); err != nil {
		return nil, err
	}
	days, err := s.Analytics.Summary(ctx, from, to.AddDate(0, 0, 1))
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	out := &summaryOutput{Body: summaryAnswer{
		From: from.Format(time.DateOnly), To: to.Format(time.DateOnly), Days: make([]dayAnswer, len(days)),
	}}
	all := projections.Day{Failures: map[domain.FailureCode]int{}}
	for i, d := range days {
		out.Body.Days[i] = dayAnswer{Day: d.Day.UTC().Format(time.DateOnly), Figures: figures(d)}
		all = sum(all, d)
	}
	out.Body.Totals = figures(all)
	return out, nil
}

// span returns the first and the last day.
func (in *summaryInput) span(now time.Time) (from, to time.Time, err error) {
	var bad []domain.FieldError
	day := func(name, text string, otherwise func() time.Time) time.Time {
		if text == "" {
			return otherwise()
		}
		t, parseErr := time.Parse(time.DateOnly, text)
		if parseErr != nil {
			bad = append(bad, domain.FieldError{Field: name, Message: "must be a day, like 2026-01-31"})
		}
		return t
	}
	to = day("to", in.To, func() time.Time { return projections.UTCDay(now) })
	from = day("from", in.From, func() time.Time { return to.AddDate(0, 0, 1-summaryDays) })
	if len(bad) == 0 && (from.After(to) || from.AddDate(0, 0, maxSummaryDays).Before(to)) {
		bad = append(bad, domain.FieldError{Field: "from", Message: "must be at most ten years before to, and not after it"})
	}
	if len(bad) > 0 {
		err = &domain.Invalid{Fields: bad}
	}
	return from, to, err
}

func sum(a, b projections.Day) projections.Day {
	a.Uploads += b.Uploads
	a.UploadedBytes += b.UploadedBytes
	a.Renditions += b.Renditions
	a.RenditionBytes += b.RenditionBytes
	a.Publications += b.Publications
	a.Processed += b.Processed
	a.ProcessingTime += b.ProcessingTime
	a.LongestProcessing = max(a.LongestProcessing, b.LongestProcessing)
	for code, n := range b.Failures {
		a.Failures[code] += n
	}
	return a
}

func figures(d projections.Day) Figures {
	f := Figures{
		Uploads: d.Uploads, UploadedBytes: d.UploadedBytes, Processed: d.Processed,
		ProcessingLongest: d.LongestProcessing.Seconds(), Renditions: d.Renditions, RenditionBytes: d.RenditionBytes,
		Publications: d.Publications, Failures: make(map[string]int, len(d.Failures)),
	}
	if d.Processed > 0 {
		f.ProcessingMean = d.ProcessingTime.Seconds() / float64(d.Processed)
	}
	for code, n := range d.Failures {
		f.Failures[string(code)] = n
	}
	return f
}
