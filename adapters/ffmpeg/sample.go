package ffmpeg

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// MakeSample writes a clip of moving test patterns with a tone (1280×720, 30 frames a second, H.264 and AAC in MP4) for
// demonstrations and tests. It reads nothing.
func (e *Encoder) MakeSample(ctx context.Context, path string, seconds int) error {
	length := strconv.Itoa(max(1, seconds))
	args := []string{
		"-nostdin", "-hide_banner", "-v", "error", "-y",
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=" + length,
		"-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:sample_rate=48000:duration=" + length,
		"-c:v", "libx264", "-preset", "ultrafast", "-crf", "26", "-g", "60", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-b:a", "96k", "-ac", "2", "-movflags", "+faststart", "-f", "mp4", "file:" + path,
	}
	// No cage: it could not write a file, and there is no input to fear.
	cmd := exec.CommandContext(ctx, e.ffmpeg, args...) //nolint:gosec // our own argv
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr := &tail{}
	cmd.Stderr = stderr
	runtime.LockOSThread() // see run
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make a sample: %w: %s", err, stderr.text())
	}
	return nil
}
