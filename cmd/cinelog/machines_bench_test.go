package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// BenchmarkMachines uploads 20 small videos at once to two API servers, with a process for relay and read models and
// two workers of one CPU each beside them, and to one process that does it all with two CPUs:
//
//	of_embedded  from the first upload until all are ready, as a part of the time that one process takes
//
// The two take turns, and the one that begins changes too. MongoDB, SNS, SQS and S3 run on the same CPUs here.
func BenchmarkMachines(b *testing.B) {
	binary := buildBinary(b)
	clip := (&machines{t: b, dir: b.TempDir()}).clip(10, "640x360")
	var many, one, ratio []float64
	for b.Loop() {
		n := len(ratio)
		inTurns(n,
			func() {
				many = append(many, throughMachines(b, newMachines(b, binary, sharedServers(b)), clip).Seconds())
			},
			func() { one = append(one, throughOneProcess(b, binary, clip).Seconds()) })
		ratio = append(ratio, many[n]/one[n])
		b.Logf("ready after %.1f s, in one process after %.1f s", many[n], one[n])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(many), "ready_s")
	b.ReportMetric(median(one), "embedded_s")
	reportMedian(b, ratio, "of_embedded")
}

func throughMachines(b *testing.B, m *machines, clip string) time.Duration {
	b.Helper()
	m.mustRun("provision")
	processes := []*serverProcess{
		m.start("api"), m.start("api"), m.start("relay,projector,analytics"),
		m.start("transcoder", "--cpus", "1"), m.start("transcoder", "--cpus", "1"),
	}
	var addresses []string
	for _, p := range processes {
		if address := p.address(b); address != "" {
			addresses = append(addresses, address)
		}
	}
	took := uploadAtOnce(b, m, addresses, clip)
	for _, p := range processes {
		p.kill()
	}
	return took
}

func throughOneProcess(b *testing.B, binary, clip string) time.Duration {
	b.Helper()
	dir := b.TempDir()
	p := startProcess(b, nil, binary, filepath.Join(dir, "data"), filepath.Join(dir, "log"), "--cpus", "2")
	defer p.kill()
	return uploadAtOnce(b, &machines{t: b, dir: dir}, []string{p.address(b)}, clip)
}

// uploadAtOnce returns the time from the first upload until all videos are ready.
func uploadAtOnce(b *testing.B, m *machines, addresses []string, clip string) time.Duration {
	b.Helper()
	const videos = 20
	began := time.Now()
	var sending sync.WaitGroup
	for i := range videos {
		sending.Go(func() { m.send(&client{server: addresses[i%len(addresses)]}, clip) })
	}
	sending.Wait()
	cl := &client{server: addresses[0]}
	tick := time.NewTicker(500 * time.Millisecond) // to ask is work too
	defer tick.Stop()
	for {
		var page struct {
			Items []answer `json:"items"`
		}
		if err := cl.call(b.Context(), http.MethodGet, "/v1/videos?status=ready&limit=100", nil, &page); err != nil {
			b.Fatal(err)
		}
		if len(page.Items) == videos {
			return time.Since(began)
		}
		select {
		case <-b.Context().Done():
			b.Fatalf("%d videos are ready at the end: %s", len(page.Items), m.logs())
		case <-tick.C:
		}
	}
}

// BenchmarkWorkers transcodes five minutes of 720p with two worker processes of one thread each, and with one. Each has a CPU of
// its own and no other, as a machine with one has: FFmpeg reads, decodes and writes beside the one thread that encodes.
//
//	speedup  how many times as fast two are, from the last byte until all is ready, by the times in the log
func BenchmarkWorkers(b *testing.B) {
	binary := buildBinary(b)
	clip := (&machines{t: b, dir: b.TempDir()}).clip(300, "1280x720")
	var two, one, ratio []float64
	for b.Loop() {
		n := len(ratio)
		through := func(workers int) float64 {
			return throughWorkers(b, binary, clip, workers).Seconds()
		}
		inTurns(n, func() { two = append(two, through(2)) }, func() { one = append(one, through(1)) })
		ratio = append(ratio, one[n]/two[n])
		b.Logf("ready after %.1f s with one worker, after %.1f s with two", one[n], two[n])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(one), "one_s")
	b.ReportMetric(median(two), "two_s")
	reportMedian(b, ratio, "speedup")
}

func throughWorkers(b *testing.B, binary, clip string, workers int) time.Duration {
	b.Helper()
	m := newMachines(b, binary, sharedServers(b))
	m.mustRun("provision")
	processes := []*serverProcess{m.start("api,relay,projector,analytics")}
	for cpu := range workers {
		m.binary = onCPU(b, binary, cpu)
		processes = append(processes, m.start("transcoder", "--cpus", "1", "--remux", "never"))
	}
	cl := &client{server: processes[0].address(b)}
	at := whenReady(b, cl, m.send(cl, clip))
	for _, p := range processes {
		p.kill()
	}
	return at[domain.EventType(domain.VideoPublished{})].Sub(at[domain.EventType(domain.VideoUploaded{})])
}

// whenReady waits until a video is ready, and says when the last event of each type happened to it.
func whenReady(b *testing.B, cl *client, id string) map[string]time.Time {
	b.Helper()
	tick := time.NewTicker(2 * time.Second) // to ask is work too
	defer tick.Stop()
	for {
		var v answer
		if err := cl.call(b.Context(), http.MethodGet, "/v1/videos/"+id, nil, &v); err != nil {
			b.Fatal(err)
		}
		if v.Status == "ready" {
			break
		}
		select {
		case <-b.Context().Done():
			b.Fatalf("it is %s at the end", v.Status)
		case <-tick.C:
		}
	}
	var page struct {
		Items []struct {
			Type string    `json:"type"`
			Time time.Time `json:"time"`
		} `json:"items"`
	}
	if err := cl.call(b.Context(), http.MethodGet, "/v1/videos/"+id+"/events", nil, &page); err != nil {
		b.Fatal(err)
	}
	at := map[string]time.Time{}
	for _, e := range page.Items {
		at[e.Type] = e.Time
	}
	return at
}

// onCPU returns a program that runs a binary, and all that it starts, on one CPU.
func onCPU(b *testing.B, binary string, cpu int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "cinelog")
	text := fmt.Sprintf("#!/bin/sh\nexec taskset -c %d %q \"$@\"\n", cpu, binary)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		b.Fatal(err)
	}
	return path
}
