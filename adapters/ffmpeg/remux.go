package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const (
	// maxRemuxSide and maxRemuxLevel are what browsers and phones decode of H.264: level 5.2 (ITU-T H.264, A.3).
	maxRemuxSide, maxRemuxLevel = 4096, 52
	// maxLead is by how many microseconds the pictures may begin after the sound: so long the first one stands still, as it
	// does in an encode.
	maxLead = 1_000_000
	// jointGap is how far apart joints are, in microseconds.
	jointGap = 1_000_000
)

// remuxable says what must be known to serve the pictures as they are; nil where browsers would not play them, or not as
// they are meant.
func remuxable(p probe, t *timing, m measured, s domain.SourceInfo) *domain.RemuxInfo {
	v := p.video
	switch {
	case v.Codec != "h264", !slices.Contains([]string{"yuv420p", "yuvj420p"}, v.PixelFormat),
		!slices.Contains([]string{"Constrained Baseline", "Baseline", "Main", "High"}, v.Profile), v.Level > maxRemuxLevel,
		max(v.Width, v.Height) > maxRemuxSide, len(v.upright()) > 0, !square(v.Aspect), s.Interlaced, s.Transfer != domain.SDR,
		m.noSeek != "", t.cut, t.unordered > 0, len(t.video) == 0, m.duration <= 0:
		return nil
	}
	rate := m.rate.Float()
	last := t.video[len(t.video)-1]
	fast := float64(len(t.video)-1) > 1.1*rate*float64(last-t.video[0])/1e6+5 // the grid has fewer pictures than the source
	late := t.video[0] < 0 || t.video[0] > maxLead || m.duration-float64(last)/1e6 > 2.5
	uneven := m.vfr && float64(len(t.video)) < 0.8*float64(m.frames) // no frame rate says how they come
	if fast || late || uneven || len(t.joints) == 0 || t.joints[0] != t.video[0] {
		return nil
	}
	info := &domain.RemuxInfo{BitRate: int(float64(8*t.bytes) / m.duration), Start: float64(t.video[0]) / 1e6, Joints: []int{0}}
	before := t.joints[0]
	for _, at := range t.joints[1:] {
		frame := int(math.Round(float64(at) / 1e6 * rate))
		if at-before < jointGap || frame >= m.frames {
			continue
		}
		info.Joints = append(info.Joints, frame)
		before = at
	}
	return info
}

// Remux is described at commands.Encoder.
func (e *Encoder) Remux(ctx context.Context, job commands.RemuxJob, out commands.Output) error {
	rung := job.Plan.Remuxed()
	if rung == nil {
		return fmt.Errorf("%w: the plan remuxes nothing", domain.ErrInvalid)
	}
	p, err := e.probe(ctx, job.Path)
	if err != nil {
		return err
	}
	o := &remuxOutput{encoder: e, plan: job.Plan, rung: *rung, out: out, total: job.Plan.FrameRate.Seconds(job.Plan.Frames)}
	if job.Source.Remux != nil {
		o.start = job.Source.Remux.Start
	}
	args := append([]string{"-nostdin", "-hide_banner", "-v", "error"}, e.timedArgs(p.container)...)
	args = append(args, "-an", "-i", inputMark, "-map", "0:"+strconv.Itoa(p.video.Index), "-map_metadata", "-1", "-dn", "-sn",
		"-c:v", "copy", "-avoid_negative_ts", "disabled",
		"-movflags", "+frag_keyframe+empty_moov+default_base_moof+skip_trailer", "-fflags", "+bitexact",
		"-f", "mp4", "pipe:3", "-progress", "pipe:4")
	res, err := e.run(ctx, e.fed(process{program: e.ffmpeg, input: job.Path, args: args, outputs: []func(io.Reader) error{
		func(r io.Reader) error { return o.drain(ctx, r) }, discard,
	}}))
	if err != nil {
		return fmt.Errorf("remux the source: %w", sourceFault(ctx, err, res))
	}
	return nil
}

// remuxOutput cuts the source's own pictures into segments at the plan's starts.
type remuxOutput struct {
	encoder *Encoder
	plan    domain.Plan
	rung    domain.Rung
	out     commands.Output
	start   float64 // seconds from the source's start to the first picture
	total   float64 // seconds that the segments must last

	init   []byte
	length int     // bytes of the size of a NAL unit
	rate   float64 // ticks a second
	shift  int32   // composition offset of the first picture
	origin uint64  // its decode time in FFmpeg's count
	lead   uint32  // ticks by which the first picture is shown longer, so that it begins at 0
	begun  bool

	index   int // of the segment that is being filled
	pieces  []piece
	samples uint32 // so far, to number the pieces
	decode  uint64 // decode time after the newest sample
	head    []byte
	first   int // pictures in it
}

// piece is one run of pictures, from one keyframe to the next.
type piece struct {
	data    []byte
	at      uint64 // decode time
	samples []sample
}

func (o *remuxOutput) drain(ctx context.Context, pipe io.Reader) error {
	err := splitFragments(pipe,
		func(init []byte) error {
			codecs, err := codecString(init)
			if err != nil {
				return o.refuse("%v", err) // the description of the codec is copied from the source
			}
			scale, err := timescale(init)
			if err != nil {
				return err
			}
			o.init, o.rate = init, float64(scale)
			var fields bool
			if o.length, fields = avcSetup(init); fields {
				return o.refuse("they may be interlaced")
			}
			return o.out.Init(ctx, o.rung.Name, codecs, bytes.Clone(init)) //nolint:wrapcheck // the callee's
		},
		func(f *fragment) error { return o.add(ctx, f) })
	if err == nil {
		err = o.finish(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.rung.Name, err)
	}
	return nil
}

