package ffmpeg

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// EncodeChunk is described at commands.Encoder.
func (e *Encoder) EncodeChunk(ctx context.Context, job commands.ChunkJob, out commands.Output) error {
	if job.Chunk < 0 || job.Chunk >= len(job.Plan.Chunks) {
		return fmt.Errorf("%w: chunk %d of %d", domain.ErrInvalid, job.Chunk, len(job.Plan.Chunks))
	}
	if err := e.awaitChunk(ctx, job); err != nil {
		return err
	}
	p, err := e.probe(ctx, job.Path)
	if err != nil {
		return err
	}
	proving, stop := context.WithCancel(ctx)
	rungs := make([]*rungOutput, len(job.Plan.Encoded()))
	defer func() { // no decoder outlives this
		stop()
		for _, r := range rungs {
			_ = r.proof.end()
		}
	}()
	outputs := make([]func(io.Reader) error, 0, len(rungs)+3)
	for i, r := range job.Plan.Encoded() {
		rungs[i] = newRungOutput(job, r, out)
		rungs[i].proof = e.newProof(proving)
		outputs = append(outputs, func(pipe io.Reader) error { return rungs[i].drain(ctx, pipe) })
	}
	args := e.chunkArgs(job, p)
	poster := &posterOutput{}
	if job.Poster {
		outputs = append(outputs, poster.drainImage, poster.drainTimes)
	}
	outputs = append(outputs, discard) // the frames that come in, see graph
	args = append(args, "-progress", fmt.Sprintf("pipe:%d", 3+len(outputs)))
	outputs = append(outputs, discard)

	nice := laterChunk
	if job.Chunk == 0 && job.Plan.Remuxed() == nil {
		nice = 0
	}
	res, err := e.run(ctx, process{program: e.ffmpeg, nice: nice, input: job.Path, args: args, outputs: outputs})
	if err != nil {
		return fmt.Errorf("encode chunk %d: %w", job.Chunk, sourceFault(ctx, err, res))
	}
	for _, r := range rungs {
		if err := r.complete(res.stderr); err != nil {
			return fmt.Errorf("encode chunk %d: %w", job.Chunk, err)
		}
	}
	for _, r := range rungs {
		if err := r.proof.end(); err != nil {
			return fmt.Errorf("check chunk %d: %s: %w", job.Chunk, r.rung.Name, err)
		}
	}
	if job.Poster && poster.image.Len() > 0 {
		at := job.Plan.FrameRate.Seconds(job.Plan.Chunks[job.Chunk].Start)
		w, h := posterSize(job.Plan.Encoded()[0])
		return out.Poster(ctx, commands.PosterImage{Data: poster.image.Bytes(), Width: w, Height: h, Time: at + poster.time()}) //nolint:wrapcheck // the callee's
	}
	return nil
}

func discard(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err //nolint:wrapcheck // a pipe's
}

// chunkArgs writes the command: rung i goes to pipe 3+i, the poster and its time after them, then the signs of life.
func (e *Encoder) chunkArgs(job commands.ChunkJob, p probe) []string {
	plan, chunk := job.Plan, job.Plan.Chunks[job.Chunk]
	threads := strconv.Itoa(cmp.Or(job.Threads, e.opts.Threads))
	args := []string{"-nostdin", "-hide_banner", "-v", "error", "-threads", threads}
	args = append(args, e.timedArgs(p.container)...)
	if chunk.Start > 0 && plan.NoSeek == "" {
		at := plan.FrameRate.Seconds(chunk.Start)
		if lead := min(at, p.lead); lead > 0 {
			at -= lead
			args = append(args, "-itsoffset", strconv.FormatFloat(-lead, 'f', 6, 64)) // the chunk begins at 0 nevertheless
		}
		args = append(args, "-noaccurate_seek", "-ss", strconv.FormatFloat(at, 'f', 6, 64))
	}
	if !job.Source.Interlaced && !job.Source.Alpha {
		// Where the size changes on the way (browsers record calls so), go on with the same graph: a new one would count
		// the frames from 0 again. The filters before scale must not mind the size.
		args = append(args, "-reinit_filter", "0")
	}
	first, soon := 3, job.Chunk == 0 && len(plan.Chunks) > 1 && plan.Remuxed() == nil
	args = append(args, "-autorotate", "0", "-i", inputMark, "-filter_complex_threads", threads,
		"-filter_complex", graph(job, p, first+len(plan.Encoded())))
	forced := forcedKeyframes(plan, chunk)
	for i, r := range plan.Encoded() {
		args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-map_metadata", "-1", "-dn", "-sn")
		args = append(args, codecArgs(plan, r, threads, soon)...)
		args = append(append(args, forced...),
			"-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
			"-avoid_negative_ts", "disabled", "-video_track_timescale", strconv.Itoa(plan.FrameRate.Num),
			"-movflags", "+frag_keyframe+empty_moov+default_base_moof+skip_trailer", "-fflags", "+bitexact",
			"-f", "mp4", fmt.Sprintf("pipe:%d", first+i))
	}
	if job.Poster {
		args = append(args, "-map", "[poster]", "-map_metadata", "-1", "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3",
			"-fflags", "+bitexact", "-f", "image2pipe", fmt.Sprintf("pipe:%d", first+len(plan.Encoded())))
	}
	return args
}

