package streamcheck

import (
	"math"
)

// rate is in bits per second.
type rate struct{ peak, average float64 }

// rate measures a media playlist (RFC 8216, 4.1): the average of all segments, and the largest of any segments in a row
// that together last 0.5 to 1.5 target durations.
func (p *playlist) rate() rate { return rateOf(p.segments, p.target) }

func rateOf(segments []*segment, target float64) rate {
	var bytes, seconds, peak float64
	for i, s := range segments {
		bytes += s.size()
		seconds += s.duration
		var windowBytes, windowSeconds float64
		for _, w := range segments[i:] {
			windowBytes += w.size()
			windowSeconds += w.duration
			if windowSeconds > 1.5*target {
				break
			}
			if windowSeconds >= 0.5*target {
				peak = max(peak, 8*windowBytes/windowSeconds)
			}
		}
	}
	if seconds <= 0 {
		return rate{}
	}
	return rate{peak: max(peak, 8*bytes/seconds), average: 8 * bytes / seconds}
}

func (s *segment) size() float64 {
	if s.media == nil {
		return 0
	}
	return float64(s.media.bytes)
}

// seconds is how long a playlist says that it lasts.
func (p *playlist) seconds() float64 {
	var sum float64
	for _, s := range p.segments {
		sum += s.duration
	}
	return sum
}

// facts returns what a segment holds of the main track; nil where it could not be read.
func (s *segment) facts() (*trackFacts, *track) {
	if s.media == nil || s.init == nil || s.init.movie == nil {
		return nil, nil
	}
	t := s.init.movie.main()
	return s.media.tracks[t.id], t
}

// span is the presentation time of a segment's main track, in seconds; ok is false where it could not be read.
func (s *segment) span() (begins, ends float64, ok bool) {
	f, t := s.facts()
	if f == nil || f.samples == 0 {
		return 0, 0, false
	}
	scale := float64(t.timescale)
	return float64(f.begins)/scale + t.shift, float64(f.ends)/scale + t.shift, true
}

// lasts is how long the samples of a segment's main track last, in seconds.
func (s *segment) lasts() (float64, bool) {
	f, t := s.facts()
	if f == nil || f.samples == 0 {
		return 0, false
	}
	return float64(f.ticks) / float64(t.timescale), true
}

// span is the presentation time of a playlist.
func (p *playlist) span() (begins, ends float64, ok bool) {
	begins, ends = math.Inf(1), math.Inf(-1)
	for _, s := range p.segments {
		if b, e, has := s.span(); has {
			begins, ends, ok = min(begins, b), max(ends, e), true
		}
	}
	return begins, ends, ok
}

// frameRate is how many pictures a second are shown, by the commonest measure: all samples over all time.
func (p *playlist) frameRate() float64 {
	var samples int
	var seconds float64
	for _, s := range p.segments {
		if f, t := s.facts(); f != nil && t.video {
			samples += f.samples
			seconds += float64(f.ticks) / float64(t.timescale)
		}
	}
	if seconds <= 0 {
		return 0
	}
	return float64(samples) / seconds
}

// atRate tells whether a rate of pictures is the playlist's: of pictures that come unevenly, RFC 8216 asks for the highest
// rate and ISO/IEC 23009-1 for the average, and few encoders tell these from the nominal one between them.
func (p *playlist) atRate(said float64) bool {
	average, highest := p.frameRate(), 0.0
	for _, s := range p.segments {
		if f, t := s.facts(); f != nil && t.video && f.shortest > 0 {
			highest = max(highest, float64(t.timescale)/float64(f.shortest))
		}
	}
	const rounding = 0.001 // of a sample table in whole ticks
	return average == 0 || (said >= average*(1-rounding)-0.0005 && said <= highest*(1+rounding)+0.0005)
}

// frame is how long a sample of the main track lasts, in seconds.
func (p *playlist) frame() float64 {
	longest := 0.0
	for _, s := range p.segments {
		if f, t := s.facts(); f != nil && t.timescale > 0 {
			longest = max(longest, float64(f.longest)/float64(t.timescale))
		}
	}
	return longest
}
