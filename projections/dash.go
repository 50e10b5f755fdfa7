package projections

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// An MPD (ISO/IEC 23009-1) names the same segments as the HLS playlists do; numbers of its clauses stand at the lines.
// Segments lie at arbitrary addresses and may differ in length, so they are listed (5.3.9.3) with a timeline (5.3.9.6).

// dashTimescale divides all usual frame rates and, but for 44.1 kHz, all lengths of audio packets. Starts are rounded
// one by one, so that nothing adds up.
const dashTimescale = 90_000

type mpd struct {
	XMLName   xml.Name  `xml:"urn:mpeg:dash:schema:mpd:2011 MPD"`
	Profiles  string    `xml:"profiles,attr"`
	Type      string    `xml:"type,attr"`
	Duration  string    `xml:"mediaPresentationDuration,attr"`
	MaxLength string    `xml:"maxSegmentDuration,attr"`
	Buffer    string    `xml:"minBufferTime,attr"`
	Period    mpdPeriod `xml:"Period"`
}

type mpdPeriod struct {
	ID    string   `xml:"id,attr"`
	Start string   `xml:"start,attr"`
	Sets  []mpdSet `xml:"AdaptationSet"`
}

// mpdSet is what a player may switch within (5.3.3).
type mpdSet struct {
	ID              int                 `xml:"id,attr"`
	ContentType     string              `xml:"contentType,attr"`
	MimeType        string              `xml:"mimeType,attr"`
	Language        string              `xml:"lang,attr,omitempty"`
	Alignment       bool                `xml:"segmentAlignment,attr,omitempty"`
	StartWithSAP    int                 `xml:"startWithSAP,attr,omitempty"`
	Label           string              `xml:"Label,omitempty"`
	Accessibility   *mpdDescriptor      `xml:"Accessibility"`
	Role            mpdDescriptor       `xml:"Role"`
	Representations []mpdRepresentation `xml:"Representation"`
}

type mpdDescriptor struct {
	Scheme string `xml:"schemeIdUri,attr"`
	Value  string `xml:"value,attr"`
}

type mpdRepresentation struct {
	ID        string          `xml:"id,attr"`
	Bandwidth int64           `xml:"bandwidth,attr"`
	Codecs    string          `xml:"codecs,attr,omitempty"`
	Width     int             `xml:"width,attr,omitempty"`
	Height    int             `xml:"height,attr,omitempty"`
	FrameRate string          `xml:"frameRate,attr,omitempty"`
	Aspect    string          `xml:"sar,attr,omitempty"`
	Channels  *mpdDescriptor  `xml:"AudioChannelConfiguration"`
	BaseURL   string          `xml:"BaseURL,omitempty"`
	List      *mpdSegmentList `xml:"SegmentList"`
}

type mpdSegmentList struct {
	Timescale int           `xml:"timescale,attr"`
	Init      mpdInit       `xml:"Initialization"`
	Timeline  []mpdTime     `xml:"SegmentTimeline>S"`
	URLs      []mpdLocation `xml:"SegmentURL"`
}

type mpdInit struct {
	URL string `xml:"sourceURL,attr"`
}

type mpdLocation struct {
	URL string `xml:"media,attr"`
}

// mpdTime is some segments of the same length in a row.
type mpdTime struct {
	Start  int64 `xml:"t,attr"`
	Length int64 `xml:"d,attr"`
	Repeat int   `xml:"r,attr,omitempty"`
}

// Manifest renders the MPD of a video that is complete; uri gives the address of a blob. ErrNotFound while the video
// grows: a dynamic MPD was tried, and dash.js does not play it from 0 to the end (docs/playback.md has the measurement).
func Manifest(p Playback, uri func(domain.Blob) string) ([]byte, error) {
	if !p.Complete {
		return nil, fmt.Errorf("video %s is still encoded, and has no DASH manifest before it is complete (play it by HLS): %w", p.ID, domain.ErrNotFound)
	}
	target := targetDuration(p)
	m := mpd{
		Profiles: "urn:mpeg:dash:profile:isoff-main:2011", Type: "static", Duration: isoDuration(p.longest()),
		MaxLength: isoDuration(float64(target)), Buffer: isoDuration(float64(target)),
		Period: mpdPeriod{ID: "0", Start: "PT0S"},
	}
	sets := map[string]int{} // by codec, since players change within a set without asking the decoder: its place
	for _, r := range p.Renditions {
		codec, _, _ := strings.Cut(r.Codecs, ".")
		at, has := sets[codec]
		if !has {
			at = len(m.Period.Sets)
			sets[codec] = at
			m.Period.Sets = append(m.Period.Sets, mpdSet{
				ID: at + 1, ContentType: "video", MimeType: "video/mp4", Alignment: true, StartWithSAP: 1,
				Role: mpdDescriptor{"urn:mpeg:dash:role:2011", "main"},
			})
		}
		m.Period.Sets[at].Representations = append(m.Period.Sets[at].Representations, mpdRepresentation{
			ID: r.Name, Bandwidth: videoRate(p, r).peak, Codecs: r.Codecs, Width: r.Width, Height: r.Height,
			FrameRate: r.FrameRate.String(), Aspect: "1:1", List: segmentList(r.Init, r.Segments, uri),
		})
	}
	for _, set := range slices.Concat(audioSets(p, uri), captionSets(p, uri)) {
		set.ID = len(m.Period.Sets) + 1
		m.Period.Sets = append(m.Period.Sets, set)
	}
	text, err := xml.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write the manifest of video %s: %w", p.ID, err)
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}

// segmentList lists segments that follow each other from 0 on.
func segmentList(init domain.Blob, segments []domain.Segment, uri func(domain.Blob) string) *mpdSegmentList {
	list := &mpdSegmentList{Timescale: dashTimescale, Init: mpdInit{uri(init)}}
	at := 0.0
	for _, s := range segments {
		start := int64(math.Round(at * dashTimescale))
		at += s.Duration
		length := int64(math.Round(at*dashTimescale)) - start
		if n := len(list.Timeline); n > 0 && list.Timeline[n-1].Length == length {
			list.Timeline[n-1].Repeat++
		} else {
			list.Timeline = append(list.Timeline, mpdTime{Start: start, Length: length})
		}
		list.URLs = append(list.URLs, mpdLocation{uri(s.Blob)})
	}
	return list
}

// longest is how long the longest of the renditions lasts, in seconds.
func (p Playback) longest() float64 {
	total := func(segments []domain.Segment) (sum float64) {
		for _, s := range segments {
			sum += s.Duration
		}
		return sum
	}
	longest := 0.0
	for _, a := range p.Audio {
		longest = max(longest, total(a.Segments))
	}
	for _, r := range p.Renditions {
		longest = max(longest, total(r.Segments))
	}
	return longest
}

// isoDuration writes seconds as ISO 8601 does.
func isoDuration(seconds float64) string {
	return "PT" + strconv.FormatFloat(math.Round(1e5*seconds)/1e5, 'f', -1, 64) + "S"
}
