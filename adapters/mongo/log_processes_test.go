package mongo_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
)

// BenchmarkAppendTwoProcesses measures appends of two processes to one log, beside one process with as many writers
// together: "of_one" is the speed of the two as a part of that of the one.
func BenchmarkAppendTwoProcesses(b *testing.B) {
	for _, writers := range []int{1, 8, 64} { // of each process
		b.Run(fmt.Sprintf("%dwriters", writers), func(b *testing.B) {
			slice := writers * max(4, 256/writers) // appends of each process
			uri := newDatabase(b)
			l, other := openLog(b, uri), startAppender(b, uri)
			other.appends(writers, writers)()
			var two, one time.Duration
			b.ResetTimer()
			for range b.N {
				start := time.Now()
				wait := other.appends(writers, slice)
				if err := appendMany(b.Context(), l, writers, slice); err != nil {
					b.Fatal(err)
				}
				wait()
				two += time.Since(start)
				start = time.Now()
				if err := appendMany(b.Context(), l, 2*writers, 2*slice); err != nil {
					b.Fatal(err)
				}
				one += time.Since(start)
			}
			total := float64(b.N * 2 * slice)
			b.ReportMetric(total/two.Seconds(), "appends/s")
			b.ReportMetric(total/one.Seconds(), "one/s")
			b.ReportMetric(one.Seconds()/two.Seconds(), "of_one")
		})
	}
}

// TestTwoProcesses appends from two processes at once: one log, without a gap, with all of both in it.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	l, other := openLog(t, uri), startAppender(t, uri)
	const appends = 200
	wait := other.appends(8, appends)
	if err := appendMany(t.Context(), l, 8, appends); err != nil {
		t.Error(err)
	}
	wait()
	if head, err := l.Head(t.Context()); err != nil || head != 2*appends {
		t.Errorf("head %d, %v; want %d", head, err, 2*appends)
	}
	verify(t, l.LogReader)
}

// appendMany appends commits of one event by so many writers, each to a stream of its own.
func appendMany(ctx context.Context, l *mongo.Log, writers, total int) error {
	errs := make(chan error, writers)
	for i := range writers {
		n := total / writers
		if i < total%writers {
			n++
		}
		go func() {
			stream := uuid.NewString()
			for version := range n {
				_, err := l.Append(ctx, domain.Commit{
					ID: uuid.NewString(), Stream: stream, Expected: version, Time: time.Now(),
					Events: []domain.Event{contract.TypicalEvent(version)},
				})
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var first error
	for range writers {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// appender is another process that appends when it is told.
type appender struct {
	tb  testing.TB
	in  io.Writer
	out *bufio.Scanner
}

func startAppender(tb testing.TB, uri string) *appender {
	tb.Helper()
	p := exec.Command(os.Args[0])
	p.Env = append(os.Environ(), "CINELOG_TEST_APPEND_TO="+uri)
	p.Stderr = os.Stderr
	in, err := p.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(sync.OnceFunc(func() {
		_ = in.Close() // which ends it
		if err := p.Wait(); err != nil {
			tb.Error(err)
		}
	}))
	return &appender{tb: tb, in: in, out: bufio.NewScanner(out)}
}

// appends starts so many appends; wait returns when they are done.
func (a *appender) appends(writers, total int) (wait func()) {
	a.tb.Helper()
	if _, err := fmt.Fprintln(a.in, writers, total); err != nil {
		a.tb.Fatal(err)
	}
	return func() {
		if !a.out.Scan() || a.out.Text() != "done" {
			a.tb.Fatalf("the other process: %s, %v", a.out.Text(), a.out.Err())
		}
	}
}

// appendAsTold is that other process.
func appendAsTold(uri string) {
	ctx := context.Background()
	db, err := mongo.Open(ctx, uri, time.Now)
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := mongo.OpenLog(ctx, db)
	if err != nil {
		fmt.Println(err)
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var writers, total int
		_, err := fmt.Sscan(lines.Text(), &writers, &total)
		if err == nil {
			err = appendMany(ctx, l, writers, total)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("done")
	}
}
