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
