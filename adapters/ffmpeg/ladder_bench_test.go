package ffmpeg_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// content is a piece of a few seconds: of a real file, or made by FFmpeg.
type content struct {
	name, file string
	from, take float64 // seconds
	made       string
}

var contents = []content{
	{name: "animation", file: "bbb-1080p25-h264-aac51-62s.mp4", from: 28, take: 3},
	{name: "animation_720", file: "bbb-720p24-vp8-vorbis-30s.webm", from: 12, take: 3},
	{name: "handheld", file: "ax-720p-rotated-270-5s.mp4", take: 3},
	{name: "graphics", file: "mb-video-h265.mp4", from: 2, take: 3},
	{name: "still_life", file: "mdn-crystal-480p30-h264-aac.mp4", from: 2, take: 3},
	{name: "slides", made: "color=white:s=1280x720:r=15:d=4,drawgrid=w=160:h=48:t=3,drawbox=x=mod(floor(t)\\,2)*300+100:y=200:w=400:h=90:t=fill"},
	{name: "grain", made: "testsrc2=s=1280x720:r=15:d=4,gblur=sigma=3,noise=alls=12:allf=t"},
	{name: "made_large", made: "mandelbrot=s=640x360:r=15:end_scale=0.1,trim=duration=4,noise=alls=8:allf=t,scale=1280:720:flags=bicubic"},
}

// parts of the nominal rates at which the fixed ladder is encoded, to see what it needs for any SSIM up to its own.
var parts = []float64{1, 0.5, 0.25, 0.12, 0.06}

// BenchmarkLadder measures the bytes of our renditions beside those of a fixed ladder: the same rungs, each at its nominal
// rate on the average, by the same encoder with the preset of our profile "fast". docs/benchmarks.md defines the metrics.
func BenchmarkLadder(b *testing.B) {
	e, err := ffmpeg.New(b.Context(), ffmpeg.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		all := map[domain.Profile]*results{domain.Fast: {}, domain.Balanced: {}}
		for _, c := range contents {
			path := c.piece(b)
			if path == "" {
				continue
			}
			fixed := encodeFixed(b, e, path)
			for _, profile := range []domain.Profile{domain.Fast, domain.Balanced} {
				ours := encodeOurs(b, e, path, profile)
				r := compare(ours, fixed)
				b.Logf("%-13s %-8s %-44s fixed %5.0f kB, ours %5.0f kB: %.2f, SSIM %.4f for %.4f; at equal SSIM %.2f of the ladder, %.2f of its rungs each by itself, %.2f in whatever size",
					c.name, profile, ours, fixed[0].total()/1000, ours.total()/1000, r.plain, r.ours, r.fixed, r.equal, r.rungs, r.sizes)
				all[profile].add(r)
			}
		}
		b.ReportMetric(0, "ns/op")
		for profile, r := range all {
			prefix := ""
			if profile != domain.Fast {
				prefix = string(profile) + "_"
			}
			b.ReportMetric(mean(r.equal), prefix+"of_equal_ssim")
			b.ReportMetric(mean(r.rungs), prefix+"of_rungs_at_equal_ssim")
			b.ReportMetric(mean(r.sizes), prefix+"of_sizes_at_equal_ssim")
			b.ReportMetric(mean(r.plain), prefix+"of_fixed")
			b.ReportMetric(mean(r.lost), prefix+"ssim_lost")
		}
	}
}

// results are those of all contents.
type results struct{ equal, rungs, sizes, plain, lost []float64 }

func (rs *results) add(r result) {
	rs.equal, rs.rungs, rs.sizes = append(rs.equal, r.equal), append(rs.rungs, r.rungs), append(rs.sizes, r.sizes)
	rs.plain, rs.lost = append(rs.plain, r.plain), append(rs.lost, r.fixed-r.ours)
}

func mean(xs []float64) (m float64) {
	for _, x := range xs {
		m += x / float64(len(xs))
	}
	return m
}

// piece makes the content as a source of good quality; empty where the real file is not there.
func (c content) piece(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), c.name+".mp4")
	args := []string{"-v", "error", "-y", "-f", "lavfi", "-i", c.made}
	if c.file != "" {
		file := filepath.Join(os.Getenv("CINELOG_TEST_MEDIA"), c.file)
		if _, err := os.Stat(file); err != nil || os.Getenv("CINELOG_TEST_MEDIA") == "" {
			b.Logf("%-12s is left out: CINELOG_TEST_MEDIA names no folder with %s", c.name, c.file)
			return ""
		}
		args = []string{"-v", "error", "-y", "-ss", strconv.FormatFloat(c.from, 'f', -1, 64), "-t", strconv.FormatFloat(c.take, 'f', -1, 64), "-i", file}
	}
	runFFmpeg(b, append(args, "-an", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "2", "-g", "25", "-pix_fmt", "yuv420p", path)...)
	return path
}

