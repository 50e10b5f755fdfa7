package output

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

const (
	soundRate = 8000            // samples a second to compare by
	window    = soundRate / 200 // samples that are taken together: 5 ms
	farthest  = 100             // windows by which the sound is moved to find its place
	listen    = 10 * soundRate  // samples that are compared, at most
	quiet     = 20.0            // mean level, of 32768, below which there is nothing to hear
	together  = 0.040           // seconds by which sound and picture may part
	soundLike = 0.6             // correlation of levels from which on it is the same sound
)

// sound looks where the levels of the source's sound come again in what was made.
func (m Made) sound(ctx context.Context) (late float64, wrong []string) {
	// The clock of the source as it is, see look, and silence where it begins late or has gaps.
	want, err := levels(ctx, m.Source, m.soundTrack(), "-itsoffset", "0.000001")
	if err != nil {
		return 0, []string{err.Error()}
	}
	got, err := levels(ctx, m.Sound, 0, "-xerror")
	if err != nil {
		return 0, []string{err.Error()}
	}
	if mean(want) < quiet || deviation(want) < quiet {
		return 0, nil
	}
	n := min(len(want), len(got))
	best := -1.0
	for shift := -min(farthest, n/2); shift <= min(farthest, n/2); shift++ {
		a, b := want[max(0, -shift):min(len(want), len(got)-shift)], got[max(0, shift):min(len(got), len(want)+shift)]
		if c := correlation(a, b); c > best {
			best, late = c, float64(shift)*window/soundRate
		}
	}
	if best < soundLike {
		return late, []string{fmt.Sprintf("the sound is not the source's (%.2f)", best)}
	}
	if math.Abs(late) > together {
		wrong = append(wrong, fmt.Sprintf("the sound comes %.0f ms late (%.2f)", 1000*late, best))
	}
	return late, wrong
}

// levels returns the loudness of a track, window by window from the input's beginning on.
func levels(ctx context.Context, input string, track int, before ...string) ([]float64, error) {
	args := append([]string{"-nostdin", "-v", "error"}, before...)
	args = append(args, "-i", name(input), "-map", "0:"+strconv.Itoa(track),
		"-af", "aresample=async=1:min_hard_comp=0.03:first_pts=0,aresample="+strconv.Itoa(soundRate), "-ac", "1", "-t", strconv.Itoa(listen/soundRate), "-f", "s16le", "-")
	out, _, err := run(ctx, args...)
	if err != nil {
		return nil, err
	}
	var l []float64
	for ; len(out) >= 2*window; out = out[2*window:] {
		sum := 0.0
		for i := range window {
			sample := float64(int16(binary.LittleEndian.Uint16(out[2*i:]))) //nolint:gosec // as it is written
			sum += sample * sample
		}
		l = append(l, math.Sqrt(sum/window))
	}
	return l, nil
}
