package ffmpeg_test

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
)

// What a process started is ended by the next one of the same owner, and by no other.
func TestTheNextOwnerEndsWhatIsLeft(t *testing.T) {
	t.Parallel()
	path := clip(t, "a.mp4", "testsrc2=s=64x64:r=25:d=1", "-c:v", "libx264", "-an")
	for _, cage := range []string{"", "-"} {
		mine, others := t.TempDir(), t.TempDir()
		left := newEncoder(t, ffmpeg.Options{FFprobe: sleeper(t), Bubblewrap: cage, Owner: mine})
		ended := make(chan error, 1)
		go func() {
			_, err := left.Inspect(t.Context(), path)
			ended <- err
		}()
		foreign := exec.CommandContext(t.Context(), "sleep", "1000")
		foreign.Env = []string{"CINELOG_OWNER=" + others, "LESS=CINELOG_OWNER=" + mine}
		if err := foreign.Start(); err != nil {
			t.Fatal(err)
		}
		foreignEnded := make(chan error, 1)
		go func() {
			foreignEnded <- foreign.Wait()
			close(foreignEnded)
		}()

		deadline := time.After(time.Minute)
		for waiting := true; waiting; {
			newEncoder(t, ffmpeg.Options{Bubblewrap: cage, Owner: mine}) // again, until the process to be ended has begun
			select {
			case err := <-ended:
				waiting = false
				var failure *domain.Failure
				if err == nil || errors.As(err, &failure) {
					t.Errorf("cage %q: got %v, wanted an error that may be tried again", cage, err)
				}
			case <-deadline:
				t.Fatalf("cage %q: the process of the owner before lives", cage)
			default:
			}
		}
		select {
		case err := <-foreignEnded:
			t.Errorf("cage %q: another owner's process was ended: %v", cage, err)
		default:
		}
		_ = foreign.Process.Kill() // it may be gone, see above
		for err := range foreignEnded {
			t.Log("as it should:", err)
		}
	}
}
