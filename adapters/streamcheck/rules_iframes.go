package streamcheck

import (
	"errors"
	"fmt"
	"math"
)

func hasIFrames(p *presentation, r *reporter) {
	if top := p.top(); top != nil && len(p.videos()) > 0 && len(top.tags("EXT-X-I-FRAME-STREAM-INF")) == 0 {
		r.found(top.at(0), "EXT-X-I-FRAME-STREAM-INF", "none")
	}
}

func severalIFrames(p *presentation, r *reporter) {
	if top := p.top(); top != nil && len(top.tags("EXT-X-I-FRAME-STREAM-INF")) == 1 && len(p.videos()) > 1 {
		r.found(top.at(0), "two or more", "one")
	}
}

func iFramesSaySo(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		if l.role == roleIFrames && !l.iFrames {
			r.found(l.at(0), "EXT-X-I-FRAMES-ONLY", "none")
		}
	}
}

// eachIFrame calls what with each segment of each I-frame playlist.
func (p *presentation) eachIFrame(what func(*playlist, *segment)) {
	for _, l := range p.playlists {
		if l.iFrames {
			for _, s := range l.segments {
				what(l, s)
			}
		}
	}
}

// iFramesHaveMoof: what begins behind the moof of its frame cannot be read as a fragment.
func iFramesHaveMoof(p *presentation, r *reporter) {
	p.eachIFrame(func(_ *playlist, s *segment) {
		if errors.Is(s.err, errMP4) {
			r.found(s.place, "a part that begins with the moof of its frame", "%v", s.err)
		}
	})
}

func iFramesAreFrames(p *presentation, r *reporter) {
	p.eachIFrame(func(_ *playlist, s *segment) {
		f, t := s.facts()
		if f == nil || !t.video || s.part == nil {
			return
		}
		end := s.part.offset + s.part.length
		whole := 0
		for _, k := range f.syncs {
			if k.offset+k.size <= end {
				whole++
			}
		}
		switch {
		case !f.syncFirst:
			r.found(s.place, "a keyframe", "the part begins with a sample that depends on others")
		case whole != 1:
			r.found(s.place, "one whole keyframe", "%d in %d bytes at %d", whole, s.part.length, s.part.offset)
		}
	})
}

// iFramesCoverAll: each frame lasts until the next, so all together last as long as the video.
func iFramesCoverAll(p *presentation, r *reporter) {
	p.eachIFrames(func(v *variant) {
		if v.media == nil || !v.media.iFrames || !v.media.ended {
			return
		}
		for _, l := range p.videos() {
			if lasts := v.media.seconds(); math.Abs(lasts-l.seconds()) > inSync {
				r.found(v.media.at(0), fmt.Sprintf("%.3f s, as %s", l.seconds(), l.file), "%.3f s", lasts)
				return
			}
		}
	})
}
