package ffmpeg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// timing is what the packets themselves say of a source, in microseconds from the container's start.
type timing struct {
	video     []int64 // presentation times, sorted after the scan
	keyframes []int64
	joints    []int64        // keyframes that no picture reaches across
	latest    int64          // of video so far
	earliest  int64          // the same
	bytes     int64          // of all video packets
	cut       bool           // an edit list cuts pictures off
	clocks    map[int]*clock // of the tracks by their numbers, where times may begin anew
	cutAt     int64          // the first of their times that comes after a picture which is shown; 0 for none
	lastFrame int64          // duration of a frame as the packets tell it; 0 when they do not
	sound     []soundTiming  // of each of the probe's tracks
	audioEnd  int64          // of the first of them that has any
	unordered int            // video packets without a time
}

// maxPackets bounds the memory of a scan: 12 h at 240 frames a second.
const maxPackets = 12 * 3600 * 240

// scan lists all packets of the chosen tracks. Headers lie about durations and rates; packets cannot.
func (e *Encoder) scan(ctx context.Context, path string, p probe) (*timing, error) {
	t, ok := e.tableTiming(path, p)
	switch f := e.arriving(path); {
	case ok:
		return t, nil
	case f != nil && f.table:
		return nil, commands.ErrNotAhead
	}
	return e.scanPackets(ctx, path, p)
}

func (e *Encoder) scanPackets(ctx context.Context, path string, p probe) (*timing, error) {
	return e.listPackets(ctx, e.fed(process{input: path}), p)
}

// listPackets runs ffprobe on the input of a process.
func (e *Encoder) listPackets(ctx context.Context, input process, p probe) (*timing, error) {
	t := &timing{sound: make([]soundTiming, len(p.audio))}
	if p.container.beginsAnew() {
		t.clocks = map[int]*clock{}
	}
	args := append([]string{"-v", "error"}, e.inputArgs(p.container)...)
	args = append(args, "-show_entries", "packet=stream_index,pts_time,dts_time,duration_time,size,flags", "-of", "csv=p=0", "-o", "pipe:3", inputMark)
	input.program, input.args, input.outputs = e.ffprobe, args, []func(io.Reader) error{
		func(r io.Reader) error {
			lines := bufio.NewScanner(r)
			for lines.Scan() {
				if err := t.packet(lines.Text(), p); err != nil {
					return err
				}
			}
			return lines.Err() //nolint:wrapcheck // a pipe's
		},
	}
	res, err := e.run(ctx, input)
	if err != nil {
		if _, ok := errors.AsType[*domain.Failure](err); ok {
			return nil, err
		}
		return nil, sourceFault(ctx, err, res)
	}
	for _, c := range t.clocks {
		c.end()
	}
	t.sort()
	return t, nil
}

func (t *timing) sort() {
	slices.Sort(t.video)
	slices.Sort(t.keyframes)
	t.audioEnd = t.heard()
}

// packet reads "0,0.066733,0.000000,0.033367,4711,K_".
func (t *timing) packet(line string, p probe) error {
	f := strings.Split(line, ",")
	if len(f) < 6 {
		return nil
	}
	index, _ := strconv.Atoi(f[0])
	isVideo := index == p.video.Index
	track := slices.IndexFunc(p.audio, func(s stream) bool { return s.Index == index })
	if !isVideo && track < 0 {
		return nil
	}
	at, ok := micros(f[1])
	if !ok {
		at, ok = micros(f[2])
	}
	length, _ := micros(f[3])
	at -= int64(math.Round(p.start * 1e6))
	if decoded, known := micros(f[2]); known && t.clocks != nil {
		if t.clocks[index] == nil {
			t.clocks[index] = &clock{}
		}
		at += t.clocks[index].follow(decoded, length, func() func() { return t.undo(isVideo, track) })
	}
	switch cut := len(f[5]) > 1 && f[5][1] == 'D'; { // by an edit list
	case cut && isVideo:
		t.cut = true
		if ok && len(t.video) > 0 && at > max(0, t.earliest) && (t.cutAt == 0 || at < t.cutAt) {
			t.cutAt = at
		}
	case cut:
	case isVideo && !ok:
		t.unordered++
	case isVideo:
		if len(t.video) >= maxPackets {
			return &domain.Failure{Code: domain.TooLong, Detail: "the video has too many frames"}
		}
		if n, err := strconv.ParseInt(f[4], 10, 64); err == nil {
			t.bytes += max(0, n)
		}
		t.picture(at, f[5][0] == 'K')
		t.lastFrame = max(t.lastFrame, 0)
		if length > 0 && length < 60e6 {
			t.lastFrame = length
		}
	default:
		t.sound[track].packets++
		if ok && length < 60e6 {
			t.sound[track].packet(at, at+length)
		}
	}
	return nil
}

// picture takes the next picture in the order of decoding.
func (t *timing) picture(at int64, keyframe bool) {
	switch n := len(t.joints); {
	case keyframe:
		t.keyframes = append(t.keyframes, at)
		if len(t.video) == 0 || at > t.latest {
			t.joints = append(t.joints, at)
		}
	case n > 0 && at < t.joints[n-1]: // shown before the keyframe and decoded after it: it needs the pictures before
		t.joints = t.joints[:n-1]
	}
	if len(t.video) == 0 || at > t.latest {
		t.latest = at
	}
	if len(t.video) == 0 || at < t.earliest {
		t.earliest = at
	}
	t.video = append(t.video, at)
}

// maxSeconds is beyond all times that are meant.
const maxSeconds = 1e9

func micros(s string) (int64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(v) > maxSeconds {
		return 0, false
	}
	return int64(math.Round(v * 1e6)), true
}

