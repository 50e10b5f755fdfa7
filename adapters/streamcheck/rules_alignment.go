package streamcheck

import (
	"fmt"
	"math"
)

// inSync is what people do not hear or see, in seconds.
const inSync = 0.1

// compareSpans compares what of gives of each media playlist with that of the first.
func compareSpans(p *presentation, of func(begins, ends float64) float64, differs func(first *playlist, a float64, l *playlist, b float64)) {
	var first *playlist
	var a float64
	for _, l := range p.media() {
		begins, ends, ok := l.span()
		if !ok {
			continue
		}
		if b := of(begins, ends); first == nil {
			first, a = l, b
		} else if math.Abs(b-a) > inSync {
			differs(first, a, l, b)
		}
	}
}

func allBeginTogether(p *presentation, r *reporter) {
	compareSpans(p, func(begins, _ float64) float64 { return begins }, func(first *playlist, a float64, l *playlist, b float64) {
		r.found(l.at(0), fmt.Sprintf("a start at %.3f s, as %s", a, first.file), "%.3f s", b)
	})
}

func sameTarget(p *presentation, r *reporter) {
	media := p.media()
	for _, l := range media {
		if l.target != media[0].target {
			r.found(l.at(0), fmt.Sprintf("%g s, as %s", media[0].target, media[0].file), "%g s", l.target)
		}
	}
}

// sameDuration is for playlists that are complete; what grows does not grow in step.
func sameDuration(p *presentation, r *reporter) {
	compareSpans(p, func(begins, ends float64) float64 { return ends - begins }, func(first *playlist, a float64, l *playlist, b float64) {
		if first.ended && l.ended {
			r.found(l.at(0), fmt.Sprintf("%.3f s, as %s", a, first.file), "%.3f s", b)
		}
	})
}

func sameRange(p *presentation, r *reporter) {
	compareSpans(p, func(_, ends float64) float64 { return ends }, func(first *playlist, a float64, l *playlist, b float64) {
		if first.kind == "VOD" && l.kind == "VOD" {
			r.found(l.at(0), fmt.Sprintf("an end at %.3f s, as %s", a, first.file), "%.3f s", b)
		}
	})
}

// cuts are the times at which segments begin, by what is announced; only those for which want holds.
func (p *playlist) cuts(want func(*segment) bool) []float64 {
	var all []float64
	at := 0.0
	for _, s := range p.segments {
		if want(s) {
			all = append(all, at)
		}
		at += s.duration
	}
	return all
}

// compareCuts compares cuts as far as both playlists reach.
func compareCuts(first, l *playlist, want func(*segment) bool, margin float64) (wanted, found float64, same bool) {
	end := min(first.seconds(), l.seconds()) - margin
	a, b := first.cuts(want), l.cuts(want)
	at := func(cuts []float64, i int) float64 {
		if i < len(cuts) {
			return cuts[i]
		}
		return math.Inf(1)
	}
	for i := range max(len(a), len(b)) {
		x, y := at(a, i), at(b, i)
		if min(x, y) < end && math.Abs(x-y) > margin {
			return x, y, false
		}
	}
	return 0, 0, true
}

func sameDiscontinuities(p *presentation, r *reporter) {
	media := p.media()
	for _, l := range media {
		if want, found, same := compareCuts(media[0], l, func(s *segment) bool { return s.discontinuity }, inSync); !same {
			r.found(l.at(0), fmt.Sprintf("a discontinuity at %.3f s, as %s", want, media[0].file), "at %.3f s", found)
		}
	}
}

// sameBoundaries compares video with video; audio is cut at packets, which do not lie on the frames' grid.
func sameBoundaries(p *presentation, r *reporter) {
	videos := p.videos()
	for _, l := range videos {
		if want, found, same := compareCuts(videos[0], l, func(*segment) bool { return true }, inSync/2); !same {
			r.found(l.at(0), fmt.Sprintf("a cut at %.3f s, as %s", want, videos[0].file), "at %.3f s", found)
		}
	}
}
