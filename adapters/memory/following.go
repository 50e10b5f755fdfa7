package memory

import (
	"context"
	"os"
	"sync"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// FollowingEncoder is an Encoder of sources in which every second of media has as many bytes, and the first second says
// all about them.
type FollowingEncoder struct {
	*Encoder

	// Whole says that a source must be whole to be inspected, and Begins what its first quarter lets expect.
	Whole  bool
	Begins domain.SourceInfo

	files sync.Map // path to commands.Arriving
}

var _ commands.FollowingEncoder = (*FollowingEncoder)(nil)

// Follow implements commands.FollowingEncoder.
func (e *FollowingEncoder) Follow(path string, a commands.Arriving) (done func()) {
	e.files.Store(path, a)
	return func() { e.files.Delete(path) }
}

func (e *FollowingEncoder) await(ctx context.Context, path string, part float64) error {
	a, _ := e.files.Load(path)
	if arriving, ok := a.(commands.Arriving); ok {
		if _, err := arriving.Wait(ctx, int64(part*float64(arriving.Total()))); err != nil {
			return err //nolint:wrapcheck // the caller's own
		}
	}
	_, err := os.Stat(path)
	return err //nolint:wrapcheck // it says enough
}

// Needed implements commands.FollowingEncoder.
func (e *FollowingEncoder) Needed(_ context.Context, job commands.ChunkJob) (int64, error) {
	a, _ := e.files.Load(job.Path)
	arriving, ok := a.(commands.Arriving)
	if !ok {
		return 0, nil
	}
	c := job.Plan.Chunks[job.Chunk]
	return int64(float64(c.Start+c.Frames) / float64(job.Plan.Frames) * float64(arriving.Total())), nil
}

// Inspect implements commands.Encoder.
func (e *FollowingEncoder) Inspect(ctx context.Context, path string) (domain.SourceInfo, error) {
	part := 0.1
	if e.Whole {
		part = 1
	}
	if err := e.await(ctx, path, part); err != nil {
		return domain.SourceInfo{}, err
	}
	return e.Encoder.Inspect(ctx, path)
}

// Foresee implements commands.FollowingEncoder.
func (e *FollowingEncoder) Foresee(ctx context.Context, path string) (domain.SourceInfo, error) {
	if e.Begins.Frames == 0 {
		return domain.SourceInfo{}, commands.ErrNotAhead
	}
	return e.Begins, e.await(ctx, path, 0.25)
}

// Measure implements commands.Encoder.
func (e *FollowingEncoder) Measure(ctx context.Context, job commands.MeasureJob) (domain.Complexity, error) {
	if err := e.await(ctx, job.Path, 0.5); err != nil {
		return domain.Complexity{}, err
	}
	return e.Encoder.Measure(ctx, job)
}

// EncodeChunk implements commands.Encoder.
func (e *FollowingEncoder) EncodeChunk(ctx context.Context, job commands.ChunkJob, out commands.Output) error {
	if err := e.await(ctx, job.Path, float64(job.Plan.Chunks[job.Chunk].Start)/float64(job.Plan.Frames)); err != nil {
		return err
	}
	return e.Encoder.EncodeChunk(ctx, job, out)
}

// EncodeAudio implements commands.Encoder.
func (e *FollowingEncoder) EncodeAudio(ctx context.Context, job commands.AudioJob, out commands.Output) error {
	if err := e.await(ctx, job.Path, float64(job.Plan.Frames)/float64(e.Source.Frames)); err != nil {
		return err
	}
	return e.Encoder.EncodeAudio(ctx, job, out)
}