// made is a rendition, with its SSIM beside the source in the source's size.
type made struct {
	name    string
	bytes   float64
	ssim    float64
	coarser float64
}

type renditions []made

func (rs renditions) total() (bytes float64) {
	for _, r := range rs {
		bytes += r.bytes
	}
	return bytes
}

func (rs renditions) names() (names []string) {
	for _, r := range rs {
		names = append(names, r.name)
	}
	return names
}

func (rs renditions) String() string {
	var told []string
	for _, r := range rs {
		told = append(told, fmt.Sprintf("%s+%g", r.name, r.coarser))
	}
	return strings.Join(told, " ")
}

// encodeOurs makes what the server makes of a source whose own pictures are not served.
func encodeOurs(b *testing.B, e *ffmpeg.Encoder, path string, profile domain.Profile) renditions {
	b.Helper()
	info, err := e.Inspect(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	plan := domain.Encoding{Ladder: domain.LadderMeasured, Remux: domain.RemuxNever, Profile: profile}.Plan(info)
	if plan.Open {
		c, err := e.Measure(b.Context(), commands.MeasureJob{Path: path, Source: info, Plan: plan})
		if err != nil {
			b.Fatal(err)
		}
		plan = plan.Choose(c)
	}
	plan.Chunks = []domain.Chunk{{Frames: plan.Frames}}
	r := newRecorder()
	if err := e.EncodeChunk(b.Context(), commands.ChunkJob{Path: path, Source: info, Plan: plan}, r); err != nil {
		b.Fatal(err)
	}
	var files []string
	for _, rung := range plan.Rungs {
		data := slices.Clone(r.inits[rung.Name])
		for _, s := range r.segments[rung.Name] {
			data = append(data, s.Data...)
		}
		file := filepath.Join(b.TempDir(), rung.Name+".mp4")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			b.Fatal(err)
		}
		files = append(files, file)
	}
	rs := measureFiles(b, path, info, files)
	for i, rung := range plan.Rungs {
		rs[i].name, rs[i].coarser = rung.Name, rung.Coarser
	}
	return rs
}

// encodeFixed makes every rung of the ladder at all parts of its nominal rate: a ladder for each part.
func encodeFixed(b *testing.B, e *ffmpeg.Encoder, path string) []renditions {
	b.Helper()
	info, err := e.Inspect(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	plan := domain.Encoding{Remux: domain.RemuxNever}.Plan(info)
	all, gop := make([]renditions, len(parts)), strconv.Itoa(plan.GOP)
	for _, r := range plan.Rungs {
		var graph strings.Builder
		fmt.Fprintf(&graph, "fps=%s,scale=%d:%d:flags=bicubic,setsar=1,format=yuv420p,split=%d", plan.FrameRate, r.Width, r.Height, len(parts))
		var args, files []string
		for i, part := range parts {
			rate, file := part*float64(r.MaxRate), filepath.Join(b.TempDir(), r.Name+".mp4")
			fmt.Fprintf(&graph, "[v%d]", i)
			args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high",
				"-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-threads", "1",
				"-b:v", fmt.Sprintf("%.0f", rate), "-maxrate", fmt.Sprintf("%.0f", 1.07*rate), "-bufsize", fmt.Sprintf("%.0f", 1.5*rate),
				"-movflags", "+frag_keyframe+empty_moov+default_base_moof+skip_trailer", file)
			files = append(files, file)
		}
		runFFmpeg(b, append([]string{"-nostdin", "-v", "error", "-y", "-i", path, "-filter_complex", graph.String()}, args...)...)
		for i, m := range measureFiles(b, path, info, files) {
			m.name = r.Name
			all[i] = append(all[i], m)
		}
	}
	return all
}

var allPlanes = regexp.MustCompile(`Parsed_ssim_(\d+) .* All:([0-9.]+)`)

