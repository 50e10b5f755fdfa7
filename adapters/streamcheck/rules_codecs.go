package streamcheck

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

func codecsAreTrue(p *presentation, r *reporter) {
	check := func(v *variant) {
		if v.attributes["CODECS"] == "" {
			return
		}
		var found []string
		for _, l := range p.plays(v) {
			found = append(found, l.formats()...)
		}
		if len(found) == 0 {
			return
		}
		for _, f := range found {
			if !slices.ContainsFunc(v.codecs(), func(a string) bool { return sameCodec(a, f) }) {
				r.found(v.place, f, "CODECS=%q", v.attributes["CODECS"])
			}
		}
		for _, a := range v.codecs() {
			known := slices.ContainsFunc(found, func(f string) bool { return sameCodec(a, f) })
			if text := strings.HasPrefix(a, "wvtt") || strings.HasPrefix(a, "stpp"); !known && !text {
				r.found(v.place, "no codec that is not there", "%s, but the media has %s", a, strings.Join(found, ", "))
			}
		}
	}
	p.eachVariant(check)
	p.eachIFrames(check)
}

// shown is the size at which a track is shown: that of the sample entry, stretched by its pixel aspect ratio.
func (t *track) shown() (width, height float64) {
	width, height = float64(t.sample.width), float64(t.sample.height)
	if a := t.sample.aspect; a[0] > 0 && a[1] > 0 {
		width *= float64(a[0]) / float64(a[1])
	}
	return width, height
}

func resolutionIsTrue(p *presentation, r *reporter) {
	check := func(v *variant) {
		w, h, ok := v.resolution()
		if !ok || v.media == nil || v.media.track() == nil || !v.media.track().video {
			return
		}
		t := v.media.track()
		if sw, sh := t.shown(); math.Abs(sw-float64(w)) > 1 || math.Abs(sh-float64(h)) > 1 {
			r.found(v.place, fmt.Sprintf("%.0fx%.0f, of the sample description", sw, sh), "RESOLUTION=%dx%d", w, h)
		}
		if c := t.sample.coded; c[0] > 0 && (c[0] != t.sample.width || c[1] != t.sample.height) {
			r.found(v.media.initPlace(), fmt.Sprintf("%dx%d, of the parameter sets", c[0], c[1]), "a sample entry of %dx%d", t.sample.width, t.sample.height)
		}
	}
	p.eachVariant(check)
	p.eachIFrames(check)
}

func frameRateIsTrue(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) {
		said, ok := v.number("FRAME-RATE")
		if !ok || v.media == nil {
			return
		}
		if !v.media.atRate(said) {
			r.found(v.place, fmt.Sprintf("%.3f", v.media.frameRate()), "FRAME-RATE=%s", v.attributes["FRAME-RATE"])
		}
	})
}

// initPlace is where the first initialization section stands that could be read.
func (p *playlist) initPlace() place {
	for _, s := range p.segments {
		if s.init != nil && s.init.movie != nil {
			return s.init.place
		}
	}
	return p.at(0)
}

// eachVideo calls what with each video track, at the place of its initialization section.
func (p *presentation) eachVideo(what func(*playlist, *track, place)) {
	for _, l := range p.videos() {
		what(l, l.track(), l.initPlace())
	}
}

func videoCodecIsKnown(p *presentation, r *reporter) {
	p.eachVideo(func(_ *playlist, t *track, at place) {
		switch t.sample.format {
		case "avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe", "av01":
		default:
			r.found(at, "avc1, hvc1, dvh1 or av01", "%s", t.sample.format)
		}
	})
}

// Profiles of ITU-T H.264, annex A.
const (
	avcBaseline = 66
	avcMain     = 77
	avcHigh     = 100
)

func avcIsPlayable(p *presentation, r *reporter) {
	p.eachVideo(func(_ *playlist, t *track, at place) {
		s := t.sample
		const level52 = 52
		if s.avc() && (s.profile > avcHigh || s.level > level52 || s.bitDepth > 8 || s.chroma > 1) {
			r.found(at, "at most High Profile (8-bit 4:2:0), Level 5.2", "profile %d, level %.1f, %d bits", s.profile, float64(s.level)/10, s.bitDepth)
		}
	})
}

func avcIsHigh(p *presentation, r *reporter) {
	p.eachVideo(func(_ *playlist, t *track, at place) {
		if t.sample.avc() && (t.sample.profile == avcBaseline || t.sample.profile == avcMain) {
			r.found(at, "profile 100", "profile %d", t.sample.profile)
		}
	})
}

func hevcIsPlayable(p *presentation, r *reporter) {
	p.eachVideo(func(_ *playlist, t *track, at place) {
		const main10, level51 = 2, 153 // ITU-T H.265, annex A: the level times 30
		if s := t.sample; s.hevc() && (s.profile > main10 || s.level > level51) {
			r.found(at, "at most Main 10, Level 5.1", "profile %d, level %.1f", s.profile, float64(s.level)/30)
		}
	})
}

func av1IsPlayable(p *presentation, r *reporter) {
	p.eachVideo(func(_ *playlist, t *track, at place) {
		const level62 = 18 // seq_level_idx of the AV1 specification, annex A.3
		if s := t.sample; s.format == "av01" && s.level > level62 {
			r.found(at, "at most Level 6.2", "seq_level_idx %d", s.level)
		}
	})
}

func parameterSetsOutside(p *presentation, r *reporter) {
	p.eachVideo(func(_ *playlist, t *track, at place) {
		switch t.sample.format {
		case "avc3", "hev1", "dvhe":
			r.found(at, "avc1, hvc1 or dvh1", "%s", t.sample.format)
		}
	})
}

func notInterlaced(p *presentation, r *reporter) {
	p.eachVideo(func(_ *playlist, t *track, at place) {
		if t.sample.interlaced {
			r.found(at, "progressive frames", "parameter sets of interlaced video")
		}
	})
}

func frameRateIsUsual(p *presentation, r *reporter) {
	usual := []float64{23.976, 24, 25, 29.97, 30, 50, 59.94, 60}
	p.eachVideo(func(l *playlist, _ *track, _ place) {
		rate := l.frameRate()
		if rate > 0 && l.ended && !slices.ContainsFunc(usual, func(u float64) bool { return math.Abs(u-rate) < 0.002*u }) {
			r.found(l.at(0), "23.976, 24, 25, 29.97, 30, 50, 59.94 or 60", "%.3f", rate)
		}
	})
}

func frameRateIsBounded(p *presentation, r *reporter) {
	p.eachVideo(func(l *playlist, _ *track, _ place) {
		if rate := l.frameRate(); rate > 60.01 {
			r.found(l.at(0), "at most 60", "%.3f", rate)
		}
	})
}

func sameAspect(p *presentation, r *reporter) {
	first := 0.0
	p.eachVariant(func(v *variant) {
		w, h, ok := v.resolution()
		if !ok || w == 0 || h == 0 {
			return
		}
		aspect := float64(w) / float64(h)
		if first == 0 {
			first = aspect
		}
		if even := 2.5 / float64(min(w, h)); math.Abs(aspect/first-1) > max(0.01, even) { // sizes are even numbers
			r.found(v.place, fmt.Sprintf("%.3f:1, as the first variant", first), "%.3f:1", aspect)
		}
	})
}
