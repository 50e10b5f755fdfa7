package ffmpeg

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// FFmpeg makes the silence of a gap in memory, all at once: 1.6 GB for an hour of one channel. So most of a long silence is
// taken out before its resampler, by moving what follows forward, and put back after its encoder: one frame of the silence
// that is left, again and again. That takes no time either.
const (
	silenceBlock = 8  // seconds: at 48 kHz a whole number of frames, and of ticks in every time base
	silenceKept  = 4  // seconds at least, so that the frame in the middle is silent whatever the decoder and the encoder smear
	mostTerms    = 64 // of an expression: FFmpeg takes no sum of 100
)

// pause is what was taken out of a track.
type pause struct {
	at     uint64 // when, in samples of what FFmpeg gives
	frames int
}

// skipped is how a track is heard without its pauses.
type skipped struct {
	seconds float64
	filter  string   // moves what follows forward; ends with a comma
	options []string // FFmpeg takes a long silence in MPEG-TS for a mistake, and does that itself
}

// skipSilences notes what is to be put back, and says how to take it out. What begins after the end is left out anyway.
func (a *audioOutput) skipSilences(silences []domain.Silence, rate int) skipped {
	var out skipped
	if silenceBlock*rate%aacFrame != 0 {
		return out
	}
	var moves []string
	for _, s := range silences {
		blocks := int(s.To-s.From-silenceKept) / silenceBlock
		if blocks <= 0 || s.To > a.total+1 {
			continue
		}
		at := s.From - out.seconds + silenceKept/2
		a.pauses = append(a.pauses, pause{at: uint64(at * float64(rate)), frames: blocks * silenceBlock * rate / aacFrame})
		moves = append(moves, fmt.Sprintf("-gte(T\\,%.3f)*%d/TB", (s.From+s.To)/2, blocks*silenceBlock))
		out.seconds += float64(blocks * silenceBlock)
	}
	for some := range slices.Chunk(moves, mostTerms) { // the last come first, so that no time has moved where it is looked at
		out.filter = "asetpts='PTS" + strings.Join(some, "") + "'," + out.filter
	}
	if len(moves) > 0 {
		out.options = []string{"-dts_delta_threshold", strconv.Itoa(maxSeconds)}
	}
	return out
}
