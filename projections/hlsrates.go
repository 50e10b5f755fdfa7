package projections

import (
	"math"

	"github.com/cinelog/cinelog/domain"
)

// rate is what a rendition needs of the network, in bits per second.
type rate struct{ peak, average int64 }

// span is a piece of media of one playlist.
type span struct {
	blob          domain.Blob
	offset, bytes int64
	duration      float64 // seconds
}

// measure returns the average and the peak rate: the largest rate of any contiguous pieces that together last 0.5 to
// 1.5 target durations (RFC 8216, 4.1). A short last segment alone is no peak.
func measure(spans []span, target int) rate {
	var bytes int64
	var seconds, peak float64
	for i, s := range spans {
		bytes += s.bytes
		seconds += s.duration
		var windowBytes int64
		var windowSeconds float64
		for _, w := range spans[i:] {
			windowBytes += w.bytes
			windowSeconds += w.duration
			if windowSeconds > 1.5*float64(target) {
				break
			}
			if windowSeconds >= 0.5*float64(target) {
				peak = max(peak, float64(8*windowBytes)/windowSeconds)
			}
		}
	}
	if seconds <= 0 {
		return rate{}
	}
	average := float64(8*bytes) / seconds
	return rate{peak: int64(math.Ceil(max(peak, average))), average: int64(math.Ceil(average))}
}

func spans(segments []domain.Segment) []span {
	out := make([]span, len(segments))
	for i, s := range segments {
		out[i] = span{blob: s.Blob, bytes: s.Bytes, duration: s.Duration}
	}
	return out
}

// videoRate is measured; while the rendition grows, the peak is at least what its encoder may use.
func videoRate(p Playback, r PlaybackRendition) rate {
	m := measure(spans(r.Segments), targetDuration(p))
	if !r.Ended {
		m.peak = max(m.peak, int64(growthMargin*float64(r.MaxRate)))
	}
	return m
}

// keyframes lists a rendition's keyframes, each lasting until the next one.
func keyframes(r PlaybackRendition) []span {
	var out []span
	for _, s := range r.Segments {
		for i, k := range s.Keyframes {
			end := s.Duration
			if i+1 < len(s.Keyframes) {
				end = s.Keyframes[i+1].Time
			}
			out = append(out, span{blob: s.Blob, offset: k.Offset, bytes: k.Length, duration: end - k.Time})
		}
	}
	return out
}
