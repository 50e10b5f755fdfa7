package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// aacFrame is how many samples a frame of AAC has, and aacPriming how many the encoder puts before the first.
const (
	aacFrame   = 1024
	aacPriming = aacFrame
)

// EncodeAudio is described at commands.Encoder.
func (e *Encoder) EncodeAudio(ctx context.Context, job commands.AudioJob, out commands.Output) error {
	plans, infos := job.Plan.AudioTracks(), job.Source.AudioTracks()
	if job.Track < 0 || job.Track >= min(len(plans), len(infos)) {
		return fmt.Errorf("%w: the plan has no %s", domain.ErrInvalid, domain.AudioName(job.Track))
	}
	plan := plans[job.Track]
	p, err := e.probe(ctx, job.Path)
	if err != nil {
		return err
	}
	track, ok := p.soundOf(infos[job.Track])
	if !ok {
		return &domain.Failure{Code: domain.Malformed, Detail: "the audio track is gone"}
	}
	a := &audioOutput{
		plan: job.Plan, name: domain.AudioName(job.Track), bitRate: plan.BitRate, out: out, total: job.Plan.FrameRate.Seconds(job.Plan.Frames),
	}
	left := a.skipSilences(infos[job.Track].Silences, plan.SampleRate)
	end := a.total - left.seconds
	// The priming takes the place of the first 1,024 samples, so that sound and picture both start at 0 without an
	// edit list, which players read differently. Gaps and overlaps of more than 30 ms are filled and cut (FFmpeg lets 100 be): people
	// see lips move before they hear words. What claims to be heard after the end is left out at once: the silence
	// before it would be made in memory, half a megabyte a second.
	filter := fmt.Sprintf("[0:%d]aselect='not(gt(t\\,%.6f))',%saresample=%d:async=1:min_hard_comp=0.03:first_pts=0,apad,atrim=start_sample=%d:end=%.6f,asetpts=PTS-STARTPTS[a]",
		track.Index, a.total+1, left.filter, plan.SampleRate, aacPriming, end)
	args := append([]string{"-nostdin", "-hide_banner", "-v", "error"}, left.options...)
	args = append(args, e.timedArgs(p.container)...)
	args = append(args, "-vn", "-i", inputMark, "-filter_complex", filter, "-map", "[a]", "-map_metadata", "-1", "-dn", "-sn", "-vn",
		"-c:a", "aac", "-b:a", strconv.Itoa(plan.BitRate), "-ac", strconv.Itoa(plan.Channels),
		"-ar", strconv.Itoa(plan.SampleRate), "-t", fmt.Sprintf("%.6f", end),
		"-avoid_negative_ts", "disabled", "-movflags", "+empty_moov+default_base_moof+skip_trailer", "-frag_duration", "500000",
		"-fflags", "+bitexact", "-f", "mp4", "pipe:3", "-progress", "pipe:4")
	nice := 0
	switch {
	case job.Track > 0:
		nice = besidePictures
	case job.Plan.Remuxed() == nil:
		nice = besideFirstChunk
	}
	res, err := e.run(ctx, e.fed(process{program: e.ffmpeg, nice: nice, input: job.Path, args: args, outputs: []func(io.Reader) error{
		func(r io.Reader) error { return a.drain(ctx, r) }, discard,
	}}))
	if err != nil {
		return fmt.Errorf("encode the sound: %w", sourceFault(ctx, err, res))
	}
	if a.next == 0 {
		return &domain.Failure{Code: domain.Malformed, Detail: "no sound can be decoded: " + res.stderr}
	}
	if a.flushed < a.total-a.plan.FrameRate.Seconds(a.plan.LongestSegment()) {
		return fmt.Errorf("encode the sound: %.3f of %.3f s came out: %s", a.flushed, a.total, res.stderr)
	}
	return a.last(ctx)
}