// A gap in the picture as long as this, with hardly anything behind it, is a broken time stamp and not a still.
const absurdGap = 60e6

// trimJumps drops the times behind an absurd gap when nearly all frames stand before it, and says whether it did.
func (t *timing) trimJumps() bool {
	for i := 1; i < len(t.video); i++ {
		if t.video[i]-t.video[i-1] > absurdGap && len(t.video)-i <= max(1, len(t.video)/20) && t.video[i-1] >= t.audioEnd-absurdGap {
			t.video = t.video[:i]
			return true
		}
	}
	return false
}

// measured is the grid that fits a source.
type measured struct {
	rate     domain.Rational
	vfr      bool
	duration float64
	frames   int
	noSeek   string
}

// soundGoesOn is why a source is not sought whose later chunks have no pictures of their own.
const soundGoesOn = "its sound goes on after the picture"

// measure finds the rate, the length and the number of frames.
func (t *timing) measure() measured {
	var m measured
	if t.trimJumps() {
		m.noSeek = "its time stamps jump"
		t.audioEnd = min(t.audioEnd, t.video[len(t.video)-1]+absurdGap)
	}
	if len(t.video) == 0 {
		// No times at all (raw H.264 in AVI): the decoder makes them up at the stream's rate.
		return m
	}
	interval, vfr := t.interval()
	m.vfr = vfr
	m.rate = snap(1e6/interval, vfr)
	first, last := t.video[0], t.video[len(t.video)-1]
	end := float64(last) + interval
	if vfr && t.lastFrame > 0 {
		end = float64(last) + max(interval, float64(t.lastFrame))
	}
	if !vfr && first >= 0 {
		end = float64(first) + float64(len(t.video))*1e6/snap(1e6/interval, false).Float()*1 // exact, without the rounding of each
		if math.Abs(end-float64(last)-interval) > interval {
			end = float64(last) + interval
		}
	}
	m.duration = max(end, float64(t.audioEnd)) / 1e6
	// A few packets far apart must not become hours of frames.
	if most := float64(4*len(t.video) + 600); m.duration*m.rate.Float() > most {
		m.rate = snap(max(1, most/m.duration), true)
		m.vfr = true
	}
	m.frames = max(1, int(math.Round(m.duration*m.rate.Float())))
	switch {
	case m.noSeek != "":
	case float64(t.audioEnd) > end+2e6:
		m.noSeek = soundGoesOn
	case t.unordered > 0:
		m.noSeek = "some frames have no time"
	case t.cutAt > 0 && t.cutAt < last:
		m.noSeek = "its edit list leaves pictures out in between" // of what is before FFmpeg may find those that are left out
	case t.keyframeGap() > 60e6:
		m.noSeek = "its keyframes are more than a minute apart"
	}
	return m
}

func (t *timing) keyframeGap() int64 {
	if len(t.keyframes) == 0 {
		return math.MaxInt64
	}
	gap := t.keyframes[0]
	for i := 1; i < len(t.keyframes); i++ {
		gap = max(gap, t.keyframes[i]-t.keyframes[i-1])
	}
	return max(gap, t.video[len(t.video)-1]-t.keyframes[len(t.keyframes)-1])
}

// interval gives the usual time from frame to frame, in microseconds, and whether the frames keep to it.
func (t *timing) interval() (usual float64, vfr bool) {
	gaps := make([]int64, 0, len(t.video))
	for i := 1; i < len(t.video); i++ {
		if d := t.video[i] - t.video[i-1]; d > 0 {
			gaps = append(gaps, d)
		}
	}
	if len(gaps) == 0 {
		if t.lastFrame > 0 {
			return float64(t.lastFrame), false
		}
		return 1e6 / 25, false
	}
	slices.Sort(gaps)
	median := float64(gaps[len(gaps)/2])
	off := 0
	for _, d := range gaps {
		// Containers round to milliseconds, and a frame lost here and there is no rate of its own.
		if math.Abs(float64(d)-median) > max(2000, median/5) {
			off++
		}
	}
	if off*50 > len(gaps) { // more than 2 %
		return median, true
	}
	sum, n := 0.0, 0.0
	for _, d := range gaps {
		if math.Abs(float64(d)-median) <= max(2000, median/5) {
			sum += float64(d)
			n++
		}
	}
	return sum / n, false
}

// snap gives the standard rate that is meant, at most 60.
func snap(rate float64, loose bool) domain.Rational {
	for rate > 61 {
		rate /= 2
	}
	tolerance := 0.004
	if loose {
		tolerance = 0.03
	}
	best, off := domain.Rational{}, math.Inf(1)
	for _, r := range []domain.Rational{
		{Num: 24000, Den: 1001},
		{Num: 24, Den: 1},
		{Num: 25, Den: 1},
		{Num: 30000, Den: 1001},
		{Num: 30, Den: 1},
		{Num: 48, Den: 1},
		{Num: 50, Den: 1},
		{Num: 60000, Den: 1001},
		{Num: 60, Den: 1},
		{Num: 10, Den: 1},
		{Num: 12, Den: 1},
		{Num: 15, Den: 1},
		{Num: 15000, Den: 1001},
		{Num: 20, Den: 1},
		{Num: 5, Den: 1},
		{Num: 1, Den: 1},
	} {
		if d := math.Abs(rate/r.Float() - 1); d < off {
			best, off = r, d
		}
	}
	if off <= tolerance {
		return best
	}
	return domain.Rational{Num: int(math.Round(min(60, max(1, rate)) * 1000)), Den: 1000}
}

func (m measured) String() string {
	return fmt.Sprintf("%d frames at %s, %.3f s", m.frames, m.rate, m.duration)
}