// measureFiles compares each third picture of renditions with their source's in its size, all in one decode of it.
func measureFiles(b *testing.B, source string, info domain.SourceInfo, files []string) renditions {
	b.Helper()
	const third = `setpts=N/(25*TB),select=not(mod(n\,3))`
	args := []string{"-nostdin", "-hide_banner"}
	var graph, tails strings.Builder
	fmt.Fprintf(&graph, "[%d:v]fps=%s,%s,setsar=1,format=yuv420p,split=%d", len(files), info.FrameRate, third, len(files))
	for i, file := range files {
		args = append(args, "-i", file)
		fmt.Fprintf(&graph, "[s%d]", i)
		fmt.Fprintf(&tails, ";[%d:v]%s,scale=%d:%d:flags=bicubic,setsar=1[m%d];[m%d][s%d]ssim=shortest=1[q%d]", i, third, info.Width, info.Height, i, i, i, i)
	}
	args = append(args, "-i", source, "-filter_complex", graph.String()+tails.String())
	for i := range files {
		args = append(args, "-map", fmt.Sprintf("[q%d]", i))
	}
	said := map[int]float64{} // by the place of the filter in the graph
	for _, found := range allPlanes.FindAllStringSubmatch(strings.Join(runFFmpeg(b, append(args, "-f", "null", "-")...), "\n"), -1) {
		at, err := strconv.Atoi(found[1])
		if err != nil {
			b.Fatal(err)
		}
		if said[at], err = strconv.ParseFloat(found[2], 64); err != nil {
			b.Fatal(err)
		}
	}
	places := slices.Sorted(maps.Keys(said))
	if len(places) != len(files) {
		b.Fatalf("the SSIM of %d of %d files", len(places), len(files))
	}
	rs := make(renditions, len(files))
	for i, file := range files {
		stat, err := os.Stat(file)
		if err != nil {
			b.Fatal(err)
		}
		rs[i] = made{bytes: float64(stat.Size()), ssim: said[places[i]]}
	}
	return rs
}

// result of a comparison. Where ours look better than the fixed ladder at its nominal rates, it is compared with these.
type result struct {
	plain       float64 // our bytes as a part of the fixed ladder's
	ours, fixed float64 // SSIM on the average over the rungs of the fixed ladder
	equal       float64 // our bytes as a part of the fixed ladder's, with all its rates lowered alike until it looks as ours do
	rungs       float64 // the same, with the rate of each rung lowered by itself until it looks as what we show in its stead
	sizes       float64 // the same, with what is between its rungs as they are for each of ours
}

func compare(ours renditions, fixed []renditions) (r result) {
	inStead := make(renditions, len(fixed[0]))
	for i, f := range fixed[0] {
		inStead[i] = ours.instead(f.name, fixed[0].names())
	}
	var lowered renditions // the ladder as a whole, at all parts of its rates
	for _, ladder := range fixed {
		lowered = append(lowered, made{bytes: ladder.total(), ssim: ladder.looks()})
	}
	byItself := 0.0
	for i, seen := range inStead {
		var rung renditions
		for _, ladder := range fixed {
			rung = append(rung, ladder[i])
		}
		byItself += rung.bytesFor(seen.ssim)
	}
	asItIs := 0.0
	for _, o := range ours {
		asItIs += fixed[0].bytesFor(o.ssim)
	}
	r.ours, r.fixed, r.plain = inStead.looks(), fixed[0].looks(), ours.total()/fixed[0].total()
	r.equal, r.rungs, r.sizes = ours.total()/lowered.bytesFor(r.ours), ours.total()/byItself, ours.total()/asItIs
	return r
}

// looks is the SSIM on the average.
func (rs renditions) looks() (ssim float64) {
	for _, r := range rs {
		ssim += r.ssim / float64(len(rs))
	}
	return ssim
}

// instead returns what a viewer gets of ours who would get a rung of the fixed ladder: the same one, else the next lower
// one, else the lowest.
func (rs renditions) instead(name string, ladder []string) made {
	for _, lower := range ladder[slices.Index(ladder, name):] {
		if at := slices.Index(rs.names(), lower); at >= 0 {
			return rs[at]
		}
	}
	return rs[len(rs)-1]
}

// bytesFor interpolates the logarithm of the bytes between renditions, of which the heaviest looks best. None is taken to
// need more than the heaviest, or less than the lightest.
func (rs renditions) bytesFor(ssim float64) float64 {
	sorted := slices.Clone(rs)
	slices.SortFunc(sorted, func(a, b made) int { return int(a.bytes - b.bytes) })
	if ssim <= sorted[0].ssim {
		return sorted[0].bytes
	}
	for i := 1; i < len(sorted); i++ {
		if low, high := sorted[i-1], sorted[i]; ssim <= high.ssim {
			part := (ssim - low.ssim) / (high.ssim - low.ssim)
			return low.bytes * math.Pow(high.bytes/low.bytes, part)
		}
	}
	return sorted[len(sorted)-1].bytes
}
