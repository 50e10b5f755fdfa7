package ffmpeg_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Sound whose times jump hours ahead, for good or for a moment, must not be waited for: FFmpeg makes the silence before it in
// memory, which took more than 3 GB and 24 s for a clip of 2 s. A process of its own does it: to what is started by this one, which
// may be large, the system counts its memory too.
func TestSoundThatJumpsTakesNoMemory(t *testing.T) {
	t.Parallel()
	const name = "CINELOG_TEST_SOUND_OF"
	if path := os.Getenv(name); path != "" {
		encodeSound(t, path)
		return
	}
	for when, jump := range map[string]string{"at the end": `gt(N\,70)`, "for a moment": `between(N\,30\,31)`} {
		path := filepath.Join(t.TempDir(), "a.mkv")
		args := moving(160, 90, 25, 2) + morse + "2" + lossy + fmt.Sprintf(` -c:a aac -bsf:a setts=ts=if(%s\,PTS+1000*9000\,PTS)`, jump)
		runFFmpeg(t, append(strings.Fields("-v error "+args), path)...)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), name+"="+path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", when, err, out)
		}
	}
}

func encodeSound(t *testing.T, path string) {
	t.Helper()
	e := newEncoder(t, ffmpeg.Options{Bubblewrap: "-"}) // which would not tell what it has used
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Duration > 3 {
		t.Errorf("it is said to last %.0f s", info.Duration)
	}
	if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: domain.PlanTranscode(info)}, newRecorder()); err != nil {
		t.Error(err)
	}
	atMost(t, 400)
}

// atMost fails when a process that this one has started took more memory.
func atMost(t *testing.T, mebibytes int64) {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used); err != nil || used.Maxrss > mebibytes<<10 || used.Maxrss == 0 { // of the largest
		t.Errorf("it took %d MiB, %v", used.Maxrss>>10, err)
	}
}
