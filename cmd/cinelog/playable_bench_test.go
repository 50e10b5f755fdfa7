package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkPlayable measures how long after the last byte of an upload a video can be watched:
//
//	remuxed/LENGTH  a source that browsers play as it is
//	playable_s      seconds from the last byte to the first playlist
//
//	encoded/CODEC        any other source
//	of_first_4_s         the same as a part of what one bare FFmpeg process takes for all renditions of the first 4 s
func BenchmarkPlayable(b *testing.B) {
	clip := benchClip(b)
	binary := buildServer(b)
	for _, length := range []struct {
		name  string
		times int // the clip of 62 s, one after the other
	}{{"60s", 1}, {"10min", 10}, {"1h", 58}} {
		b.Run("remuxed/"+length.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "long.mp4")
			ffmpegRun(b, "-stream_loop", strconv.Itoa(length.times-1), "-i", clip, "-c", "copy", "-movflags", "+faststart", path)
			var took []float64
			for b.Loop() {
				took = append(took, playableAfter(b, binary, path).Seconds())
			}
			b.ReportMetric(0, "ns/op")
			reportMedian(b, took, "playable_s")
		})
	}
	for _, source := range []struct {
		name, file string
		args       []string
	}{
		{"vp9", "clip.webm", []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "3M", "-c:a", "libopus", "-ac", "2"}},
		{"hevc", "clip.mp4", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-c:a", "aac"}},
		{"mpeg2", "clip.mpg", []string{"-c:v", "mpeg2video", "-b:v", "8M", "-g", "15", "-c:a", "mp2", "-ac", "2"}},
	} {
		b.Run("encoded/"+source.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), source.file)
			ffmpegRun(b, append(append([]string{"-t", "30", "-i", clip}, source.args...), path)...)
			var took, part []float64
			for b.Loop() {
				var ours, bare time.Duration
				inTurns(len(part), func() { ours = playableAfter(b, binary, path) }, func() { bare, _ = throughFFmpeg(b, path, 4) })
				took = append(took, ours.Seconds())
				part = append(part, ours.Seconds()/bare.Seconds())
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took), "playable_s")
			reportMedian(b, part, "of_first_4_s")
		})
	}
}

func ffmpegRun(b *testing.B, args ...string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("ffmpeg: %v: %s", err, out)
	}
}

// playableAfter uploads a file to a new server and returns the time from its last byte to the first playlist.
func playableAfter(b *testing.B, binary, path string) time.Duration {
	b.Helper()
	s := startServer(b, binary)
	defer s.stop()
	id := s.create("How soon")
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	body := &lastByte{r: f}
	if err := s.put(b.Context(), id, filepath.Base(path), body, info.Size()); err != nil {
		b.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.server+"/play/"+id+"/master.m3u8", nil)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			took := time.Duration(time.Now().UnixNano() - body.at.Load())
			b.Log("what happened:" + s.timeline(b.Context(), id))
			return took
		}
		<-tick.C
	}
}

// lastByte remembers when the newest bytes were read.
type lastByte struct {
	r  io.Reader
	at atomic.Int64 // nanoseconds since 1970
}

func (l *lastByte) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if n > 0 {
		l.at.Store(time.Now().UnixNano())
	}
	return n, err
}
