package ffmpeg_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// A machine that makes one frame a second gives nothing for eight, until it has found the poster: that is slow, and no
// hang.
func TestSlowIsNotHanging(t *testing.T) {
	t.Parallel()
	path := clip(t, "a.mp4", "testsrc2=s=64x64:r=2:d=6", "-c:v", "libx264", "-an")
	info, err := newEncoder(t, ffmpeg.Options{}).Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := domain.PlanTranscode(info)
	plan.Chunks = []domain.Chunk{{Frames: plan.Frames}}
	program, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	slow := filepath.Join(t.TempDir(), "ffmpeg")
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *libx264*) exec %s -readrate 0.5 \"$@\";; *) exec %s \"$@\";; esac\n", program, program)
	if err := os.WriteFile(slow, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	e := newEncoder(t, ffmpeg.Options{FFmpeg: slow, Stall: 5 * time.Second})
	r := newRecorder()
	if err := e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: plan, Poster: true}, r); err != nil {
		t.Error(err)
	}
	if r.poster == nil {
		t.Error("no poster")
	}
}