// add takes the pictures from one keyframe to the next. Those of a keyframe that is no IDR picture belong to the piece before:
// players do not begin there.
func (o *remuxOutput) add(ctx context.Context, f *fragment) error {
	if !o.begun {
		o.begun, o.origin, o.shift = true, f.decodeTime, f.samples[0].offset
		o.lead = uint32(math.Round(o.start * o.rate))
	}
	if want := o.origin + o.decode; f.decodeTime != want {
		return o.refuse("pictures are missing before second %.3f", float64(f.decodeTime-o.origin)/o.rate)
	}
	if !f.samples[0].sync {
		return o.refuse("pictures begin without a keyframe at second %.3f", float64(o.decode)/o.rate)
	}
	for i := range f.samples {
		f.samples[i].offset -= o.shift
	}
	if o.index+1 < len(o.plan.Starts) {
		frame := (o.start + (float64(o.decode)+float64(f.samples[0].offset))/o.rate) * o.plan.FrameRate.Float()
		next := o.plan.Starts[o.index+1]
		if frame > float64(next)+framesOff {
			return o.refuse("there is no keyframe at frame %d, as there was", next)
		}
		if frame >= float64(next)-early {
			if err := o.flush(ctx, false); err != nil {
				return err
			}
		}
	}
	p := piece{data: f.mdat[f.first:], at: o.decode, samples: f.samples}
	for _, s := range f.samples {
		o.decode += uint64(s.duration)
	}
	switch n := len(o.pieces); {
	case beginsWithIDR(p.data, o.length):
		o.pieces = append(o.pieces, p)
	case n == 0:
		return o.refuse("the keyframe at second %.3f is no IDR picture", float64(p.at)/o.rate)
	default:
		p.samples[0].sync = false
		before := &o.pieces[n-1]
		before.data, before.samples = append(before.data, p.data...), append(before.samples, p.samples...)
	}
	return nil
}

const (
	// framesOff is how many frames a keyframe may stand behind the grid, on which the rate and the first picture put it.
	framesOff = 2
	// early is how many it may stand before it: less than one, because where every picture is a keyframe the one before
	// would be taken. A joint was rounded to the grid.
	early = 0.75
)

// flush hands the segment on that was filled.
func (o *remuxOutput) flush(ctx context.Context, last bool) error {
	var data []byte
	var keyframes []domain.Keyframe
	begin, seconds, frames := o.pieces[0].at, 0.0, 0
	for _, p := range o.pieces {
		at := p.at + uint64(o.lead)
		if p.at == 0 {
			at = 0
			p.samples[0].duration += o.lead
		}
		moof := writeMoof(o.samples+1, at, p.samples, len(p.data), true)
		keyframes = append(keyframes, domain.Keyframe{
			Offset: int64(len(data)), Length: int64(len(moof)) + int64(p.samples[0].size), Time: float64(p.at-begin) / o.rate,
		})
		data = append(append(data, moof...), p.data...)
		for _, s := range p.samples {
			seconds += float64(s.duration) / o.rate
		}
		o.samples += uint32(len(p.samples)) //nolint:gosec // bounded by the scan
		frames += len(p.samples)
	}
	if o.index == 0 {
		o.head, o.first = bytes.Clone(data), frames
	}
	if last {
		if err := o.check(ctx, data, frames); err != nil {
			return err
		}
	}
	err := o.out.Segment(ctx, o.rung.Name, commands.MediaSegment{
		Index: o.index, Data: data, Duration: seconds, Keyframes: keyframes, Last: last,
	})
	o.index++
	o.pieces = nil
	return err //nolint:wrapcheck // the callee's
}

func (o *remuxOutput) finish(ctx context.Context) error {
	if len(o.pieces) == 0 || o.index+1 != len(o.plan.Starts) {
		return o.refuse("%d of %d segments came out", o.index, len(o.plan.Starts))
	}
	// Sound may go on after the picture: the last one is shown until then, as it is in the other renditions.
	end := o.start + float64(o.decode)/o.rate
	if missing := o.total - end; missing > 0 {
		p := &o.pieces[len(o.pieces)-1]
		p.samples[len(p.samples)-1].duration += uint32(math.Round(missing * o.rate))
	}
	return o.flush(ctx, true)
}

// check decodes the first and the last segment.
func (o *remuxOutput) check(ctx context.Context, end []byte, frames int) error {
	want := o.first
	if o.index == 0 {
		end = nil // the same one
	} else {
		want += frames
	}
	got, res, err := o.encoder.decodeSegments(ctx, o.init, o.head, end)
	if err != nil {
		return err
	}
	if got != want || res.lines > 0 {
		return o.refuse("%d of %d pictures decode: %s", got, want, res.stderr)
	}
	return nil
}

// refuse says that the pictures cannot be served as they are, after all.
func (o *remuxOutput) refuse(format string, args ...any) error {
	return &domain.Failure{Code: domain.Malformed, Detail: "the pictures cannot be served as they are: " + fmt.Sprintf(format, args...)}
}
