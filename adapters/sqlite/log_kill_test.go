package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

// TestLogSurvivesKill kills a process that appends, again and again on the same file: what it had reported as appended
// must be there afterwards, every commit whole, and the chain unbroken.
func TestLogSurvivesKill(t *testing.T) {
	t.Parallel()
	kills := 10
	if os.Getenv("CINELOG_LONG") != "" {
		kills = 300
	}
	var dir string
	var total int
	var acknowledged map[string]domain.Appended
	for kill := range kills {
		if kill%10 == 0 { // everything is checked after every kill, so a file that grew for ever would take for ever
			dir, acknowledged = t.TempDir(), map[string]domain.Appended{}
		}
		before := len(acknowledged)
		appendAndKill(t, dir, acknowledged)
		if len(acknowledged) == before {
			t.Fatal("the process was killed before it had appended anything")
		}
		l := openLog(t, dir)
		events := map[string]int{}
		last := map[string]domain.Recorded{}
		for id := range acknowledged {
			commit, err := l.ReadCommit(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if events[id] = len(commit); len(commit) > 0 {
				last[id] = commit[len(commit)-1]
			}
		}
		for id, want := range acknowledged {
			if got := (domain.Appended{Position: last[id].Position, Version: last[id].Version}); got != want || events[id] != commitSize(id) {
				t.Fatalf("commit %s was acknowledged at %+v; now %d events to %+v", id, want, events[id], got)
			}
		}
		verify(t, l.LogReader)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		total += len(acknowledged) - before
	}
	t.Logf("%d kills, %d acknowledged commits", kills, total)
}

// appendAndKill adds what the process acknowledged before it died. Every line that it wrote counts, as it wrote none
// before its append had returned.
func appendAndKill(t *testing.T, dir string, acknowledged map[string]domain.Appended) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CINELOG_TEST_APPEND_TO="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	killAfter := 1 + rand.IntN(400)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // the last line may be cut, then it was not reported
		}
		var id string
		var a domain.Appended
		if _, err := fmt.Sscan(line, &id, &a.Position, &a.Version); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		acknowledged[id] = a
		if n == killAfter {
			// Not at once, so that the moment is not tied to the end of an append.
			time.AfterFunc(time.Duration(rand.Int64N(int64(2*time.Millisecond))), func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // it was killed
}

// commitSize derives a commit's number of events from its id, so that both processes know it.
func commitSize(id string) int { return 1 + int(id[0])%3 }

// appendUntilKilled is the other process.
func appendUntilKilled(dir string) {
	ctx := context.Background()
	l, err := sqlite.OpenLog(ctx, dir)
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			stream, version := uuid.NewString(), 0
			for {
				c := domain.Commit{ID: uuid.NewString(), Stream: stream, Expected: version, Time: time.Now()}
				for i := range commitSize(c.ID) {
					c.Events = append(c.Events, domain.TranscodeRequested{Attempt: i})
				}
				a, err := l.Append(ctx, c)
				if err != nil {
					panic(err)
				}
				version = a.Version
				if _, err := fmt.Fprintln(os.Stdout, c.ID, a.Position, a.Version); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}
