package main

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// uploadBytes is what is uploaded: 2 GiB, more than any buffer would hide.
const uploadBytes = 2 << 30

// BenchmarkUpload2GiB measures an upload of 2 GiB from a file beside a copy of the same file that is fsynced:
//
//	of_copy   the upload's speed as a part of the copy's
//	grown_MiB how much the server's memory grew at most meanwhile
//
// The two take turns, and the one that begins changes too.
func BenchmarkUpload2GiB(b *testing.B) {
	dir := b.TempDir()
	source := filepath.Join(dir, "source")
	fillRandom(b, source, uploadBytes)
	s := startServer(b, buildServer(b))
	var speeds, puts, copies, grown []float64
	for b.Loop() {
		var put, copied time.Duration
		for turn := range 2 {
			syscall.Sync() // what others have left to write is on nobody's account
			if (turn+len(speeds))%2 == 0 {
				var bytes int64
				put, bytes = s.timeUpload(source)
				grown = append(grown, float64(bytes)/(1<<20))
			} else {
				copied = timeCopy(b, source, filepath.Join(dir, "copy"))
			}
		}
		speeds = append(speeds, copied.Seconds()/put.Seconds())
		puts = append(puts, uploadBytes/put.Seconds()/(1<<20))
		copies = append(copies, uploadBytes/copied.Seconds()/(1<<20))
		b.Logf("upload %.0f MiB/s, copy %.0f MiB/s, grown by %.1f MiB", puts[len(puts)-1], copies[len(copies)-1], grown[len(grown)-1])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(puts), "upload_MiB/s")
	b.ReportMetric(median(copies), "copy_MiB/s")
	reportMedian(b, speeds, "of_copy")
	reportMedian(b, grown, "grown_MiB")
}

// fillRandom writes a file that no disk and no transport can make smaller.
func fillRandom(b *testing.B, path string, size int64) {
	b.Helper()
	f, err := os.Create(path)
	if err == nil {
		_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), size)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
}

// timeUpload uploads the file as a new video, says how long it took and by how much the server grew, and deletes it.
func (s *benchServer) timeUpload(path string) (took time.Duration, grown int64) {
	s.b.Helper()
	id := s.create("Noise")
	s.resetPeak()
	before := s.memory("VmRSS")
	start := time.Now()
	s.send(id, path)
	took = time.Since(start)
	grown = s.memory("VmHWM") - before
	if err := s.call(s.b.Context(), "DELETE", "/v1/videos/"+id, nil, nil); err != nil {
		s.b.Fatal(err)
	}
	return took, grown
}

// timeCopy copies a file as a person would who wants it to be there after a loss of power.
func timeCopy(b *testing.B, from, to string) time.Duration {
	b.Helper()
	start := time.Now()
	in, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err == nil {
		err = out.Sync()
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	if err := os.Remove(to); err != nil {
		b.Fatal(err)
	}
	return took
}
