package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkIdle measures the server while nobody wants anything, after one small video:
//
//	rss_MiB     its memory
//	wakeups/s   how often its threads went to sleep again
//	cpu_ms/s    its CPU time
//
// There is nothing to put beside them: the reference is 0.
func BenchmarkIdle(b *testing.B) {
	clip := filepath.Join(b.TempDir(), "clip.mp4")
	if err := makeSample(b.Context(), clip, 4); err != nil {
		b.Fatal(err)
	}
	s := startServer(b, buildServer(b))
	id := s.create("Sample")
	s.send(id, clip)
	s.until(id, func(v answer) bool { return v.Status == "ready" })
	s.sleep(5 * time.Second) // what comes after the last event: sweeping, acknowledgements

	const span = 20 * time.Second
	var memory, wakeups, cpu []float64
	for b.Loop() {
		switches, busy := s.activity()
		s.sleep(span)
		switchesAfter, busyAfter := s.activity()
		memory = append(memory, float64(s.memory("VmRSS"))/(1<<20))
		wakeups = append(wakeups, float64(switchesAfter-switches)/span.Seconds())
		cpu = append(cpu, float64((busyAfter-busy).Microseconds())/1000/span.Seconds())
	}
	b.ReportMetric(0, "ns/op")
	reportMedian(b, memory, "rss_MiB")
	reportMedian(b, wakeups, "wakeups/s")
	reportMedian(b, cpu, "cpu_ms/s")
}

// sleep lets the server be. Time is what is measured against here, so this is no way to wait for something.
func (s *benchServer) sleep(d time.Duration) {
	select {
	case <-s.b.Context().Done():
	case <-time.After(d):
	}
}

func (s *benchServer) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, name)
}

// memory reads a line of /proc/PID/status in bytes: VmRSS is what the process has in memory, VmHWM the most it had.
func (s *benchServer) memory(name string) int64 {
	s.b.Helper()
	kib, err := strconv.ParseInt(strings.Fields(statusLine(s.b, s.proc("status"), name))[0], 10, 64)
	if err != nil {
		s.b.Fatal(err)
	}
	return kib << 10
}

// resetPeak makes VmHWM begin anew.
func (s *benchServer) resetPeak() {
	s.b.Helper()
	if err := os.WriteFile(s.proc("clear_refs"), []byte("5"), 0); err != nil {
		s.b.Fatal(err)
	}
}

// activity counts how often the threads have waited for something until now, and their CPU time.
func (s *benchServer) activity() (switches int64, cpu time.Duration) {
	s.b.Helper()
	threads, err := filepath.Glob(s.proc("task/*"))
	if err != nil || len(threads) == 0 {
		s.b.Fatal("no threads", err)
	}
	for _, thread := range threads {
		n, err := strconv.ParseInt(statusLine(s.b, thread+"/status", "voluntary_ctxt_switches"), 10, 64)
		if err != nil {
			s.b.Fatal(err)
		}
		switches += n
		var run time.Duration
		stat, err := os.ReadFile(thread + "/schedstat")
		if err == nil {
			_, err = fmt.Fscan(bytes.NewReader(stat), &run) // nanoseconds
		}
		if err != nil {
			s.b.Fatal(err)
		}
		cpu += run
	}
	return switches, cpu
}

func statusLine(b *testing.B, file, name string) string {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + `:\s*(.*)$`).FindSubmatch(text)
	if found == nil {
		b.Fatalf("%s has no %s", file, name)
	}
	return string(found[1])
}
