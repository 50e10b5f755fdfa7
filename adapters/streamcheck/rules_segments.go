package streamcheck

import (
	"errors"
	"fmt"
	"math"
)

// eachPair calls what with each two segments in a row that belong together: of one track, without a discontinuity.
func (p *playlist) eachPair(what func(before, after *segment, a, b *trackFacts, t *track)) {
	for i := 1; i < len(p.segments); i++ {
		before, after := p.segments[i-1], p.segments[i]
		a, t := before.facts()
		b, u := after.facts()
		if a != nil && b != nil && !after.discontinuity && t.id == u.id && t.timescale == u.timescale && !a.noTime && !b.noTime {
			what(before, after, a, b, t)
		}
	}
}

// mediaIsReadable: parts of I-frame playlists have a rule of their own.
func mediaIsReadable(p *presentation, r *reporter) {
	iFrames := map[string]bool{}
	for _, l := range p.playlists {
		iFrames[l.file] = l.iFrames
	}
	for _, l := range p.lost {
		if errors.Is(l.err, errMP4) && (!iFrames[l.file] || l.init) {
			r.found(l.place, "fragmented MP4 that goes with its EXT-X-MAP", "%s: %v", l.address, l.err)
		}
	}
}

func fragmentsHaveTime(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if f, _ := s.facts(); f != nil && f.noTime {
				r.found(s.place, "tfdt in each traf", "none in %s", s.uri)
			}
		}
	})
}

// looksFragmented tells by its name that a segment is fragmented MP4.
func (s *segment) looksFragmented() bool {
	return s.captions == "" && !s.isPacked()
}

// isPacked tells by its name that a segment is a transport stream, packed audio or a text.
func (s *segment) isPacked() bool {
	for _, end := range []string{".ts", ".aac", ".ac3", ".ec3", ".mp3", ".vtt", ".webvtt"} {
		if i := len(s.uri) - len(end); i >= 0 && s.uri[i:] == end {
			return true
		}
	}
	return false
}

func isFragmented(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if s.init == nil && s.isPacked() && l.role != roleSubtitles {
				r.found(s.place, "fragmented MP4", "%s", s.uri)
			}
			if s.encrypted {
				r.found(s.place, "media that can be read", "%s is encrypted", s.uri)
			}
		}
	})
}

// mediaIsContinuous compares when a segment's samples are shown with when those before end. Half a sample is no gap.
func mediaIsContinuous(p *presentation, r *reporter) {
	for _, l := range p.media() {
		l.eachPair(func(_, after *segment, a, b *trackFacts, t *track) {
			if gap := b.begins - a.ends; gap > int64(a.longest)/2 || -gap > int64(a.longest)/2 {
				r.found(after.place, fmt.Sprintf("samples from %.4f s on", float64(a.ends)/float64(t.timescale)),
					"from %.4f s", float64(b.begins)/float64(t.timescale))
			}
		})
	}
}

func decodeTimesFollow(p *presentation, r *reporter) {
	for _, l := range p.media() {
		for _, s := range l.segments {
			if f, _ := s.facts(); f != nil && f.gap != "" {
				r.found(s.place, "fragments that follow each other", "%s", f.gap)
			}
		}
		l.eachPair(func(_, after *segment, a, b *trackFacts, _ *track) {
			if b.decode != a.decode+a.ticks {
				r.found(after.place, fmt.Sprintf("tfdt %d", a.decode+a.ticks), "%d", b.decode)
			}
		})
	}
}

func beginsWithIDR(p *presentation, r *reporter) {
	for _, l := range p.videos() {
		for _, s := range l.segments {
			if f, _ := s.facts(); f != nil && !f.idrFirst {
				r.found(s.place, "an IDR picture first", "another picture")
			}
		}
	}
}

func beginsWithSync(p *presentation, r *reporter) {
	everywhere := p.top() != nil && len(p.top().tags("EXT-X-INDEPENDENT-SEGMENTS")) > 0
	for _, l := range p.videos() {
		if !everywhere && len(l.tags("EXT-X-INDEPENDENT-SEGMENTS")) == 0 {
			continue
		}
		for _, s := range l.segments {
			if f, _ := s.facts(); f != nil && !f.syncFirst {
				r.found(s.place, "a sync sample first", "a sample that depends on others")
			}
		}
	}
}

// keyframesAreOften looks for stretches of more than two seconds, and a frame, without a keyframe.
func keyframesAreOften(p *presentation, r *reporter) {
	for _, l := range p.videos() {
		last, known := 0.0, false
		frame := l.frame()
		check := func(at place, now float64) {
			if gap := now - last; known && gap > 2+1.5*frame {
				r.found(at, "2 s from keyframe to keyframe", "%.3f s", gap)
			}
			last, known = now, true
		}
		for _, s := range l.segments {
			f, t := s.facts()
			if f == nil {
				known = false
				continue
			}
			for _, k := range f.syncs {
				check(s.place, float64(k.time)/float64(t.timescale))
			}
		}
		if n := len(l.segments); n > 0 {
			if f, t := l.segments[n-1].facts(); f != nil && l.ended {
				check(l.segments[n-1].place, float64(f.ends)/float64(t.timescale))
			}
		}
	}
}

// durationsAreTrue looks at the sums from the start; two sums that differ by less than a frame from the truth differ by
// less than two from each other, so the smallest and the largest difference are compared.
func durationsAreTrue(p *presentation, r *reporter) {
	for _, l := range p.media() {
		frame := l.frame()
		said, is, low, high := 0.0, 0.0, 0.0, 0.0
		for _, s := range l.segments {
			lasts, ok := s.lasts()
			if !ok {
				break
			}
			said, is = said+s.duration, is+lasts
			low, high = min(low, said-is), max(high, said-is)
			if math.Abs(high-low) > frame+1e-4 {
				r.found(s.place, fmt.Sprintf("a drift of at most %.4f s, one frame", frame),
					"EXTINF is %.4f s against %.4f s of samples; the sums drift by %.4f s", s.duration, lasts, high-low)
				break
			}
		}
	}
}

func frameRateIsConstant(p *presentation, r *reporter) {
	for _, l := range p.videos() {
		l.eachPair(func(_, after *segment, a, b *trackFacts, _ *track) {
			before, now := float64(a.ticks)/float64(a.samples), float64(b.ticks)/float64(b.samples)
			if math.Abs(now/before-1) > 0.05 {
				r.found(after.place, "EXT-X-DISCONTINUITY, or the rate before", "samples of %.1f ticks after samples of %.1f", now, before)
			}
		})
	}
}
