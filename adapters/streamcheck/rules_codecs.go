package streamcheck

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// resolution reads RESOLUTION.
func (v *variant) resolution() (width, height int, ok bool) {
	w, h, found := strings.Cut(v.attributes["RESOLUTION"], "x")
	width, errW := strconv.Atoi(w)
	height, errH := strconv.Atoi(h)
	return width, height, found && errW == nil && errH == nil
}

// formats are the codecs of a playlist's media.
func (p *playlist) formats() []string {
	var all []string
	for _, s := range p.segments {
		if s.init == nil || s.init.movie == nil {
			continue
		}
		for _, t := range s.init.movie.tracks {
			if (t.video || t.audio) && !slices.Contains(all, t.sample.codec) {
				all = append(all, t.sample.codec)
			}
		}
	}
	return all
}

// plays are the playlists of which a variant plays one each: its own and the members of its audio group.
func (p *presentation) plays(v *variant) []*playlist {
	var all []*playlist
	if v.media != nil {
		all = append(all, v.media)
	}
	for _, m := range p.group("AUDIO", v.attributes["AUDIO"]) {
		if m.media != nil {
			all = append(all, m.media)
		}
	}
	return all
}

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
		// A sample table in whole ticks cannot be more exact than this.
		if is := v.media.frameRate(); is > 0 && math.Abs(is-said) > 0.001*is+0.0005 {
			r.found(v.place, fmt.Sprintf("%.3f", is), "FRAME-RATE=%s", v.attributes["FRAME-RATE"])
		}
	})
}

func channelsAreTrue(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		said, _, _ := strings.Cut(m.attributes["CHANNELS"], "/")
		if m.attributes["TYPE"] != "AUDIO" || said == "" || m.media == nil || m.media.track() == nil {
			return
		}
		if is := m.media.track().sample.channels; is > 0 && strconv.Itoa(is) != said {
			r.found(m.place, strconv.Itoa(is), "CHANNELS=%q", m.attributes["CHANNELS"])
		}
	})
}

func audioHasChannels(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		if m.attributes["TYPE"] == "AUDIO" && m.attributes["CHANNELS"] == "" {
			r.found(m.place, "CHANNELS", "none")
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

func stereoAAC(p *presentation, r *reporter) {
	audio, stereo := 0, 0
	for _, l := range p.media() {
		for _, s := range l.segments {
			if s.init == nil || s.init.movie == nil {
				continue
			}
			for _, t := range s.init.movie.tracks {
				if t.audio {
					audio++
					if t.sample.aac() && t.sample.channels <= 2 {
						stereo++
					}
				}
			}
			break
		}
	}
	if audio > 0 && stereo == 0 {
		r.found(p.root.at(0), "a rendition of stereo AAC", "%d of other kinds", audio)
	}
}

func heAACIsSmall(p *presentation, r *reporter) {
	for _, l := range p.media() {
		t := l.track()
		if t == nil || !t.audio {
			continue
		}
		const limit = 64_000 * 1.05 // with the container
		he := t.sample.codec == "mp4a.40.5" || t.sample.codec == "mp4a.40.29"
		if rate := l.rate().average; he && rate > limit {
			r.found(l.at(0), "AAC-LC above 64 kbit/s", "%s at %.0f bit/s", t.sample.codec, rate)
		}
	}
}

func oneAudioPerSegment(p *presentation, r *reporter) {
	for _, l := range p.media() {
		for _, s := range l.segments {
			if s.media == nil || s.init == nil || s.init.movie == nil {
				continue
			}
			n := 0
			for _, t := range s.init.movie.tracks {
				if t.audio && s.media.tracks[t.id] != nil {
					n++
				}
			}
			if n > 1 {
				r.found(s.place, "one", "%d", n)
			}
		}
	}
}
