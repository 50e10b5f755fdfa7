package web

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// How long figures may span.
const (
	usualDays     = 30
	maxDays       = 3660
	maxHourlyDays = 93
)

// SpanInput says which time is asked about.
type SpanInput struct {
	QueryHeaders

	From   string `query:"from" maxLength:"40" doc:"The first day (UTC), or a moment of RFC 3339; 29 days before to where not given"`
	To     string `query:"to" maxLength:"40" doc:"The last day (UTC), or the moment before which it ends; today where not given"`
	Format string `query:"format" enum:"json,csv" default:"json" doc:"csv is for spreadsheets"`

	from, to time.Time
}

// GroupInput also says by what.
type GroupInput struct {
	SpanInput

	GroupBy string `query:"group_by" enum:"rendition,country" doc:"Figures of views for each of these, instead of all figures together"`
}

type seriesInput struct {
	GroupInput

	Interval string `query:"interval" enum:"hour,day" default:"day" doc:"Spans begin at whole hours or days of UTC; by hour up to 93 days"`
}

type topInput struct {
	SpanInput

	By    string `query:"by" enum:"views,viewers,watch_seconds,completed" default:"views"`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"10"`
}

type videoFiguresInput struct {
	SpanInput
	VideoPath
}

// SpanAnswer is what was asked for: from on, before to.
type SpanAnswer struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// TotalsAnswer has figures about everything.
type TotalsAnswer struct {
	SpanAnswer
	EventFigures
	PlayFigures

	Groups []groupAnswer `json:"groups,omitempty" nullable:"false" doc:"With group_by: the views by it, most first"`
}

type groupAnswer struct {
	Group string `json:"group" doc:"A rendition or a country; empty where it is not known"`
	PlayFigures
}

// SeriesAnswer has figures by hour or day.
type SeriesAnswer struct {
	SpanAnswer

	Interval string        `json:"interval" enum:"hour,day"`
	Items    []pointAnswer `json:"items" nullable:"false" doc:"Oldest first, without spans in which nothing happened"`
}

type pointAnswer struct {
	Time  time.Time `json:"time" doc:"When the span begins"`
	Group *string   `json:"group,omitempty" doc:"With group_by"`
	EventFigures
	PlayFigures
}

// TopAnswer has videos, the most watched first.
type TopAnswer struct {
	SpanAnswer

	Items []rankedVideo `json:"items" nullable:"false"`
}

type rankedVideo struct {
	Video string `json:"video"`
	Title string `json:"title" doc:"Empty for a video that was deleted"`
	PlayFigures
}

// VideoFiguresAnswer has the figures of one video.
type VideoFiguresAnswer struct {
	SpanAnswer

	Video string `json:"video"`
	PlayFigures
	Curve      []int         `json:"curve" nullable:"false" doc:"How many views played some of each fiftieth of the video"`
	Renditions []groupAnswer `json:"renditions" nullable:"false"`
	Countries  []groupAnswer `json:"countries" nullable:"false"`
}

// span reads the span and waits for the read models.
func (s *Server) span(ctx context.Context, in *SpanInput, longest int) error {
	if s.Analytics == nil || s.Plays == nil {
		return newProblem(http.StatusNotFound, "this server keeps no figures")
	}
	var bad []domain.FieldError
	moment := func(name, text string, otherwise time.Time, days int) time.Time {
		if text == "" {
			return otherwise
		}
		if day, err := time.Parse(time.DateOnly, text); err == nil {
			return day.AddDate(0, 0, days)
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			bad = append(bad, domain.FieldError{Field: name, Message: "must be a day, like 2026-01-31, or a moment, like 2026-01-31T09:00:00Z"})
		}
		return t.UTC()
	}
	in.to = moment("to", in.To, projections.UTCDay(s.Now()).AddDate(0, 0, 1), 1)
	in.from = moment("from", in.From, projections.UTCDay(in.to.Add(-1)).AddDate(0, 0, 1-usualDays), 0)
	if len(bad) == 0 && (!in.from.Before(in.to) || in.from.AddDate(0, 0, longest).Before(in.to)) {
		bad = append(bad, domain.FieldError{Field: "from", Message: "must be before to, by ten years at most, and by 93 days where figures are by hour"})
	}
	if len(bad) > 0 {
		return s.problem(ctx, "query", &domain.Invalid{Fields: bad})
	}
	return s.fresh(ctx, in.QueryHeaders)
}

func (in *SpanInput) answer() SpanAnswer { return SpanAnswer{in.from, in.to} }

// grouped counts a view in its groups.
func (in *GroupInput) grouped(groups projections.Groups, p projections.Play) {
	if in.GroupBy == "country" {
		groups.AddTo(p.Country, p)
		return
	}
	groups.AddByRendition(p)
}

func (s *Server) totals(ctx context.Context, in *GroupInput) (*huma.StreamResponse, error) {
	if err := s.span(ctx, &in.SpanInput, maxDays); err != nil {
		return nil, err
	}
	happened, err := projections.Summarize(ctx, in.from, in.to, projections.Whole, s.Analytics.Each)
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	var played projections.PlayFigures
	groups := projections.Groups{}
	err = s.Plays.Each(ctx, in.from, in.to, "", func(p projections.Play) error {
		played.Add(p)
		if in.GroupBy != "" {
			in.grouped(groups, p)
		}
		return nil
	})
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	a := TotalsAnswer{SpanAnswer: in.answer(), EventFigures: eventFigures(happened[time.Time{}]), PlayFigures: playFigures(&played)}
	if in.GroupBy == "" {
		return s.table(in.Format, a, []row{slices.Concat(a.EventFigures.cells(), a.PlayFigures.cells())}), nil
	}
	a.Groups = groupAnswers(groups)
	return s.table(in.Format, a, groupRows(in.GroupBy, a.Groups)), nil
}

func (s *Server) timeseries(ctx context.Context, in *seriesInput) (*huma.StreamResponse, error) {
	longest, by := maxDays, projections.Daily
	if in.Interval == "hour" {
		longest, by = maxHourlyDays, projections.Hourly
	}
	if err := s.span(ctx, &in.SpanInput, longest); err != nil {
		return nil, err
	}
	a := SeriesAnswer{SpanAnswer: in.answer(), Interval: in.Interval, Items: []pointAnswer{}}
	var err error
	if in.GroupBy == "" {
		a.Items, err = s.series(ctx, in, by)
	} else {
		a.Items, err = s.groupedSeries(ctx, in, by)
	}
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	rows := make([]row, len(a.Items))
	for i, p := range a.Items {
		rows[i] = row{{"time", p.Time.Format(time.RFC3339)}}
		if p.Group == nil {
			rows[i] = slices.Concat(rows[i], p.EventFigures.cells(), p.PlayFigures.cells())
		} else {
			rows[i] = slices.Concat(rows[i], row{{in.GroupBy, *p.Group}}, p.PlayFigures.cells())
		}
	}
	return s.table(in.Format, a, rows), nil
}

func (s *Server) series(ctx context.Context, in *seriesInput, by projections.Interval) ([]pointAnswer, error) {
	happened, err := projections.Summarize(ctx, in.from, in.to, by, s.Analytics.Each)
	if err != nil {
		return nil, err
	}
	played := map[time.Time]*projections.PlayFigures{}
	err = s.Plays.Each(ctx, in.from, in.to, "", func(p projections.Play) error {
		at := by.Span(p.First)
		if played[at] == nil {
			played[at] = &projections.PlayFigures{}
		}
		played[at].Add(p)
		return nil
	})
	times := maps.Clone(played)
	for at := range happened {
		times[at] = nil
	}
	items := []pointAnswer{}
	for _, at := range slices.SortedFunc(maps.Keys(times), time.Time.Compare) {
		items = append(items, pointAnswer{Time: at, EventFigures: eventFigures(happened[at]), PlayFigures: playFigures(played[at])})
	}
	return items, err
}

func (s *Server) groupedSeries(ctx context.Context, in *seriesInput, by projections.Interval) ([]pointAnswer, error) {
	spans := map[time.Time]projections.Groups{}
	err := s.Plays.Each(ctx, in.from, in.to, "", func(p projections.Play) error {
		at := by.Span(p.First)
		if spans[at] == nil {
			spans[at] = projections.Groups{}
		}
		in.grouped(spans[at], p)
		return nil
	})
	items := []pointAnswer{}
	for _, at := range slices.SortedFunc(maps.Keys(spans), time.Time.Compare) {
		for _, g := range groupAnswers(spans[at]) {
			items = append(items, pointAnswer{Time: at, Group: &g.Group, EventFigures: eventFigures(nil), PlayFigures: g.PlayFigures})
		}
	}
	return items, err
}

func (s *Server) top(ctx context.Context, in *topInput) (*huma.StreamResponse, error) {
	if err := s.span(ctx, &in.SpanInput, maxDays); err != nil {
		return nil, err
	}
	videos := projections.Groups{}
	err := s.Plays.Each(ctx, in.from, in.to, "", func(p projections.Play) error {
		videos.AddTo(string(p.Video), p)
		return nil
	})
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	measure := func(f PlayFigures) float64 {
		switch in.By {
		case "viewers":
			return float64(f.Viewers)
		case "watch_seconds":
			return f.WatchSeconds
		case "completed":
			return float64(f.Completed)
		}
		return float64(f.Views)
	}
	all := groupAnswers(videos)
	slices.SortStableFunc(all, func(a, b groupAnswer) int { return cmp.Compare(measure(b.PlayFigures), measure(a.PlayFigures)) })
	a := TopAnswer{SpanAnswer: in.answer(), Items: []rankedVideo{}}
	var rows []row
	for _, g := range all[:min(in.Limit, len(all))] {
		v, err := s.Catalog.Video(ctx, domain.VideoID(g.Group))
		if err != nil && !errors.Is(err, domain.ErrNotFound) {
			return nil, s.problem(ctx, "query", err)
		}
		a.Items = append(a.Items, rankedVideo{g.Group, v.Details.Title, g.PlayFigures})
		rows = append(rows, slices.Concat(row{{"video", g.Group}, {"title", v.Details.Title}}, g.cells()))
	}
	return s.table(in.Format, a, rows), nil
}

func (s *Server) videoFigures(ctx context.Context, in *videoFiguresInput) (*huma.StreamResponse, error) {
	id, err := domain.ParseVideoID(in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	if err := s.span(ctx, &in.SpanInput, maxDays); err != nil {
		return nil, err
	}
	if _, err := s.Catalog.Video(ctx, id); err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	var played projections.PlayFigures
	renditions, countries := projections.Groups{}, projections.Groups{}
	err = s.Plays.Each(ctx, in.from, in.to, id, func(p projections.Play) error {
		played.Add(p)
		renditions.AddByRendition(p)
		countries.AddTo(p.Country, p)
		return nil
	})
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	a := VideoFiguresAnswer{
		SpanAnswer: in.answer(), Video: in.ID, PlayFigures: playFigures(&played), Curve: played.Parts[:],
		Renditions: groupAnswers(renditions), Countries: groupAnswers(countries),
	}
	var rows []row
	for n, views := range a.Curve {
		rows = append(rows, row{{"from_percent", 100 * n / len(a.Curve)}, {"views", views}})
	}
	return s.table(in.Format, a, rows), nil
}
