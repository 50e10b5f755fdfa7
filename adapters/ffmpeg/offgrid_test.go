package ffmpeg_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Browsers change the size of a picture while they record a call.
func TestSizesMayChangeOnTheWay(t *testing.T) {
	t.Parallel()
	large := clip(t, "large.ts", "testsrc2=s=640x360:r=25:d=3", "-c:v", "libx264", "-preset", "ultrafast", "-an")
	small := clip(t, "small.ts", "testsrc2=s=320x240:r=25:d=3", "-c:v", "libx264", "-preset", "ultrafast", "-an", "-output_ts_offset", "3")
	var both []byte
	for _, name := range []string{large, small} {
		part, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, part...)
	}
	path := filepath.Join(t.TempDir(), "both.ts")
	if err := os.WriteFile(path, both, 0o600); err != nil {
		t.Fatal(err)
	}
	e := newEncoder(t, ffmpeg.Options{})
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Frames != 150 || info.Width != 640 || info.Height != 360 {
		t.Errorf("%+v", info)
	}
	plan := domain.PlanTranscode(info)
	for i := range plan.Chunks {
		if err := e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: plan, Chunk: i}, newRecorder()); err != nil {
			t.Errorf("chunk %d of %d: %v", i, len(plan.Chunks), err)
		}
	}
}

// When the packets promise more pictures than they hold, the next try finds no more of them.
func TestTooFewPicturesAreFinal(t *testing.T) {
	t.Parallel()
	path := clip(t, "a.mp4", "testsrc2=s=64x64:r=25:d=1", "-c:v", "libx264", "-an")
	e := newEncoder(t, ffmpeg.Options{})
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	info.Frames, info.Duration, info.Remux = 250, 10, nil
	plan := domain.PlanTranscode(info)
	if len(plan.Chunks) < 2 {
		t.Fatalf("chunks: %+v", plan.Chunks)
	}
	err = e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: plan}, newRecorder())
	var failure *domain.Failure
	if !errors.As(err, &failure) || failure.Code != domain.Malformed {
		t.Errorf("got %v", err)
	}
}
