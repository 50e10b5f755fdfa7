package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// BenchmarkPlayable measures how long after the last byte of an upload a video can be watched:
//
//	remuxed/LENGTH  a source that browsers play as it is
//	playable_s      seconds from the last byte to the first playlist
//
//	slow_link/KIND  a source that takes as long to come as it lasts, 30 s
//	playable_s      the same
//	ahead           segments of pictures that were encoded before the last byte, of one rendition
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
				after, _ := playableAfter(b, binary, path, 0)
				took = append(took, after.Seconds())
			}
			b.ReportMetric(0, "ns/op")
			reportMedian(b, took, "playable_s")
		})
	}
	for _, source := range []struct {
		name, file string
		args       []string
	}{
		{"remuxed", "clip.mp4", []string{"-c", "copy", "-movflags", "+faststart"}},
		{"encoded", "clip.mp4", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-c:a", "copy", "-movflags", "+faststart"}},
		{"webm", "clip.webm", []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "3M", "-c:a", "libopus", "-ac", "2"}},
	} {
		b.Run("slow_link/"+source.name, func(b *testing.B) {
			const seconds = 30
			path := filepath.Join(b.TempDir(), source.file)
			ffmpegRun(b, append(append([]string{"-t", strconv.Itoa(seconds), "-i", clip}, source.args...), path)...)
			var took, ahead []float64
			for b.Loop() {
				after, segments := playableAfter(b, binary, path, seconds*time.Second)
				took, ahead = append(took, after.Seconds()), append(ahead, float64(segments))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ahead), "ahead")
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
				inTurns(len(part), func() { ours, _ = playableAfter(b, binary, path, 0) }, func() { bare, _ = throughFFmpeg(b, path, 4) })
				took = append(took, ours.Seconds())
				part = append(part, ours.Seconds()/bare.Seconds())
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took), "playable_s")
			reportMedian(b, part, "of_first_4_s")
		})
	}
}

func ffmpegRun(tb testing.TB, args ...string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("ffmpeg: %v: %s", err, out)
	}
}

// playableAfter uploads a file to a new server, over a link that takes so long, and returns the time from its last byte to
// the first playlist, and how many segments of pictures were encoded before that byte.
func playableAfter(b *testing.B, binary, path string, link time.Duration) (after time.Duration, ahead int) {
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
	if link > 0 {
		body.r = &slowLink{r: f, piece: int(info.Size()/int64(link/slowTick)) + 1, next: time.Now()}
	}
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
			last := time.Unix(0, body.at.Load())
			after = time.Since(last)
			b.Log("what happened:" + s.timeline(b.Context(), id))
			return after, segmentsBefore(b, s.data, last)
		}
		<-tick.C
	}
}

// segmentsBefore counts the segments of pictures that were encoded and stored before then, of the rendition that has most.
func segmentsBefore(b *testing.B, data string, then time.Time) (most int) {
	b.Helper()
	stored := map[string]int{}
	err := filepath.WalkDir(filepath.Join(data, "blobs", "media"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".m4s" {
			return err
		}
		info, err := entry.Info()
		rendition := filepath.Base(filepath.Dir(path))
		if err == nil && info.ModTime().Before(then) && !strings.HasPrefix(rendition, "audio") && rendition != domain.RemuxName {
			stored[rendition]++
			most = max(most, stored[rendition])
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return most
}

// slowTick is how often a slow link brings something.
const slowTick = 50 * time.Millisecond

// slowLink is a link that brings a piece with each tick.
type slowLink struct {
	r     io.Reader
	piece int
	left  int
	next  time.Time
}

func (s *slowLink) Read(p []byte) (int, error) {
	if s.left == 0 {
		time.Sleep(time.Until(s.next))
		s.next, s.left = s.next.Add(slowTick), s.piece
	}
	n, err := s.r.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
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
