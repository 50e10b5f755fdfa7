package ffmpeg_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
)

func TestHeadersAreReadOnceForAFile(t *testing.T) {
	t.Parallel()
	real, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, broken := filepath.Join(dir, "ffprobe"), filepath.Join(dir, "broken")
	script := fmt.Sprintf("#!/bin/sh\n[ -e %s ] && exit 1\nexec %s \"$@\"\n", broken, real)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	path := clip(t, "a.mp4", "testsrc2=s=320x180:r=25:d=3", "-c:v", "libx264", "-preset", "ultrafast", "-an")
	another, err := os.ReadFile(clip(t, "b.mp4", "testsrc2=s=320x180:r=25:d=4", "-c:v", "libx264", "-preset", "ultrafast", "-an"))
	if err != nil {
		t.Fatal(err)
	}
	e := newEncoder(t, ffmpeg.Options{FFprobe: program, Bubblewrap: "-"})
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	job := commands.ChunkJob{Path: path, Source: info, Plan: smallPlan(info)}

	if err := os.WriteFile(broken, nil, 0o600); err != nil { // from now on ffprobe reads nothing
		t.Fatal(err)
	}
	if err := e.EncodeChunk(t.Context(), job, newRecorder()); err != nil {
		t.Errorf("the headers of the same file are read again: %v", err)
	}
	if err := os.WriteFile(path, another, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.EncodeChunk(t.Context(), job, newRecorder()); err == nil {
		t.Error("the headers of another file are not read")
	}
}
