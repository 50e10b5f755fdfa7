package ffmpeg_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
)

// The first process of a container inherits what the cage leaves behind, and must not collect it for ever. The test
// puts a process of its own into that place, because it looks at all children.
func TestTheDeadAreReaped(t *testing.T) {
	const inherits = "CINELOG_TEST_INHERITS"
	if os.Getenv(inherits) == "" {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inherits+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	const prSetChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
	path := clip(t, "a.mp4", "testsrc2=s=64x64:r=25:d=1", "-c:v", "libx264", "-an")
	e := newEncoder(t, ffmpeg.Options{})
	hanging := newEncoder(t, ffmpeg.Options{FFprobe: sleeper(t)})
	if caged, why := e.Caged(); !caged {
		if os.Getenv("CI") != "" {
			t.Fatal("continuous integration has no cage: " + why)
		}
		t.Skip("without a cage nothing is left behind: " + why)
	}
	before := dead(t)
	if before != 0 {
		t.Errorf("%d dead processes are left of looking whether the cage works", before)
	}
	for range 3 {
		if _, err := e.Inspect(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		// Time enough for the cage to be there, also on a machine with much to do: one that is ended while it is set up
		// has not said yet who runs in it.
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		if _, err := hanging.Inspect(ctx, path); err == nil {
			t.Error("the process that hangs came to an end")
		}
		cancel()
	}
	if after := dead(t); after != before {
		t.Errorf("%d dead processes wait for their parent, there were %d", after, before)
	}
}

// dead counts the children of this process that have ended and that nobody has waited for.
func dead(t *testing.T) (n int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err == nil && strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), fmt.Sprintf(" Z %d ", os.Getpid())) {
			n++
		}
	}
	return n
}