// forcedKeyframes asks for a keyframe where a segment begins off the grid of keyframes.
func forcedKeyframes(plan domain.Plan, chunk domain.Chunk) []string {
	if len(plan.Starts) == 0 {
		return nil
	}
	var times []string
	for at := plan.SegmentEnd(chunk.Start); at < chunk.Start+chunk.Frames; at = plan.SegmentEnd(at) {
		// A bit early, since FFmpeg rounds to whole frames what these digits leave.
		seconds := (float64(at-chunk.Start) - 0.25) / plan.FrameRate.Float()
		times = append(times, strconv.FormatFloat(seconds, 'f', 6, 64))
	}
	if len(times) == 0 {
		return nil
	}
	return []string{"-force_key_frames", strings.Join(times, ",")}
}

// rungOutput turns one pipe into segments.
type rungOutput struct {
	plan  domain.Plan
	chunk domain.Chunk
	rung  domain.Rung
	out   commands.Output

	init              []byte
	origin            uint64 // decode time of the first sample in FFmpeg's count
	shift             int32  // composition offset of the first sample
	frames, fragments int    // so far
	segment           segment
	next              int // index of the segment that is being filled
	total             int64

	isFirst, isLast bool   // the chunk's place in the plan
	proof           *proof // of the video's first and last segment
}

// segment is one media segment that is being filled.
type segment struct {
	data      []byte
	frames    int
	keyframes []domain.Keyframe
}

func newRungOutput(job commands.ChunkJob, r domain.Rung, out commands.Output) *rungOutput {
	return &rungOutput{
		plan: job.Plan, chunk: job.Plan.Chunks[job.Chunk], rung: r, out: out,
		isFirst: job.Chunk == 0, isLast: job.Chunk == len(job.Plan.Chunks)-1,
	}
}

func (o *rungOutput) drain(ctx context.Context, pipe io.Reader) error {
	err := splitFragments(pipe,
		func(init []byte) error {
			codecs, err := codecString(init)
			if err != nil {
				return err
			}
			scale, err := timescale(init)
			if err != nil {
				return err
			}
			if int(scale) != o.plan.FrameRate.Num {
				return fmt.Errorf("%w: %d ticks a second where %d were asked for", errMP4, scale, o.plan.FrameRate.Num)
			}
			straight(init)
			o.init = init
			return o.out.Init(ctx, o.rung.Name, codecs, bytes.Clone(init)) //nolint:wrapcheck // the callee's
		},
		func(f *fragment) error { return o.add(ctx, f) })
	if err != nil {
		return fmt.Errorf("%s: %w", o.rung.Name, err)
	}
	return nil
}