// audioOutput cuts the track into segments that begin as near as a frame of 1,024 samples allows to the segments of
// the video, always measured from 0, so that nothing drifts.
type audioOutput struct {
	plan    domain.Plan
	name    string
	bitRate int
	out     commands.Output
	total   float64 // seconds

	rate    float64
	samples []sample // of the segment that is being filled
	data    []byte
	start   uint64 // its decode time
	end     uint64 // decode time after the newest sample
	came    uint64 // of it, what came from FFmpeg
	pauses  []pause
	next    int
	frame   int     // of the pictures, where the segment ends that is being filled
	flushed float64 // seconds
	held    *commands.MediaSegment
}

func (a *audioOutput) drain(ctx context.Context, pipe io.Reader) error {
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
			a.rate = float64(scale)
			return a.out.Init(ctx, a.name, codecs, init) //nolint:wrapcheck // the callee's
		},
		func(f *fragment) error { return a.add(ctx, f) })
	if errors.Is(err, errEarly) && a.next == 0 && len(a.samples) == 0 {
		return nil // there was nothing to encode, or the exit code says what happened
	}
	if err == nil {
		err = a.finish(ctx)
	}
	if err != nil {
		return fmt.Errorf("audio: %w", err)
	}
	return nil
}

func (a *audioOutput) add(ctx context.Context, f *fragment) error {
	at := f.first
	if a.frame == 0 {
		a.frame = a.plan.SegmentEnd(0)
	}
	for _, s := range f.samples {
		data := f.mdat[at : at+int(s.size)]
		at += int(s.size)
		for len(a.pauses) > 0 && a.came >= a.pauses[0].at {
			for range a.pauses[0].frames {
				if err := a.sample(ctx, s, data); err != nil {
					return err
				}
			}
			a.pauses = a.pauses[1:]
		}
		if err := a.sample(ctx, s, data); err != nil {
			return err
		}
		a.came += uint64(s.duration)
	}
	if most := a.total*float64(a.bitRate)/8*4 + 1<<20; float64(len(a.data)) > most {
		return fmt.Errorf("%d bytes are far beyond the audio's rate", len(a.data))
	}
	return nil
}

// sample takes the next frame.
func (a *audioOutput) sample(ctx context.Context, s sample, data []byte) error {
	boundary := a.plan.FrameRate.Seconds(a.frame)
	if len(a.samples) > 0 && a.frame < a.plan.Frames && float64(a.end)/a.rate+float64(s.duration)/a.rate/2 > boundary {
		if err := a.flush(ctx); err != nil {
			return err
		}
	}
	a.data = append(a.data, data...)
	a.samples = append(a.samples, s)
	a.end += uint64(s.duration)
	return nil
}

// flush hands the segment before on and holds this one back, because only the one after it tells whether it is the last. That
// one is not handed on before FFmpeg has ended well: of what cannot be decoded silence comes out, and then an error.
func (a *audioOutput) flush(ctx context.Context) error {
	held := a.held
	seconds := float64(a.end-a.start) / a.rate
	a.held = &commands.MediaSegment{
		Index: a.next, Duration: seconds,
		Data: append(writeMoof(uint32(a.next+1), a.start, a.samples, len(a.data), false), a.data...), //nolint:gosec // bounded by the track
	}
	a.flushed += seconds
	a.start, a.samples, a.data = a.end, nil, nil
	a.next++
	a.frame = a.plan.SegmentEnd(a.frame)
	if held != nil {
		return a.out.Segment(ctx, a.name, *held) //nolint:wrapcheck // the callee's
	}
	return nil
}

func (a *audioOutput) finish(ctx context.Context) error {
	if len(a.samples) > 0 {
		if err := a.flush(ctx); err != nil {
			return err
		}
	}
	if a.held == nil {
		return fmt.Errorf("%w: no sound came out", errMP4)
	}
	return nil
}

func (a *audioOutput) last(ctx context.Context) error {
	a.held.Last = true
	return a.out.Segment(ctx, a.name, *a.held) //nolint:wrapcheck // the callee's
}
