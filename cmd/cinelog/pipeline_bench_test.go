package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// BenchmarkPipeline measures the way from source to ready beside one FFmpeg process that makes the same renditions:
//
//	of_ffmpeg          from the end of the upload to ready, as a part of the time that FFmpeg takes
//	cpu_of_ffmpeg      the CPU time of the server and all that it started, as a part of FFmpeg's
//	playable_of_ready  from the end of the upload to the first that can be played, as a part of the time to ready
//
// Every rung is encoded on both sides: the source's own pictures are not served. The two take turns, and the one that
// begins changes too.
func BenchmarkPipeline(b *testing.B) {
	clip := benchClip(b)
	binary := buildServer(b)
	var wall, cpu, playable, ready, reference []float64
	for b.Loop() {
		var ours, theirs cost
		var first time.Duration
		inTurns(len(wall),
			func() {
				ours = measureCost(b, func() (wall, cpu time.Duration) {
					first, wall, cpu = throughServer(b, binary, clip, "--remux", "never", "--ladder", "fixed")
					return wall, cpu
				})
			},
			func() {
				theirs = measureCost(b, func() (wall, cpu time.Duration) { return throughFFmpeg(b, clip, 62) })
			})
		wall = append(wall, ours.wall.Seconds()/theirs.wall.Seconds())
		cpu = append(cpu, ours.cpu.Seconds()/theirs.cpu.Seconds())
		playable = append(playable, first.Seconds()/ours.wall.Seconds())
		ready = append(ready, ours.wall.Seconds())
		reference = append(reference, theirs.wall.Seconds())
		b.Logf("playable after %.1f s, ready after %s; FFmpeg %s", first.Seconds(), ours, theirs)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ready), "ready_s")
	b.ReportMetric(median(reference), "ffmpeg_s")
	reportMedian(b, wall, "of_ffmpeg")
	reportMedian(b, cpu, "cpu_of_ffmpeg")
	reportMedian(b, playable, "playable_of_ready")
}

// cost is what one side took, and what CPU time all others of the machine took meanwhile: where that is much, the wall
// times say little.
type cost struct{ wall, cpu, others time.Duration }

func (c cost) String() string {
	return fmt.Sprintf("%.1f s (CPU %.1f s, others %.1f s)", c.wall.Seconds(), c.cpu.Seconds(), c.others.Seconds())
}

// measureCost measures what do takes, whose CPU time do returns itself.
func measureCost(b *testing.B, do func() (wall, cpu time.Duration)) (c cost) {
	b.Helper()
	before := machineBusy(b)
	c.wall, c.cpu = do()
	c.others = machineBusy(b) - before - c.cpu
	return c
}

