package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// The benchmarks here measure the real binary from outside, as a process of its own: what the benchmark itself needs
// of memory and CPU is not the server's.

// buildServer builds the binary and returns its path.
func buildServer(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "cinelog")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// benchServer is a running server, a child of this process.
type benchServer struct {
	client

	b    *testing.B
	cmd  *exec.Cmd
	data string
	done chan struct{} // closed when nothing more can be read from it
}

// startServer starts the binary on a free port with a data folder of its own, and waits until it serves.
func startServer(b *testing.B, binary string, args ...string) *benchServer {
	b.Helper()
	const prSetChildSubreaper = 36 // see stop
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		b.Fatal(errno)
	}
	dir, err := os.MkdirTemp(b.TempDir(), "data-") //nolint:usetesting // one for each server of a benchmark
	if err != nil {
		b.Fatal(err)
	}
	reapDead() // those of earlier benchmarks are on nobody's account
	s := &benchServer{b: b, data: dir, done: make(chan struct{})}
	s.cmd = exec.Command(binary, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Stderr = b.Output()
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.stop() })
	lines := bufio.NewReader(stdout)
	for s.server == "" {
		line, err := lines.ReadString('\n')
		s.server = regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
		if err != nil {
			b.Fatalf("the server does not serve: %v", err)
		}
	}
	go func() {
		defer close(s.done)
		_, _ = io.Copy(io.Discard, lines)
	}()
	return s
}

// stop ends the server, removes its data and returns the CPU time of it and of everything that it started.
func (s *benchServer) stop() (cpu time.Duration) {
	if s.cmd.ProcessState != nil {
		return 0
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if s.server != "" {
		<-s.done
	}
	if err := s.cmd.Wait(); err != nil {
		s.b.Errorf("the server ended with: %v", err)
	}
	_ = os.RemoveAll(s.data)
	cpu = s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
	return cpu + reapDead()
}

// reapDead returns the CPU time of the dead that came to us: a cage does not wait for the FFmpeg in it. Other children
// live on: the stand-ins of other benchmarks.
func reapDead() (cpu time.Duration) {
	for {
		var used syscall.Rusage
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, &used); pid <= 0 || err != nil {
			return cpu
		}
		cpu += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
}

// create makes a video and returns its id.
func (s *benchServer) create(title string) string {
	s.b.Helper()
	var v answer
	if err := s.call(s.b.Context(), "POST", "/v1/videos", map[string]any{"title": title}, &v); err != nil {
		s.b.Fatal(err)
	}
	return v.ID
}

// send uploads a file as a video's source.
func (s *benchServer) send(id, path string) {
	s.b.Helper()
	f, err := os.Open(path)
	if err != nil {
		s.b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		s.b.Fatal(err)
	}
	if err := s.put(s.b.Context(), id, filepath.Base(path), f, info.Size()); err != nil {
		s.b.Fatal(err)
	}
}

// until asks for a video five times a second until ok says so.
func (s *benchServer) until(id string, ok func(answer) bool) {
	s.b.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var v answer
		if err := s.call(s.b.Context(), "GET", "/v1/videos/"+id, nil, &v); err != nil {
			s.b.Fatal(err)
		}
		if ok(v) {
			return
		}
		if v.Status == "failed" {
			s.b.Fatalf("the video failed: %+v", v.Error)
		}
		select {
		case <-s.b.Context().Done():
			s.b.Fatal(s.b.Context().Err())
		case <-tick.C:
		}
	}
}

// timeline says what happened to a video and when, measured from the end of its upload.
func (s *benchServer) timeline(ctx context.Context, id string) string {
	s.b.Helper()
	var page struct {
		Items []struct {
			Type string    `json:"type"`
			Time time.Time `json:"time"`
		} `json:"items"`
	}
	if err := s.call(ctx, "GET", "/v1/videos/"+id+"/events", nil, &page); err != nil {
		s.b.Fatal(err)
	}
	uploaded := domain.EventType(domain.VideoUploaded{})
	var text strings.Builder
	var from time.Time
	for _, e := range page.Items {
		if e.Type == uploaded {
			from = e.Time
		}
		if !from.IsZero() {
			text.WriteString(" " + e.Time.Sub(from).Round(time.Millisecond).String() + " " + strings.TrimSuffix(strings.TrimPrefix(e.Type, "video."), ".v1"))
		}
	}
	return text.String()
}

// inTurns runs both, and lets the other one begin in every second round.
func inTurns(round int, one, other func()) {
	if round%2 == 1 {
		one, other = other, one
	}
	one()
	other()
}

// median of an odd or even number of figures.
func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// reportMedian reports the median of a figure's pairs, and how far they lie apart where there are several.
func reportMedian(b *testing.B, figures []float64, name string) {
	b.Helper()
	b.ReportMetric(median(figures), name)
	if len(figures) > 1 {
		b.ReportMetric(slices.Min(figures), name+"_min")
		b.ReportMetric(slices.Max(figures), name+"_max")
	}
}
