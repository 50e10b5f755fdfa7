package domain

import (
	"cmp"
	"slices"
)

// Codec names a video codec of renditions.
type Codec string

// The codecs. Every device plays AVC; the others need half to two thirds of its bits, where a device plays them.
const (
	AVC  Codec = "avc"  // H.264, ITU-T
	HEVC Codec = "hevc" // H.265, ITU-T
	AV1  Codec = "av1"  // AOMedia Video 1
)

// Profile names how much work an encode may be for the bytes that it saves.
type Profile string

// The profiles.
const (
	Fast     Profile = "fast"     // ready soonest
	Balanced Profile = "balanced" // twice to three times the work of fast
	Small    Profile = "small"    // the fewest bytes, for what is watched often
)

// Encoding is what a source is to be encoded to. What is left out is up to the server's settings.
type Encoding struct {
	Profile   Profile      `json:"profile,omitempty"`
	Codecs    []Codec      `json:"codecs,omitempty"` // AVC among them
	Remux     Remux        `json:"remux,omitempty"`
	Ladder    LadderChoice `json:"ladder,omitempty"`
	AudioOnly *bool        `json:"audio_only,omitempty"` // also offer the sound without pictures
}

// Remux says whether the source's own pictures may be served.
type Remux string

// RemuxAuto serves them where browsers play them.
const (
	RemuxAuto  Remux = "auto"
	RemuxNever Remux = "never"
)

// Clean returns the encoding in its one spelling, or an *Invalid that names every field that breaks a rule.
func (e Encoding) Clean() (Encoding, error) {
	var bad []FieldError
	if e.Profile != "" && !slices.Contains([]Profile{Fast, Balanced, Small}, e.Profile) {
		bad = append(bad, FieldError{"encoding.profile", "must be fast, balanced or small"})
	}
	if e.Remux != "" && e.Remux != RemuxAuto && e.Remux != RemuxNever {
		bad = append(bad, FieldError{"encoding.remux", "must be auto or never"})
	}
	if e.Ladder != "" && !slices.Contains([]LadderChoice{LadderAuto, LadderMeasured, LadderFixed}, e.Ladder) {
		bad = append(bad, FieldError{"encoding.ladder", "must be auto, measured or fixed"})
	}
	if len(e.Codecs) > 0 {
		var sorted []Codec
		for _, c := range []Codec{AVC, HEVC, AV1} {
			if slices.Contains(e.Codecs, c) {
				sorted = append(sorted, c)
			}
		}
		unknown := slices.ContainsFunc(e.Codecs, func(c Codec) bool { return !slices.Contains(sorted, c) })
		if unknown || sorted[0] != AVC {
			bad = append(bad, FieldError{"encoding.codecs", "must be avc, and hevc and av1 where they are wanted: some devices play nothing but avc"})
		}
		e.Codecs = sorted
	}
	if len(bad) > 0 {
		return e, &Invalid{Fields: bad}
	}
	return e, nil
}

// Or returns the encoding with what it leaves out taken from another one.
func (e Encoding) Or(other Encoding) Encoding {
	e.Profile = cmp.Or(e.Profile, other.Profile)
	e.Remux = cmp.Or(e.Remux, other.Remux)
	e.Ladder = cmp.Or(e.Ladder, other.Ladder)
	if len(e.Codecs) == 0 {
		e.Codecs = other.Codecs
	}
	if e.AudioOnly == nil {
		e.AudioOnly = other.AudioOnly
	}
	return e
}

// Plan lays the grid over a source that was inspected. It has every rung of the ladder; where those are to be chosen, it
// is open.
func (e Encoding) Plan(s SourceInfo) Plan {
	if e.Remux == RemuxNever || slices.Contains(e.Codecs, AV1) { // SVT-AV1 takes no keyframes where it is told to
		s.Remux = nil
	}
	p := plan(s)
	p.Profile = cmp.Or(e.Profile, Fast)
	p.Open = (e.Ladder == LadderMeasured || e.Ladder == LadderAuto && p.Remuxed() != nil) && p.choosable()
	p.AudioOnly = p.Audio != nil && e.AudioOnly != nil && *e.AudioOnly
	avc := p.Encoded()
	for _, c := range e.Codecs {
		if c == AVC {
			continue
		}
		for _, r := range avc {
			r.Name, r.Codec = r.Name+"-"+string(c), c
			r.MaxRate = int(float64(r.MaxRate) * c.thrift())
			p.Rungs = append(p.Rungs, r)
		}
	}
	return p
}

// thrift is the part of AVC's bits that a codec's cap lets through.
func (c Codec) thrift() float64 {
	switch c {
	case HEVC:
		return 0.7
	case AV1:
		return 0.6
	case AVC:
	}
	return 1
}

// PlanTranscode is the plan of an Encoding that leaves everything out.
func PlanTranscode(s SourceInfo) Plan { return Encoding{}.Plan(s) }
