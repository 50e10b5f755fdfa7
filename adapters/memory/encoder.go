package memory

import (
	"context"
	"fmt"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Encoder makes segments that nobody can watch, in no time, for tests of what stands around an encoder. The zero value
// works.
type Encoder struct {
	// Source is what Inspect measures; 10 s of 720p with stereo sound when it is the zero value.
	Source domain.SourceInfo
	// Complexity is what Measure finds; nothing when it is the zero value.
	Complexity domain.Complexity
	// Release changes what the initialization segments of chunks hold.
	Release string
	// Dark is how many of a storyboard's first tiles show nothing.
	Dark int
	// Before, when set, is asked before each piece is handed out; its error ends the work. Of sound, chunk is the track.
	Before func(ctx context.Context, kind commands.TaskKind, chunk, segment int) error
}

var _ commands.Encoder = (*Encoder)(nil)

// Inspect implements commands.Encoder.
func (e *Encoder) Inspect(ctx context.Context, _ string) (domain.SourceInfo, error) {
	if err := e.before(ctx, commands.TaskInspect, 0, 0); err != nil {
		return domain.SourceInfo{}, err
	}
	if e.Source.Frames > 0 {
		return e.Source, nil
	}
	return domain.SourceInfo{
		Container: "mp4", VideoCodec: "h264", PixelFormat: "yuv420p", Width: 1280, Height: 720,
		FrameRate: domain.Rational{Num: 25, Den: 1}, Transfer: domain.SDR, Duration: 10, Frames: 250,
		Audio: &domain.AudioInfo{Codec: "aac", Channels: 2, SampleRate: 48_000, Language: "en"},
	}, nil
}

func (e *Encoder) before(ctx context.Context, kind commands.TaskKind, chunk, segment int) error {
	if e.Before != nil {
		if err := e.Before(ctx, kind, chunk, segment); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// Measure implements commands.Encoder.
func (e *Encoder) Measure(ctx context.Context, _ commands.MeasureJob) (domain.Complexity, error) {
	return e.Complexity, e.before(ctx, commands.TaskMeasure, 0, 0)
}

// EncodeChunk implements commands.Encoder.
func (e *Encoder) EncodeChunk(ctx context.Context, job commands.ChunkJob, out commands.Output) error {
	plan, chunk := job.Plan, job.Plan.Chunks[job.Chunk]
	n := plan.Segments(chunk)
	for _, rung := range plan.Encoded() {
		if err := out.Init(ctx, rung.Name, "avc1.64001f", []byte("init of "+rung.Name+e.Release)); err != nil {
			return err
		}
	}
	at := chunk.Start
	for i := range n {
		if err := e.before(ctx, commands.TaskChunk, job.Chunk, i); err != nil {
			return err
		}
		frames := min(plan.SegmentEnd(at), chunk.Start+chunk.Frames) - at
		at += frames
		for _, rung := range plan.Encoded() {
			s := commands.MediaSegment{
				Index: i, Data: make([]byte, rung.MaxRate/100), Duration: plan.FrameRate.Seconds(frames), Last: i == n-1,
				Keyframes: []domain.Keyframe{{Offset: 0, Length: int64(rung.MaxRate / 1000)}},
			}
			if err := out.Segment(ctx, rung.Name, s); err != nil {
				return err
			}
		}
	}
	if job.Poster {
		return out.Poster(ctx, commands.PosterImage{Data: []byte("a poster"), Width: 640, Height: 360, Time: 4})
	}
	return nil
}

// Remux implements commands.Encoder.
func (e *Encoder) Remux(ctx context.Context, job commands.RemuxJob, out commands.Output) error {
	plan := job.Plan
	if err := out.Init(ctx, domain.RemuxName, "avc1.64001f", []byte("init of the source")); err != nil {
		return err
	}
	for i, at := range plan.Starts {
		if err := e.before(ctx, commands.TaskRemux, 0, i); err != nil {
			return err
		}
		s := commands.MediaSegment{
			Index: i, Data: fmt.Appendf(nil, "segment %d of the source", i),
			Duration: plan.FrameRate.Seconds(plan.SegmentEnd(at) - at), Last: i == len(plan.Starts)-1,
			Keyframes: []domain.Keyframe{{Length: 8}},
		}
		if err := out.Segment(ctx, domain.RemuxName, s); err != nil {
			return err
		}
	}
	return nil
}

// EncodeAudio implements commands.Encoder.
func (e *Encoder) EncodeAudio(ctx context.Context, job commands.AudioJob, out commands.Output) error {
	name := domain.AudioName(job.Track)
	if err := out.Init(ctx, name, "mp4a.40.2", []byte("init of "+name)); err != nil {
		return err
	}
	for i, at := 0, 0; at < job.Plan.Frames; i++ {
		if err := e.before(ctx, commands.TaskAudio, job.Track, i); err != nil {
			return err
		}
		end := job.Plan.SegmentEnd(at)
		s := commands.MediaSegment{
			Index: i, Data: fmt.Appendf(nil, "%s segment %d", name, i), Duration: job.Plan.FrameRate.Seconds(end - at),
			Last: end == job.Plan.Frames,
		}
		at = end
		if err := out.Segment(ctx, name, s); err != nil {
			return err
		}
	}
	return nil
}

// ReadCaptions implements commands.Encoder.
func (e *Encoder) ReadCaptions(ctx context.Context, _ string, source domain.SourceInfo) (tracks []commands.CaptionTrack, err error) {
	for i, info := range source.Captions {
		if err := e.before(ctx, commands.TaskCaptions, 0, i); err != nil {
			return nil, err
		}
		tracks = append(tracks, commands.CaptionTrack{Info: info, Text: fmt.Appendf(nil, "WEBVTT\n\ntrack %d", info.Track)})
	}
	return tracks, nil
}

// MakePreviews implements commands.Encoder.
func (e *Encoder) MakePreviews(ctx context.Context, job commands.PreviewJob) (commands.Previews, error) {
	blank := make([]bool, len(job.Tiles))
	for i, piece := range job.Tiles {
		blank[i] = i < e.Dark
		if err := e.before(ctx, commands.TaskPreview, 0, i); err != nil {
			return commands.Previews{}, err
		}
		if _, err := piece(ctx); err != nil {
			return commands.Previews{}, err
		}
	}
	return commands.Previews{
		Storyboard: []byte("a storyboard"), Columns: len(job.Tiles), Rows: 1, TileWidth: 160, TileHeight: 90,
		Blank: blank, Best: len(blank) - 1,
		Moving: []byte("a preview"), Width: 320, Height: 180, Duration: 4.5,
	}, nil
}

// Frame implements commands.Encoder.
func (e *Encoder) Frame(context.Context, []byte, []byte, float64, int) ([]byte, error) {
	return []byte("a frame"), nil
}
