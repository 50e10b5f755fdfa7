package streamcheck

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// manifest is an MPD of ISO/IEC 23009-1, as far as the rules look at it.
type manifest struct {
	XMLName  xml.Name `xml:"MPD"`
	Type     string   `xml:"type,attr"`
	Profiles string   `xml:"profiles,attr"`
	Duration string   `xml:"mediaPresentationDuration,attr"`
	Buffer   string   `xml:"minBufferTime,attr"`
	Start    string   `xml:"availabilityStartTime,attr"`
	Update   string   `xml:"minimumUpdatePeriod,attr"`
	BaseURL  string   `xml:"BaseURL"`
	Periods  []struct {
		BaseURL string          `xml:"BaseURL"`
		Sets    []adaptationSet `xml:"AdaptationSet"`
	} `xml:"Period"`

	file            string
	address         string
	response        *response
	seconds         float64 // mediaPresentationDuration
	representations []*representation
}

type adaptationSet struct {
	common

	Alignment       string            `xml:"segmentAlignment,attr"`
	Representations []*representation `xml:"Representation"`
}

// common is what adaptation sets and representations may both say.
type common struct {
	MimeType  string           `xml:"mimeType,attr"`
	Codecs    string           `xml:"codecs,attr"`
	Width     int              `xml:"width,attr"`
	Height    int              `xml:"height,attr"`
	FrameRate string           `xml:"frameRate,attr"`
	StartsSAP int              `xml:"startWithSAP,attr"`
	BaseURL   string           `xml:"BaseURL"`
	List      *segmentSequence `xml:"SegmentList"`
	Template  *segmentSequence `xml:"SegmentTemplate"`
}

type representation struct {
	common

	ID        string `xml:"id,attr"`
	Bandwidth int64  `xml:"bandwidth,attr"`

	place    place
	set      *adaptationSet
	period   int
	segments []*segment
	starts   []float64 // of the segments, in seconds of the media
	unread   string    // why its segments are not known
}

// segmentSequence is a SegmentList or a SegmentTemplate.
type segmentSequence struct {
	Timescale      int64  `xml:"timescale,attr"`
	Duration       int64  `xml:"duration,attr"`
	Number         *int64 `xml:"startNumber,attr"`
	Offset         int64  `xml:"presentationTimeOffset,attr"`
	Initialization string `xml:"initialization,attr"`
	Media          string `xml:"media,attr"`
	Init           *struct {
		Source string `xml:"sourceURL,attr"`
		Range  string `xml:"range,attr"`
	} `xml:"Initialization"`
	URLs []struct {
		Media string `xml:"media,attr"`
		Range string `xml:"mediaRange,attr"`
	} `xml:"SegmentURL"`
	Timeline *struct {
		Entries []struct {
			Time   *int64 `xml:"t,attr"`
			Length int64  `xml:"d,attr"`
			Repeat int64  `xml:"r,attr"`
		} `xml:"S"`
	} `xml:"SegmentTimeline"`
}

var errManifest = errors.New("no MPD that can be read")

// readManifest reads an MPD and lists what it names.
func readManifest(file string, address *url.URL, text []byte, r *response) (*manifest, error) {
	m := &manifest{}
	if err := xml.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errManifest, err)
	}
	m.file, m.address, m.response = file, address.String(), r
	m.seconds, _ = isoSeconds(m.Duration)
	for n := range m.Periods {
		period := &m.Periods[n]
		for i := range period.Sets {
			set := &period.Sets[i]
			for _, rep := range set.Representations {
				rep.set, rep.period = set, n
				rep.place = place{file, lineOf(string(text), `id="`+rep.ID+`"`)}
				rep.inherit(set.common)
				m.representations = append(m.representations, rep)
				rep.unread = rep.list([]string{m.BaseURL, period.BaseURL, set.BaseURL, rep.BaseURL}, m.seconds)
			}
		}
	}
	return m, nil
}

// lineOf finds the line in which something first stands; 0 where it does not.
func lineOf(text, what string) int {
	before, _, found := strings.Cut(text, what)
	if !found {
		return 0
	}
	return 1 + strings.Count(before, "\n")
}

// inherit takes what the adaptation set says for all.
func (c *common) inherit(set common) {
	c.MimeType, c.Codecs = cmp.Or(c.MimeType, set.MimeType), cmp.Or(c.Codecs, set.Codecs)
	c.Width, c.Height = cmp.Or(c.Width, set.Width), cmp.Or(c.Height, set.Height)
	c.FrameRate, c.StartsSAP = cmp.Or(c.FrameRate, set.FrameRate), cmp.Or(c.StartsSAP, set.StartsSAP)
	if c.List == nil {
		c.List = set.List
	}
	if c.Template == nil {
		c.Template = set.Template
	}
}

// list makes the segments; it returns why it cannot.
func (r *representation) list(bases []string, total float64) string {
	from := r.List
	if from == nil {
		from = r.Template
	}
	if from == nil {
		return "neither SegmentList nor SegmentTemplate"
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
	init := &initSection{place: r.place, uri: resolve(r.fill(from.Initialization, 0, 0))}
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
			s.uri = resolve(r.fill(from.Media, number+int64(i), at.start))
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
func (r *representation) fill(template string, number, start int64) string {
	return regexp.MustCompile(`\$(RepresentationID|Number|Time|Bandwidth|)(%0(\d)d)?\$`).ReplaceAllStringFunc(template, func(id string) string {
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

// isoSeconds reads a duration of ISO 8601 without years and months.
func isoSeconds(s string) (float64, bool) {
	m := regexp.MustCompile(`^P(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?$`).FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	sum, factors := 0.0, []float64{86_400, 3600, 60, 1}
	for i, f := range factors {
		if m[i+1] != "" {
			n, err := strconv.ParseFloat(m[i+1], 64)
			if err != nil {
				return 0, false
			}
			sum += n * f
		}
	}
	return sum, !math.IsNaN(sum)
}

func (m *manifest) all() []*segment {
	var all []*segment
	for _, r := range m.representations {
		all = append(all, r.segments...)
	}
	return all
}
