package streamcheck

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// list makes the segments; it returns why it cannot.
func (r *representation) list(bases []string, total float64) string {
	from := r.List
	if from == nil {
		from = r.Template
	}
	base := &url.URL{}
	for _, b := range bases {
		if u, err := url.Parse(strings.TrimSpace(b)); err == nil {
			base = base.ResolveReference(u)
		}
	}
	resolve := func(uri string) string {
		u, err := base.Parse(uri)
		if err != nil {
			return uri
		}
		return u.String()
	}
	if from == nil {
		if kind, _, _ := strings.Cut(r.MimeType, "/"); kind != "text" || r.BaseURL == "" {
			return "neither SegmentList nor SegmentTemplate"
		}
		r.segments = []*segment{{place: r.place, uri: resolve(""), duration: total, hasDuration: true}} // a file of its own
		r.starts = []float64{0}
		return ""
	}
	identifier := regexp.MustCompile(`\$(RepresentationID|Number|Time|Bandwidth|)(%0(\d)d)?\$`)
	init := &initSection{place: r.place, uri: resolve(r.fill(identifier, from.Initialization, 0, 0))}
	if from.Init != nil {
		init.uri, init.part = resolve(from.Init.Source), dashRange(from.Init.Range)
	}
	scale := float64(max(from.Timescale, 1))
	times := from.times(total)
	if len(times) > defaultFiles {
		return fmt.Sprintf("%d segments", len(times))
	}
	if r.List != nil && len(times) != len(from.URLs) {
		return fmt.Sprintf("%d entries in the timeline for %d addresses", len(times), len(from.URLs))
	}
	number := int64(1)
	if from.Number != nil {
		number = *from.Number
	}
	for i, at := range times {
		s := &segment{place: r.place, init: init, duration: float64(at.length) / scale, hasDuration: true}
		if r.List != nil {
			s.uri, s.part = resolve(from.URLs[i].Media), dashRange(from.URLs[i].Range)
		} else {
			s.uri = resolve(r.fill(identifier, from.Media, number+int64(i), at.start))
		}
		r.segments = append(r.segments, s)
		r.starts = append(r.starts, float64(at.start)/scale)
	}
	return ""
}

type segmentTime struct{ start, length int64 }

// times lays the timeline out, or divides the whole into equal parts.
func (q *segmentSequence) times(total float64) (all []segmentTime) {
	if q.Timeline == nil {
		if q.Duration <= 0 {
			return nil
		}
		end := int64(total * float64(max(q.Timescale, 1)))
		for at := int64(0); (at < end || at == 0) && len(all) <= defaultFiles; at += q.Duration {
			all = append(all, segmentTime{at + q.Offset, min(q.Duration, max(end-at, 1))})
		}
		return all
	}
	at := q.Offset
	for _, e := range q.Timeline.Entries {
		if e.Time != nil {
			at = *e.Time
		}
		for n := int64(0); n <= max(e.Repeat, 0) && len(all) <= defaultFiles; n++ {
			all = append(all, segmentTime{at, e.Length})
			at += e.Length
		}
	}
	return all
}

// fill puts values into a template (5.3.9.4.4).
func (r *representation) fill(identifier *regexp.Regexp, template string, number, start int64) string {
	return identifier.ReplaceAllStringFunc(template, func(id string) string {
		name, width, _ := strings.Cut(strings.Trim(id, "$"), "%0")
		digits, _ := strconv.Atoi(strings.TrimSuffix(width, "d"))
		switch name {
		case "RepresentationID":
			return r.ID
		case "Number":
			return fmt.Sprintf("%0*d", digits, number)
		case "Time":
			return fmt.Sprintf("%0*d", digits, start)
		case "Bandwidth":
			return fmt.Sprintf("%0*d", digits, r.Bandwidth)
		}
		return "$"
	})
}

// dashRange reads "first-last", both counted; nil for the whole.
func dashRange(s string) *byteRange {
	first, last, ok := strings.Cut(s, "-")
	a, errA := strconv.ParseInt(first, 10, 64)
	b, errB := strconv.ParseInt(last, 10, 64)
	if !ok || errA != nil || errB != nil || a < 0 || b < a {
		return nil
	}
	return &byteRange{offset: a, length: b - a + 1}
}
