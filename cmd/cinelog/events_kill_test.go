package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/backends"
)

// feed is an import in a process of its own, which gets the file line by line from the test.
type feed struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	errs bytes.Buffer
}

func startImport(t *testing.T, binary string, args ...string) *feed {
	t.Helper()
	f := &feed{cmd: exec.CommandContext(t.Context(), binary, append(args, "events", "import", "-")...)}
	f.cmd.Stderr = &f.errs
	var err error
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestImportSurvivesKill kills an import in the middle, again and again: what is there is the beginning of the file, and
// the next import goes on. So does one that is interrupted, and one whose file breaks off.
func TestImportSurvivesKill(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	data, _ := logWithVideos(t, 700)
	dir := t.TempDir()
	file := filepath.Join(dir, "log.jsonl")
	cinelog(t, exitDone, "--data", data, "events", "export", file)
	whole := string(readFile(t, file))
	lines := slices.Collect(strings.Lines(whole)) // 4,900 events; a log gets about a thousand at once
	for name, at := range map[string]places{
		"SQLite":  {Data: filepath.Join(dir, "sqlite")},
		"MongoDB": {Data: filepath.Join(dir, "mongo"), Log: backends.Mongo(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--data", at.Data, "--log", at.Log, "--views", at.Log}
			cinelog(t, exitDone, append(args, "provision")...)
			var head domain.Position
			for i, stop := range []func(*feed) (want string){
				func(f *feed) string { _ = f.cmd.Process.Kill(); return "signal: killed" },
				func(f *feed) string { _ = f.cmd.Process.Kill(); return "signal: killed" },
				func(f *feed) string { _ = f.cmd.Process.Signal(syscall.SIGINT); return "exit status 1" },
				func(f *feed) string { _ = f.in.Close(); return "exit status 1" },
			} {
				f := startImport(t, binary, args...)
				// The kill finds it with a part of the file in the log, and another one read.
				if _, err := io.WriteString(f.in, strings.Join(lines[:1200*(i+1)], "")); err != nil {
					t.Fatalf("%v: %s", err, f.errs.String())
				}
				eventually(t, time.Minute, func() string {
					if now := headOf(t, at); now <= head {
						return fmt.Sprintf("the log stays at %d", now)
					}
					return ""
				})
				want := stop(f)
				if err := f.cmd.Wait(); err == nil || err.Error() != want {
					t.Errorf("stop %d: it ended with %v, want %s\n%s", i, err, want, f.errs.String())
				}
				now := headOf(t, at)
				if now <= head || now >= 4900 {
					t.Fatalf("stop %d: the log ends at %d, before at %d", i, now, head)
				}
				head = now
				part := strings.SplitAfter(cinelog(t, exitDone, append(args, "events", "export")...), "\n")
				if !slices.Equal(part[1:int(head)+1], lines[1:int(head)+1]) {
					t.Fatalf("stop %d: the log is not the beginning of the file", i)
				}
			}
			out := cinelog(t, exitDone, append(args, "events", "import", file)...)
			if want := fmt.Sprintf("the log had %d of them, %d were added", head, 4900-int(head)); !strings.Contains(out, want) {
				t.Errorf("import says: %s, want %s", out, want)
			}
			if cinelog(t, exitDone, append(args, "events", "export")...) != whole {
				t.Error("the copy is another log")
			}
		})
	}
}

// headOf is where a log ends, 0 when it is not there yet.
func headOf(t *testing.T, at places) domain.Position {
	t.Helper()
	o := at.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = o.Close() }()
	log, err := o.checkLog(t.Context())
	if err != nil {
		return 0 // it is being made
	}
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}
