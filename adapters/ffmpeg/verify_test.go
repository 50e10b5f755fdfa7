package ffmpeg_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
)

// The first and the last segments are decoded again, whatever FFmpeg said of them: here what decodes them finds frames
// missing, or has something to complain about.
func TestWhatDoesNotDecodeAgainIsNoResult(t *testing.T) {
	t.Parallel()
	real, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	path := clip(t, "a.mp4", "testsrc2=s=320x180:r=25:d=10", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-an")
	info, err := newEncoder(t, ffmpeg.Options{}).Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := smallPlan(info)
	if len(plan.Chunks) != 3 {
		t.Fatalf("%d chunks, the test needs 3", len(plan.Chunks))
	}
	for name, decoder := range map[string]string{
		"frames missing": "cat >/dev/null; echo frame=3 >&3",
		"complaints":     `echo "error while decoding" >&2; exec ` + real + ` "$@"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), "ffmpeg")
			script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *'-f null'*) %s; exit;; esac\nexec %s \"$@\"\n", decoder, real)
			if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			e := newEncoder(t, ffmpeg.Options{FFmpeg: program, Bubblewrap: "-"})
			for chunk, checked := range []bool{true, false, true} {
				err := e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: plan, Chunk: chunk}, newRecorder())
				if checked && (err == nil || !strings.Contains(err.Error(), "decode again")) {
					t.Errorf("chunk %d: %v, want an error that says what does not decode again", chunk, err)
				}
				if !checked && err != nil {
					t.Errorf("chunk %d: %v", chunk, err)
				}
			}
		})
	}
}