// machineBusy is for how long all CPUs together have worked until now.
func machineBusy(b *testing.B) (busy time.Duration) {
	b.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		b.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line)[1:9] { // user nice system idle iowait irq softirq steal
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		if i != 3 && i != 4 {
			busy += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return busy
}

// benchClip is a minute of Full HD: a real one where there is a folder of real media, else one of test patterns.
func benchClip(b *testing.B) string {
	b.Helper()
	if dir := os.Getenv("CINELOG_TEST_MEDIA"); dir != "" {
		path := filepath.Join(dir, "bbb-1080p25-h264-aac51-62s.mp4")
		if _, err := os.Stat(path); err == nil {
			b.Log("with the real clip of 62 s")
			return path
		}
	}
	b.Log("with a clip of test patterns of 62 s, because CINELOG_TEST_MEDIA names no folder with the real one")
	path := filepath.Join(b.TempDir(), "clip.mp4")
	cmd := exec.CommandContext(b.Context(), "ffmpeg", "-nostdin", "-v", "error",
		"-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=62",
		"-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:sample_rate=48000:duration=62",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("make a clip: %v: %s", err, out)
	}
	return path
}

func throughServer(b *testing.B, binary, clip string, args ...string) (first, wall, cpu time.Duration) {
	b.Helper()
	return throughServerTo(b, func(*benchServer, string) {}, binary, clip, args...)
}

// throughServerTo also has look look at what was made.
func throughServerTo(
	b *testing.B, look func(s *benchServer, id string), binary, clip string, args ...string,
) (first, wall, cpu time.Duration) {
	b.Helper()
	s := startServer(b, binary, args...)
	id := s.create("Big Buck Bunny")
	s.send(id, clip)
	start := time.Now()
	s.until(id, func(v answer) bool { return v.Playable })
	first = time.Since(start)
	s.until(id, func(v answer) bool { return v.Status == "ready" })
	wall = time.Since(start)
	b.Log("what happened:" + s.timeline(b.Context(), id))
	look(s, id)
	return first, wall, s.stop()
}

// throughFFmpeg makes HLS of the same renditions as the plan: one decode, all rungs and the sound in one process that
// has no cage, checks nothing and leaves durability to the kernel.
func throughFFmpeg(b *testing.B, clip string, seconds int) (wall, cpu time.Duration) {
	b.Helper()
	const rate = 25
	plan := domain.PlanTranscode(domain.SourceInfo{Width: 1920, Height: 1080, FrameRate: domain.Rational{Num: rate, Den: 1}, Frames: seconds * rate})
	dir, err := os.MkdirTemp(b.TempDir(), "ffmpeg-") //nolint:usetesting // one for each run
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	var graph, tails, streams strings.Builder
	fmt.Fprintf(&graph, "[0:v:0]split=%d", len(plan.Rungs))
	var maps, rates []string
	for i, r := range plan.Rungs {
		fmt.Fprintf(&graph, "[s%d]", i)
		fmt.Fprintf(&tails, ";[s%d]scale=%d:%d:flags=bicubic,setsar=1,format=yuv420p[v%d]", i, r.Width, r.Height, i)
		fmt.Fprintf(&streams, "v:%d,agroup:sound ", i)
		maps = append(maps, "-map", fmt.Sprintf("[v%d]", i))
		rates = append(rates, fmt.Sprintf("-maxrate:v:%d", i), strconv.Itoa(r.MaxRate), fmt.Sprintf("-bufsize:v:%d", i), strconv.Itoa(2*r.MaxRate))
	}
	gop := strconv.Itoa(plan.GOP)
	args := []string{"-nostdin", "-v", "error", "-t", strconv.Itoa(seconds), "-i", clip, "-filter_complex", graph.String() + tails.String()}
	args = append(append(args, maps...), "-map", "0:a:0", "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-profile:v", "high",
		"-g", gop, "-keyint_min", gop, "-sc_threshold", "0")
	args = append(append(args, rates...), "-c:a", "aac", "-b:a", "128000", "-ac", "2", "-ar", "48000",
		"-f", "hls", "-hls_time", strconv.FormatFloat(plan.FrameRate.Seconds(plan.SegmentFrames), 'f', -1, 64), "-hls_playlist_type", "vod",
		"-hls_segment_type", "fmp4", "-var_stream_map", streams.String()+"a:0,agroup:sound", "-master_pl_name", "master.m3u8",
		"-hls_segment_filename", "rung%v-%03d.m4s", "rung%v.m3u8")
	cmd := exec.CommandContext(b.Context(), "ffmpeg", args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("ffmpeg: %v: %s", err, out)
	}
	return time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// BenchmarkWork measures the CPU time of a video's renditions beside one FFmpeg process for each of them, which decodes the
// source again each time, with the same settings:
//
//	cpu_of_separate          all rungs encoded
//	cpu_of_separate_remuxed  with the source's own pictures as the top rung
//	bytes_of_separate        bytes of all rungs encoded, as a part of those of the processes
//	ssim_lost                how much less SSIM they have on the average, of the first 20 s of the first run
func BenchmarkWork(b *testing.B) {
	path := benchClip(b)
	binary := buildServer(b)
	var encoded, remuxed, bytes []float64
	var lost float64
	for b.Loop() {
		dir := b.TempDir()
		separate, size := separateEncodes(b, path, dir)
		var ours int64
		look := func(s *benchServer, id string) {
			var made struct {
				Renditions []struct {
					Bytes int64 `json:"bytes"`
				} `json:"renditions"`
			}
			if err := s.call(b.Context(), "GET", "/v1/videos/"+id, nil, &made); err != nil {
				b.Fatal(err)
			}
			ours = 0
			for _, r := range made.Renditions {
				ours += r.Bytes
			}
			if len(encoded) == 0 {
				lost = ssimLost(b, path, dir, s.server+"/play/"+id)
			}
		}
		_, _, all := throughServerTo(b, look, binary, path, "--remux", "never", "--ladder", "fixed")
		_, _, less := throughServer(b, binary, path, "--ladder", "fixed")
		encoded = append(encoded, all.Seconds()/separate.Seconds())
		remuxed = append(remuxed, less.Seconds()/separate.Seconds())
		bytes = append(bytes, float64(ours)/float64(size))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(lost, "ssim_lost")
	reportMedian(b, encoded, "cpu_of_separate")
	reportMedian(b, remuxed, "cpu_of_separate_remuxed")
	reportMedian(b, bytes, "bytes_of_separate")
}

// ssimLost is how much more SSIM the files of a folder have beside the source than the renditions of the same names that a
// server plays.
func ssimLost(b *testing.B, source, dir, play string) float64 {
	b.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*p.mp4"))
	if err != nil || len(files) == 0 {
		b.Fatalf("nothing to compare: %v", err)
	}
	lost := 0.0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".mp4")
		lost += ssimBeside(b, file, source) - ssimBeside(b, play+"/"+name+".m3u8", source)
	}
	return lost / float64(len(files))
}

var averageSSIM = regexp.MustCompile(`Parsed_ssim.* All:([0-9.]+)`)

func ssimBeside(b *testing.B, made, source string) float64 {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), "ffmpeg", "-nostdin", "-hide_banner", "-t", "20", "-i", made, "-t", "20", "-i", source, "-filter_complex",
		"[1:v][0:v]scale2ref=flags=bicubic[s][m];[s]setsar=1,settb=1/25,setpts=N[a];[m]setsar=1,settb=1/25,setpts=N[b];[a][b]ssim=shortest=1", "-f", "null", "-").CombinedOutput()
	found := averageSSIM.FindSubmatch(out)
	if err != nil || found == nil {
		b.Fatalf("SSIM of %s: %v: %s", made, err, out)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return value
}

