package main

import (
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/sqlite"
)

// A verify that is killed at any moment has changed nothing, leaves no lock, and the next one finds nothing.
func TestVerifySurvivesKill(t *testing.T) {
	t.Parallel()
	rounds := 4
	if os.Getenv("CINELOG_LONG") != "" {
		rounds = 100
	}
	binary := buildBinary(t)
	in := newInstallation(t)
	log, err := sqlite.OpenLog(t.Context(), in.dir)
	in.must(err)
	for range 40 {
		readyVideo(t, log, "right")
	}
	in.must(log.Close())
	cinelog(t, exitDone, "--data", in.dir, "replay", "all")
	before := viewFiles(t, in.dir)
	began := time.Now()
	in.verify(exitFailed) // the media of those videos are not there
	took := time.Since(began)
	for range rounds {
		cmd := exec.CommandContext(t.Context(), binary, "--data", in.dir, "verify", "--grace", "0s")
		in.must(cmd.Start())
		time.Sleep(rand.N(took))
		_ = cmd.Process.Kill() // it may be done
		_ = cmd.Wait()
		release, err := lockData(in.dir)
		in.must(err)
		release()
	}
	last := in.verify(exitFailed)
	for _, c := range last.Checks {
		if c.Name != "media" && c.Name != "messages" && len(c.Findings) > 0 {
			t.Errorf("%s: %+v", c.Name, c.Findings[0])
		}
	}
	after := viewFiles(t, in.dir)
	maps.DeleteFunc(after, func(name, _ string) bool { _, was := before[name]; return !was }) // builds, which the next replay removes
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("it has changed something:\n%s", diff)
	}
	cinelog(t, exitDone, "--data", in.dir, "replay", "all")
	if n := len(viewFiles(t, in.dir)); n != len(before) {
		t.Errorf("%d files of read models after a replay, %d before", n, len(before))
	}
}
