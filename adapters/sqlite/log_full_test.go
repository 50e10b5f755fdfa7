package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

// TestLogOnAFullDisk lets a process of its own, because the limit holds for a whole process, come to the end of the
// space that its files may take, several times.
func TestLogOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CINELOG_TEST_FILL_UP="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	verify(t, openLog(t, dir).LogReader)
}

// fillUp is the other process.
func fillUp(dir string) {
	signal.Ignore(syscall.SIGXFSZ) // then the write fails, as on a full disk
	ctx := context.Background()
	l, err := sqlite.OpenLog(ctx, dir)
	must(err)
	for round := range 4 {
		limitFiles(uint64(300_000 * (1 + round*round)))
		refused, stored := fillUpOnce(ctx, l)
		// The full disk stops no reader, and nothing of what was refused is there.
		head, err := l.Head(ctx)
		must(err)
		for _, c := range refused {
			events, err := l.ReadCommit(ctx, c.ID)
			must(err)
			if len(events) > 0 {
				panic("a refused commit is there")
			}
		}
		// With space again the same commits go in, each at the end.
		limitFiles(1 << 62)
		for _, c := range refused {
			a, err := l.Append(ctx, c)
			must(err)
			if head++; a.Position != head {
				panic(fmt.Sprintf("position %d after %d", a.Position, head-1))
			}
		}
		findings, err := l.VerifyChain(ctx)
		must(err)
		if len(findings) > 0 {
			panic(strings.Join(findings, "\n"))
		}
		fmt.Fprintf(os.Stdout, "%d stored, %d refused\n", stored, len(refused))
	}
	must(l.Close())
}

// fillUpOnce appends with several writers until each was refused, and returns what was refused.
func fillUpOnce(ctx context.Context, l *sqlite.Log) (refused []domain.Commit, stored int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				c := domain.Commit{
					ID: uuid.NewString(), Stream: uuid.NewString(), Time: time.Now(),
					Events: []domain.Event{domain.SourceRejected{Failure: domain.Failure{Detail: strings.Repeat("x", 5000)}}},
				}
				_, err := l.Append(ctx, c)
				mu.Lock()
				if err == nil {
					stored++
				} else {
					refused = append(refused, c)
				}
				mu.Unlock()
				if errors.Is(err, domain.ErrUnavailable) {
					return
				}
				must(err)
			}
		})
	}
	wg.Wait()
	return refused, stored
}

func limitFiles(bytes uint64) {
	var limit syscall.Rlimit
	must(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	limit.Cur = min(bytes, limit.Max)
	must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