// separateEncodes makes each rung and the sound with a process of its own, and returns their CPU time and the bytes of the
// rungs.
func separateEncodes(b *testing.B, path, dir string) (cpu time.Duration, bytes int64) {
	b.Helper()
	plan := domain.PlanTranscode(domain.SourceInfo{Width: 1920, Height: 1080, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 500})
	run := func(args ...string) {
		cmd := exec.CommandContext(b.Context(), "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y", "-i", path}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("ffmpeg: %v: %s", err, out)
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	gop := strconv.Itoa(plan.GOP)
	for _, r := range plan.Rungs {
		run("-an", "-vf", fmt.Sprintf("scale=%d:%d:flags=bicubic,setsar=1,format=yuv420p", r.Width, r.Height),
			"-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-profile:v", "high", "-g", gop, "-keyint_min", gop, "-sc_threshold", "0",
			"-maxrate", strconv.Itoa(r.MaxRate), "-bufsize", strconv.Itoa(2*r.MaxRate), filepath.Join(dir, r.Name+".mp4"))
		info, err := os.Stat(filepath.Join(dir, r.Name+".mp4"))
		if err != nil {
			b.Fatal(err)
		}
		bytes += info.Size()
	}
	run("-vn", "-c:a", "aac", "-b:a", "128000", "-ac", "2", "-ar", "48000", filepath.Join(dir, "sound.mp4"))
	return cpu, bytes
}
