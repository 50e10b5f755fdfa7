package ffmpeg_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
)

// What stands back does so beside all others: Linux may share the CPUs out by sessions first, and every process is in one of
// its own, without a terminal.
func TestWhatStandsBackDoes(t *testing.T) {
	t.Parallel()
	program := sleeper(t)
	before, err := strconv.Atoi(processStat(t, "self")[16])
	if err != nil {
		t.Fatal(err)
	}
	back := strconv.Itoa(min(19, before+ffmpeg.BesidePictures))
	for _, cage := range []string{"", "-"} {
		e := newEncoder(t, ffmpeg.Options{FFprobe: program, Bubblewrap: cage})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		ended := make(chan error, 1)
		go func() { ended <- e.Beside(ctx) }()
		var session, terminal, group string
		for tick := time.NewTicker(20 * time.Millisecond); session == ""; {
			select {
			case err := <-ended:
				t.Fatalf("cage %q: it ended: %v", cage, err)
			case <-tick.C:
				session, terminal, group = standing(t, program, back)
			}
		}
		cancel()
		if err := <-ended; err == nil {
			t.Errorf("cage %q: it came to an end by itself", cage)
		}
		if ours := processStat(t, "self")[3]; session == ours || terminal != "0" {
			t.Errorf("cage %q: session %s, terminal %s; this test's session is %s", cage, session, terminal, ours)
		}
		if want := fmt.Sprintf("nice %d", ffmpeg.BesidePictures); group != "" && !strings.HasSuffix(group, want) {
			t.Errorf("cage %q: its session has %q, wanted %q", cage, group, want)
		}
	}
}

// standing finds a process that runs a program and stands back so far: its session, its terminal and, where the machine has
// that, its session's share of the CPUs.
func standing(t *testing.T, program, nice string) (session, terminal, group string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lines {
		dir := filepath.Dir(name)
		line, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(line, []byte(program)) {
			continue
		}
		if stat := processStat(t, filepath.Base(dir)); len(stat) > 16 && stat[16] == nice {
			text, _ := os.ReadFile(filepath.Join(dir, "autogroup"))
			return stat[3], stat[4], strings.TrimSpace(string(text))
		}
	}
	return "", "", ""
}

// processStat returns what the kernel says of a process, from its state on (proc_pid_stat(5)); nothing when it is gone.
func processStat(t *testing.T, pid string) []string {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}