// add puts one GOP in its place on the video's grid.
func (o *rungOutput) add(ctx context.Context, f *fragment) error {
	if o.fragments == 0 {
		o.origin, o.shift = f.decodeTime, f.samples[0].offset
	}
	den := o.plan.FrameRate.Den
	if want := o.origin + uint64(o.frames*den); f.decodeTime != want { //nolint:gosec // not negative
		return o.offGrid("fragment %d begins at %d, not at %d", o.fragments, f.decodeTime, want)
	}
	at := o.chunk.Start + o.frames
	segmentEnd := min(o.plan.SegmentEnd(at), o.chunk.Start+o.chunk.Frames)
	if want := min(o.plan.GOP, segmentEnd-at); len(f.samples) != want {
		return o.offGrid("fragment %d has %d frames, not %d", o.fragments, len(f.samples), want)
	}
	for i, s := range f.samples {
		if int(s.duration) != den || s.sync != (i == 0) {
			return o.offGrid("fragment %d, frame %d lasts %d, not %d, keyframe %t", o.fragments, i, s.duration, den, s.sync)
		}
	}
	if err := f.retime(uint32(at+1), uint64(at)*uint64(den), o.shift); err != nil { //nolint:gosec // bounded by the plan
		return err
	}
	if o.total += int64(len(f.moof) + len(f.mdat)); o.total > o.most() {
		return fmt.Errorf("%d bytes are far beyond the rung's rate", o.total)
	}
	o.segment.keyframes = append(o.segment.keyframes, domain.Keyframe{
		Offset: int64(len(o.segment.data)), Length: int64(len(f.moof)+f.first) + int64(f.samples[0].size),
		Time: o.plan.FrameRate.Seconds(o.segment.frames),
	})
	o.segment.data = append(append(o.segment.data, f.moof...), f.mdat...)
	o.segment.frames += len(f.samples)
	if o.isFirst && o.next == 0 || o.isLast && segmentEnd == o.chunk.Start+o.chunk.Frames {
		o.proof.add(o.init, len(f.samples), f.moof, f.mdat)
	}
	o.frames += len(f.samples)
	o.fragments++
	if at+len(f.samples) < segmentEnd {
		return nil
	}
	return o.flush(ctx)
}

// most is what a chunk of this rung may weigh: well over what its rate control lets through.
func (o *rungOutput) most() int64 {
	return int64(float64(o.rung.MaxRate)/8*(o.plan.FrameRate.Seconds(o.chunk.Frames)*2+10)) + 16<<20
}

func (o *rungOutput) flush(ctx context.Context) error {
	s := o.segment
	last := o.frames == o.chunk.Frames
	err := o.out.Segment(ctx, o.rung.Name, commands.MediaSegment{
		Index: o.next, Data: s.data, Duration: o.plan.FrameRate.Seconds(s.frames), Keyframes: s.keyframes, Last: last,
	})
	o.segment = segment{}
	o.next++
	return err //nolint:wrapcheck // the callee's
}

// complete fails unless every frame of the plan is there.
func (o *rungOutput) complete(stderr string) error {
	if o.frames != o.chunk.Frames || o.next != o.plan.Segments(o.chunk) {
		return o.offGrid("%d of %d frames came out: %s", o.frames, o.chunk.Frames, stderr)
	}
	return nil
}

// offGrid is the answer to an encode that went well and gave something else than was planned: its packets promised
// other pictures than they decode to, and another try gives the same.
func (o *rungOutput) offGrid(format string, args ...any) error {
	at := o.plan.FrameRate.Seconds(o.chunk.Start)
	return &domain.Failure{
		Code:   domain.Malformed,
		Detail: fmt.Sprintf("what follows second %.0f does not decode as its packets promise: ", at) + fmt.Sprintf(format, args...),
	}
}

// posterOutput takes the still and its time, which come through two pipes.
type posterOutput struct {
	image bytes.Buffer
	times bytes.Buffer
}

const maxPoster = 8 << 20

func (p *posterOutput) drainImage(r io.Reader) error {
	n, err := io.Copy(&p.image, io.LimitReader(r, maxPoster))
	if err == nil && n == maxPoster {
		return fmt.Errorf("a poster of more than %d bytes", maxPoster)
	}
	return err //nolint:wrapcheck // a pipe's
}

func (p *posterOutput) drainTimes(r io.Reader) error {
	if _, err := io.Copy(&p.times, io.LimitReader(r, 64<<10)); err != nil {
		return err //nolint:wrapcheck // a pipe's
	}
	return discard(r)
}

// time reads "frame:0 pts:15 pts_time:0.5".
func (p *posterOutput) time() float64 {
	_, after, _ := strings.Cut(p.times.String(), "pts_time:")
	number, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
	seconds, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil {
		return 0
	}
	return seconds
}
