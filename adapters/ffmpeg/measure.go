package ffmpeg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const (
	// pieceFrames is how many frames are looked at in each place, pieceEvery how many seconds of video there are for each
	// place, and mostPieces how many places there are at most.
	pieceFrames = 16
	pieceEvery  = 15
	leastPieces = 3
	mostPieces  = 8
	// trialSide is the longest short side that is encoded as a trial. What larger rungs take is worked out.
	trialSide = 720
	// measureTime is more than any measure takes that is worth waiting for.
	measureTime = time.Minute
)

// Measure is described at commands.Encoder. It encodes two of the small rungs as the plan would, in some places of the
// video, and makes the pictures there as small as each rung and large again.
func (e *Encoder) Measure(ctx context.Context, job commands.MeasureJob) (domain.Complexity, error) {
	p, err := e.probe(ctx, job.Path)
	if err != nil {
		return domain.Complexity{}, err
	}
	seconds, err := e.awaitMeasurable(ctx, job, p)
	if err != nil {
		return domain.Complexity{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, measureTime, fmt.Errorf("the measure took longer than %s", measureTime))
	defer cancel()
	m := newMeasurement(job, seconds)
	outputs := make([]func(io.Reader) error, 0, len(m.trials)+len(m.rungs))
	for i := range m.trials {
		outputs = append(outputs, m.trials[i].drain)
	}
	for i := range m.rungs {
		outputs = append(outputs, func(r io.Reader) (err error) {
			m.likeness[i], err = leastSSIM(r)
			return err
		})
	}
	process := process{program: e.ffmpeg, input: job.Path, args: e.measureArgs(m, p), outputs: outputs}
	if job.Plan.Remuxed() != nil { // nobody waits
		process.nice = besidePictures
	}
	res, err := e.run(ctx, process)
	if err != nil {
		return domain.Complexity{}, fmt.Errorf("measure the pictures: %w", sourceFault(ctx, err, res))
	}
	return m.complexity(encoderLoss(res.stderr))
}

// measurement is one measure under way.
type measurement struct {
	job      commands.MeasureJob
	top      domain.Rung // whose size the pictures are compared in
	rungs    []domain.Rung
	likeness []float64
	trials   []trial
	starts   []float64 // seconds at which the pieces begin
}

// newMeasurement measures the first so many seconds.
func newMeasurement(job commands.MeasureJob, seconds float64) *measurement {
	m := &measurement{job: job, top: domain.Ladder(job.Source.Width, job.Source.Height)[0]}
	for _, r := range job.Plan.Encoded() {
		if r.Codec == "" || r.Codec == domain.AVC {
			m.rungs = append(m.rungs, r)
		}
	}
	m.likeness = make([]float64, len(m.rungs))
	// The smallest and the largest of the small rungs tell how the rate grows with the size. The latter is the last
	// encoder to end, see encoderLoss.
	last := len(m.rungs) - 1
	large := slices.IndexFunc(m.rungs, func(r domain.Rung) bool { return min(r.Width, r.Height) <= trialSide })
	if large < 0 {
		large = last
	}
	if large != last {
		m.trials = append(m.trials, trial{rung: m.rungs[last]})
	}
	m.trials = append(m.trials, trial{rung: m.rungs[large]})
	pieces := min(mostPieces, max(leastPieces, int(seconds/pieceEvery)))
	for i := range pieces {
		m.starts = append(m.starts, seconds*(float64(i)+0.5)/float64(pieces))
	}
	return m
}

// measureArgs writes the command: a trial each to the first pipes, then the likeness of each rung.
func (e *Encoder) measureArgs(m *measurement, p probe) []string {
	threads := strconv.Itoa(e.opts.Threads)
	args := []string{"-nostdin", "-hide_banner", "-nostats", "-v", "info"} // x264 tells its loss at its end
	var graph strings.Builder
	for i, start := range m.starts {
		args = append(append(args, "-threads", threads), e.inputArgs(p.container)...)
		// From the keyframe before: the pictures between would cost as much as those that are looked at.
		args = append(args, "-noaccurate_seek", "-ss", strconv.FormatFloat(start, 'f', 3, 64), "-an", "-autorotate", "0", "-i", inputMark)
		fmt.Fprintf(&graph, "[%d:%d]", i, p.video.Index)
		if m.job.Source.Interlaced {
			graph.WriteString("bwdif=mode=send_frame,")
		}
		fmt.Fprintf(&graph, "setpts=PTS-STARTPTS,fps=%s,tpad=stop=-1:stop_mode=clone,trim=end_frame=%d,", m.job.Plan.FrameRate, pieceFrames)
		for _, f := range p.video.upright() {
			graph.WriteString(f + ",")
		}
		fmt.Fprintf(&graph, "scale=%d:%d:flags=bicubic,setsar=1[p%d];", m.top.Width, m.top.Height, i)
	}
	for i := range m.starts {
		fmt.Fprintf(&graph, "[p%d]", i)
	}
	fmt.Fprintf(&graph, "concat=n=%d,%s", len(m.starts),
		strings.Join(append(colours(m.job.Source, p, m.top), fmt.Sprintf("split=%d", len(m.trials)+1)), ","))
	for i := range m.trials {
		fmt.Fprintf(&graph, "[t%d]", i)
	}
	fmt.Fprintf(&graph, `[l];[l]select=eq(mod(n\,%d)\,%d),format=gray,split=%d`, pieceFrames, pieceFrames/2, 2*len(m.rungs))
	var tails strings.Builder
	for i, r := range m.rungs {
		fmt.Fprintf(&graph, "[a%d][b%d]", i, i)
		fmt.Fprintf(&tails, `;[b%d]scale=%d:%d:flags=bicubic,scale=%d:%d:flags=bicubic[c%d];[a%d][c%d]ssim,metadata=mode=print:key=lavfi.ssim.All:file=pipe\\:%d:direct=1[q%d]`,
			i, r.Width, r.Height, m.top.Width, m.top.Height, i, i, i, 3+len(m.trials)+i, i)
	}
	for i, t := range m.trials {
		fmt.Fprintf(&tails, ";[t%d]scale=%d:%d:flags=bicubic:out_color_matrix=bt709:out_range=tv,format=yuv420p[v%d]", i, t.rung.Width, t.rung.Height, i)
	}
	args = append(args, "-filter_complex_threads", threads, "-filter_complex", graph.String()+tails.String())
	for i, t := range m.trials {
		plan, rung := m.job.Plan, t.rung
		plan.GOP, rung.MaxRate = pieceFrames, uncapped
		args = append(append(args, "-map", fmt.Sprintf("[v%d]", i), "-map_metadata", "-1"), codecArgs(plan, rung, threads, false)...)
		args = append(args, "-x264-params", "ssim=1", "-movflags", "+frag_keyframe+empty_moov+default_base_moof+skip_trailer", "-f", "mp4", fmt.Sprintf("pipe:%d", 3+i))
	}
	for i := range m.rungs {
		args = append(args, "-map", fmt.Sprintf("[q%d]", i), "-c:v", "wrapped_avframe", "-f", "null", "-")
	}
	return args
}

// uncapped is a rate that nothing exceeds.
const uncapped = 200_000_000

// trial is the encode of a rung in all places.
type trial struct {
	rung   domain.Rung
	pieces []weight
}

// weight is what the pictures of a piece weigh, in bytes.
type weight struct {
	key    float64 // the first one
	others float64 // each of the others on the average
}

func (t *trial) drain(pipe io.Reader) error {
	return splitFragments(pipe, func([]byte) error { return nil }, func(f *fragment) error {
		w := weight{key: float64(f.samples[0].size)}
		for _, s := range f.samples[1:] {
			w.others += float64(s.size) / float64(len(f.samples)-1)
		}
		t.pieces = append(t.pieces, w)
		return nil
	})
}

// rate gives bits per second, as the plan lays keyframes, of the harder half of the pieces: they need the rate.
func (t *trial) rate(plan domain.Plan) float64 {
	rates := make([]float64, len(t.pieces))
	for i, w := range t.pieces {
		rates[i] = 8 * shortTrial * (w.key + w.others*float64(plan.GOP-1)) / plan.FrameRate.Seconds(plan.GOP)
	}
	slices.Sort(rates)
	sum, half := 0.0, rates[len(rates)/2:]
	for _, r := range half {
		sum += r
	}
	return sum / float64(len(half))
}

// complexity works out the rates of all rungs from those of the trials.
func (m *measurement) complexity(loss float64) (domain.Complexity, error) {
	c := domain.Complexity{Seconds: m.job.Plan.FrameRate.Seconds(len(m.trials[0].pieces) * pieceFrames), Loss: loss}
	for _, t := range m.trials {
		if len(t.pieces) < max(1, len(m.starts)/2) {
			return domain.Complexity{}, fmt.Errorf("%w: %d of %d places could be measured", errMP4, len(t.pieces), len(m.starts))
		}
	}
	pixels := func(r domain.Rung) float64 { return float64(r.Width) * float64(r.Height) }
	large, small := m.trials[len(m.trials)-1], m.trials[0]
	rate := large.rate(m.job.Plan)
	growth := usualGrowth
	if len(m.trials) > 1 && rate > 0 {
		growth = math.Log(rate/small.rate(m.job.Plan)) / math.Log(pixels(large.rung)/pixels(small.rung))
		growth = min(1, max(leastGrowth, growth))
	}
	for i, r := range m.rungs {
		size := pixels(r) / pixels(large.rung)
		forecast := rate * math.Pow(size, growth)
		if size > 1 { // nobody has seen yet what shows in this size only
			forecast = rate * size
		}
		c.Rungs = append(c.Rungs, domain.RungForecast{
			Name: r.Name, Likeness: math.Round(m.likeness[i]*1e4) / 1e4, BitRate: int(math.Max(0, math.Min(forecast, uncapped))),
		})
	}
	return c, nil
}

// encoderLoss reads what x264 says when it ends: "SSIM Mean Y:0.9846893 (18.148db)". Where it says nothing it lost nothing.
func encoderLoss(stderr string) float64 {
	const said = "SSIM Mean Y:"
	at := strings.LastIndex(stderr, said)
	if at < 0 {
		return 0
	}
	number, _, _ := strings.Cut(stderr[at+len(said):], " ")
	ssim, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(ssim) || ssim <= 0 || ssim > 1 {
		return 0
	}
	return math.Round((1-ssim)*1e4) / 1e4
}

// shortTrial is how many times its trial an encode takes: one that begins anew each pieceFrames spends less on keyframes,
// which serve few pictures there. Measured: 1 to 1.7.
const shortTrial = 1.3

// The rate of a rung grows with its pixels to this power: usually so, and at least.
const (
	usualGrowth = 0.75
	leastGrowth = 0.4
)

// leastSSIM reads "lavfi.ssim.All=0.998" lines. The picture that loses most counts.
func leastSSIM(r io.Reader) (float64, error) {
	least, found := 1.0, false
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "lavfi.ssim.All="); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil || math.IsNaN(v) {
				return 0, fmt.Errorf("read an SSIM: %q", text)
			}
			least, found = min(least, v), true
		}
	}
	if !found {
		least = 0
	}
	return least, lines.Err() //nolint:wrapcheck // a pipe's
}
