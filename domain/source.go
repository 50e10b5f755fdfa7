package domain

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Rational is a frame rate: Num/Den frames per second.
type Rational struct {
	Num int `json:"num"`
	Den int `json:"den"`
}

// Float returns the rate as a number, 0 for the zero value.
func (r Rational) Float() float64 {
	if r.Den == 0 {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

// Seconds returns how long n frames last at this rate.
func (r Rational) Seconds(n int) float64 {
	if r.Num == 0 {
		return 0
	}
	return float64(n) * float64(r.Den) / float64(r.Num)
}

func (r Rational) String() string { return strconv.Itoa(r.Num) + "/" + strconv.Itoa(r.Den) }

// Transfer says how the source maps light to numbers, as far as it must be known to show it right.
type Transfer string

// SDR needs no mapping; PQ (SMPTE ST 2084) and HLG (ARIB STD-B67) are tone-mapped to it.
const (
	SDR Transfer = "sdr"
	PQ  Transfer = "pq"
	HLG Transfer = "hlg"
)

// SourceInfo is what inspection measured of a source: not what its headers claim, where the two differ.
type SourceInfo struct {
	Container   string     `json:"container"`
	VideoCodec  string     `json:"video_codec"`
	PixelFormat string     `json:"pixel_format"`
	Width       int        `json:"width"`  // as displayed: rotation applied, square pixels
	Height      int        `json:"height"` // as displayed
	Rotation    int        `json:"rotation,omitempty"`
	FrameRate   Rational   `json:"frame_rate"` // the constant rate that renditions get, at most 60
	VFR         bool       `json:"vfr,omitempty"`
	Interlaced  bool       `json:"interlaced,omitempty"`
	Transfer    Transfer   `json:"transfer"`
	Alpha       bool       `json:"alpha,omitempty"`
	Duration    float64    `json:"duration"`        // seconds, from the first to the end of the last frame or sample
	Frames      int        `json:"frames"`          // at FrameRate over Duration
	Audio       *AudioInfo `json:"audio,omitempty"` // what players begin with
	// Remux is set where browsers play the pictures as they are.
	Remux *RemuxInfo `json:"remux,omitempty"`
	// NoSeek says why the source cannot be sought exactly, so that each of its chunks is read from the start on; empty
	// when it can.
	NoSeek string `json:"one_chunk,omitempty"`
	// Captions are the tracks of text, in the order of the file; Chapters have their places on the video's time line.
	Captions []CaptionInfo `json:"captions,omitempty"`
	Chapters []Chapter     `json:"chapters,omitempty"`
	// MoreAudio are the other tracks of sound, in the order of the file.
	MoreAudio []AudioInfo `json:"more_audio,omitempty"`
}

// BeginsLike says whether what is made of two sources' pictures begins in the same way, if the pictures do.
func (s SourceInfo) BeginsLike(o SourceInfo) bool {
	if s.Remux != nil && o.Remux != nil && s.Remux.Start != o.Remux.Start {
		return false
	}
	return s.Container == o.Container && s.VideoCodec == o.VideoCodec && s.PixelFormat == o.PixelFormat && s.Width == o.Width &&
		s.Height == o.Height && s.Rotation == o.Rotation && s.FrameRate == o.FrameRate && s.VFR == o.VFR &&
		s.Interlaced == o.Interlaced && s.Transfer == o.Transfer && s.Alpha == o.Alpha
}

// CaptionInfo is a track of text in a source.
type CaptionInfo struct {
	Track    int    `json:"track"` // its number in the file
	Codec    string `json:"codec"`
	Language string `json:"language,omitempty"` // BCP 47
	Title    string `json:"title,omitempty"`
}

// Chapter is a part of a video that has a title.
type Chapter struct {
	Title string  `json:"title"`
	Start float64 `json:"start"` // seconds
	End   float64 `json:"end"`   // seconds
}

// How many tracks of text and how many chapters are taken from a source, and how long their titles may be.
const (
	MaxCaptions = 20
	MaxChapters = 200
	MaxLabel    = 200 // code points
)

// CleanLabel makes a title that was read from a file one line of text.
func CleanLabel(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r)
	}), " ")
	if r := []rune(s); len(r) > MaxLabel {
		s = string(r[:MaxLabel])
	}
	return s
}

// RemuxInfo is what must be known of pictures to serve them without encoding them again.
type RemuxInfo struct {
	BitRate int     `json:"bit_rate"`        // bits per second on the average
	Start   float64 `json:"start,omitempty"` // seconds by which the pictures begin after the source does
	// Joints are the frames, at the source's FrameRate, at which the pictures can be cut: keyframes that no other picture
	// reaches across. The first is 0; none follows another one within a second.
	Joints []int `json:"joints"`
}

// AudioInfo is what inspection measured of a track of sound.
type AudioInfo struct {
	Track      int    `json:"track,omitempty"` // its number in the file
	Codec      string `json:"codec"`
	Channels   int    `json:"channels"`
	SampleRate int    `json:"sample_rate"`
	Language   string `json:"language,omitempty"` // BCP 47
	Title      string `json:"title,omitempty"`

	Kind AudioKind `json:"kind,omitempty"`

	Silences []Silence `json:"silences,omitempty"` // the long ones: before the first packet, and between two
}

// Silence is a time in which a track has no sound.
type Silence struct {
	From float64 `json:"from"` // seconds from the source's start
	To   float64 `json:"to"`
}

// Equal says whether two inspections saw the same track.
func (a AudioInfo) Equal(b AudioInfo) bool {
	return a.Track == b.Track && a.Codec == b.Codec && a.Channels == b.Channels && a.SampleRate == b.SampleRate &&
		a.Language == b.Language && a.Title == b.Title && a.Kind == b.Kind && slices.Equal(a.Silences, b.Silences)
}
