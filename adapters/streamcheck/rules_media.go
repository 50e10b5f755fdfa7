package streamcheck

import (
	"fmt"
	"math"
	"strconv"
)

// eachMedia calls what with each media playlist, of keyframes and of captions too.
func (p *presentation) eachMedia(what func(*playlist)) {
	for _, l := range p.playlists {
		if !l.multivariant {
			what(l)
		}
	}
}

func oneTarget(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		tags := l.tags("EXT-X-TARGETDURATION")
		if len(tags) != 1 {
			r.found(l.at(0), "one EXT-X-TARGETDURATION", "%d", len(tags))
		}
		for _, t := range tags {
			if _, err := strconv.ParseUint(t.value, 10, 31); err != nil {
				r.found(l.at(t.number), "whole seconds", "%q", t.value)
			}
		}
	})
}

func noSegmentOverTarget(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if l.target > 0 && math.Round(s.duration) > l.target {
				r.found(s.place, fmt.Sprintf("at most %g s when rounded", l.target), "%g s", s.duration)
			}
		}
	})
}

func segmentsHaveDuration(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		if len(l.segments) == 0 {
			r.found(l.at(0), "segments", "none")
		}
		for _, s := range l.segments {
			if !s.hasDuration {
				r.found(s.place, "#EXTINF:seconds,", "none")
			}
		}
	})
}

func sequenceBeforeSegments(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for i, t := range l.tags("EXT-X-MEDIA-SEQUENCE") {
			if i > 0 {
				r.found(l.at(t.number), "one", "a second one")
			}
			if len(l.segments) > 0 && t.number > l.segments[0].line {
				r.found(l.at(t.number), "before the first segment", "after it")
			}
			if _, err := strconv.ParseUint(t.value, 10, 63); err != nil {
				r.found(l.at(t.number), "a whole number", "%q", t.value)
			}
		}
	})
}

func typeIsKnown(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for i, t := range l.tags("EXT-X-PLAYLIST-TYPE") {
			if i > 0 || (t.value != "VOD" && t.value != "EVENT") {
				r.found(l.at(t.number), "VOD or EVENT, once", "%q", t.value)
			}
			if t.value == "VOD" && !l.ended {
				r.found(l.at(t.number), "EXT-X-ENDLIST, since nothing will be added", "none")
			}
		}
	})
}

func rangesAreSound(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if s.badPart != "" {
				r.found(s.place, "length@offset", "%s", s.badPart)
			}
		}
	})
}

func mapHasURI(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, t := range l.tags("EXT-X-MAP") {
			if t.attributes["URI"] == "" {
				r.found(l.at(t.number), "URI", "none")
			}
		}
	})
}

func fragmentsHaveMap(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if s.init == nil && s.looksFragmented() {
				r.found(s.place, "EXT-X-MAP before it", "none")
			}
		}
	})
}

func completeIsVOD(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		if l.ended && l.kind != "VOD" {
			r.found(l.at(0), "EXT-X-PLAYLIST-TYPE:VOD", "%q", l.kind)
		}
	})
}

func growingIsEvent(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		first := l.tags("EXT-X-MEDIA-SEQUENCE")
		fromStart := len(first) == 0 || first[0].value == "0"
		if !l.ended && fromStart && l.kind != "EVENT" {
			r.found(l.at(0), "EXT-X-PLAYLIST-TYPE:EVENT", "%q, and no EXT-X-ENDLIST", l.kind)
		}
	})
}

// six is what Apple wants segments to last, in seconds; a frame or a packet more or less is no matter.
const six = 6

func targetIsSix(p *presentation, r *reporter) {
	for _, l := range p.media() {
		if l.target > 0 && l.target != six {
			r.found(l.at(0), "6 s", "%g s", l.target)
		}
	}
}

func segmentsAreSix(p *presentation, r *reporter) {
	for _, l := range p.media() {
		var others []*segment
		for i, s := range l.segments {
			if last := i == len(l.segments)-1; !last && math.Abs(s.duration-six) > 0.5 {
				others = append(others, s)
			}
		}
		if len(others) > 0 {
			r.found(others[0].place, "about 6 s", "%d of %d segments do not, the first lasts %g s", len(others), len(l.segments), others[0].duration)
		}
	}
}

func mediaWithinTarget(p *presentation, r *reporter) {
	for _, l := range p.media() {
		for _, s := range l.segments {
			if lasts, ok := s.lasts(); ok && l.target > 0 && lasts > l.target+0.5 {
				r.found(s.place, fmt.Sprintf("at most %g s", l.target+0.5), "%.3f s of samples", lasts)
			}
		}
	}
}
