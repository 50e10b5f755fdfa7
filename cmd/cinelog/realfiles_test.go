package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// realFile is a line of the manifest of the real files, with what the server must make of the file.
type realFile struct {
	name, expectation string
	size              int64
	seconds           float64 // 0 when the manifest does not know
	width, height     int     // as displayed; 0 when the manifest does not know
	rotated           bool
	codes             []domain.FailureCode // the right ones for a file to be refused
}

// trueSeconds are the lengths that the packets have where the header, and so the manifest, tells another.
var trueSeconds = map[string]float64{
	"ax-sample_fragmented.mp4":                                1.068,
	"ax-bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4": 4,
	"ax-iibbibb_editlist_videoonly.mp4":                       12, // at one frame a second, half of which is cut off
	"bad-truncated-moov-first.mp4":                            3.95,
	"moviepy-no_duration.webm":                                4.9,
	"mp4ff-v300_multiple_segments.mp4":                        8,
}

var refusals = map[string][]domain.FailureCode{
	"bad-truncated-moov-at-end.mp4":  {domain.Malformed},
	"bad-init_truncated.mp4":         {domain.Malformed},
	"bad-encrypted-cenc.mp4":         {domain.Encrypted},
	"bad-encrypted-widevine.mp4":     {domain.Encrypted},
	"bad-audio-only.mp4":             {domain.NoVideoTrack},
	"bad-audio-only-2tracks.mp4":     {domain.NoVideoTrack},
	"bad-malformed-free-box.mp4":     {domain.Malformed},
	"bad-moof-without-moov.mp4":      {domain.Malformed},
	"bad-vp9-invalid-bitstream.webm": {domain.Malformed},
	"bad-empty.webm":                 {domain.NotAVideo},
	"bad-playlist-disguised.mp4":     {domain.NotAVideo},
	"bad-text.mp4":                   {domain.NotAVideo},
	"bad-image-heic.mp4":             {domain.NotAVideo},
	// Files that may be accepted or refused; if refused, then so.
	"bad-truncated-moov-first.mp4":    {domain.Malformed},
	"bad-vvc.mp4":                     {domain.UnsupportedCodec},
	"ax-8k24fps_300ms.mp4":            {domain.ResolutionTooHigh},
	"ax-sample_missing_stsd.mp4":      {domain.Malformed},
	"ax-sample_with_invalid_nalu.mp4": {domain.Malformed},
	"-video-with-dash-.mp4":           {domain.Malformed, domain.UnsupportedCodec},
}

func realFiles(t *testing.T) (dir string, files []realFile) {
	t.Helper()
	dir = os.Getenv("CINELOG_TEST_MEDIA")
	if dir == "" {
		t.Skip("CINELOG_TEST_MEDIA is not set: no real files to test with")
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(manifest), "\n"), "\n")
	columns := strings.Split(lines[0], "\t")
	for _, line := range lines[1:] {
		cells := map[string]string{}
		for i, cell := range strings.Split(line, "\t") {
			cells[columns[i]] = cell
		}
		f := realFile{name: cells["name"], expectation: cells["expectation"], codes: refusals[cells["name"]]}
		if f.size, err = strconv.ParseInt(cells["size"], 10, 64); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		f.seconds, _ = strconv.ParseFloat(cells["duration_s"], 64)
		f.seconds = cmp.Or(trueSeconds[f.name], f.seconds)
		f.width, f.height, f.rotated = displayed(cells["video"])
		files = append(files, f)
	}
	return dir, files
}

// displayed reads the size on the screen from a description such as "h264/High 1280x720 yuv420p SAR2:1 rot=90; ...".
func displayed(video string) (width, height int, rotated bool) {
	video, _, _ = strings.Cut(video, ";") // the first track
	number := func(s string) float64 { v, _ := strconv.ParseFloat(s, 64); return v }
	size := regexp.MustCompile(` (\d+)x(\d+) `).FindStringSubmatch(video + " ")
	if size == nil {
		return 0, 0, false
	}
	w, h := number(size[1]), number(size[2])
	if aspect := regexp.MustCompile(`SAR(\d+):(\d+)`).FindStringSubmatch(video); aspect != nil {
		if r := number(aspect[1]) / number(aspect[2]); r > 1 {
			w *= r
		} else {
			h /= r
		}
	}
	if rotation := regexp.MustCompile(`rot=(-?\d+)`).FindStringSubmatch(video); rotation != nil {
		rotated = true
		if int(number(rotation[1]))%180 != 0 {
			w, h = h, w
		}
	}
	return int(math.Round(w)), int(math.Round(h)), rotated
}

// mostSeconds is how long a file may play to be in the short run, and mostPixels how many pixels times seconds it may have, since
// a second of 1080p takes about as many seconds of a CPU as there are rungs. adapters/ffmpeg tests the others, too.
const (
	mostSeconds = 15
	mostPixels  = 8e6
)

// TestRealFiles sends files from phones, browsers, cameras, editors and vandals through a whole server. It is not
// parallel, because it looks at all processes below this one.
func TestRealFiles(t *testing.T) {
	media, files := realFiles(t)
	if os.Getenv("CINELOG_LONG") == "" {
		var left []string
		files = slices.DeleteFunc(files, func(f realFile) bool {
			long := f.seconds > mostSeconds || f.seconds*float64(f.width*f.height) > mostPixels
			if long {
				left = append(left, f.name)
			}
			return long
		})
		t.Logf("left out, because they take long (CINELOG_LONG=1 takes them too): %s", strings.Join(left, ", "))
	}
	adoptOrphans(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	watched := newCanaries(t)
	watched.add(filepath.Join(dir, "canary.txt"))
	a := serveForTest(t, data)
	cl := &realClient{t: t, client: &client{server: a.url()}, secrets: []string{watched.secret, dir}}

	// What is to be refused comes first and alone, so that nothing but the file itself takes time.
	slices.SortStableFunc(files, func(x, y realFile) int {
		return strings.Compare(y.expectation, x.expectation) // refuse, either, accept
	})
	ids := map[string]string{}
	for _, f := range files {
		id := cl.create(f.name)
		ids[f.name] = id
		for _, name := range []string{"1080p.m3u8", "720p.m3u8", "480p.m3u8"} { // what the disguised playlist names
			watched.add(filepath.Join(data, "blobs", "sources", id, name))
		}
		cl.upload(id, filepath.Join(media, f.name))
		if f.expectation == "refuse" {
			eventually(t, time.Minute, func() string { return cl.pending(id) })
		}
	}
	for _, f := range files {
		asLongAsItMoves(t, data, 5*time.Minute, func() string { return cl.pending(ids[f.name]) })
		for _, wrong := range cl.judge(f, ids[f.name], filepath.Join(media, f.name)) {
			t.Errorf("%s: %s", f.name, wrong)
		}
	}

	if names := watched.opened(); len(names) > 0 {
		t.Errorf("opened: %s", strings.Join(names, ", "))
	}
	watched.remove()
	cl.aliveAndClean(t, data, watched)
}

// judge compares a video that is ready or failed with what its file is.
func (cl *realClient) judge(f realFile, id, file string) (wrong []string) {
	cl.t.Helper()
	v := cl.video(id)
	cl.get("/v1/videos/" + id + "/status")
	cl.get("/v1/videos/" + id + "/events")
	differs := func(what string, expected, got any) {
		wrong = append(wrong, fmt.Sprintf("%s: expected %v, got %v", what, expected, got))
	}
	if v.Status == "failed" {
		if f.expectation == "accept" {
			differs("status", "ready", *v.Error)
		} else if !slices.Contains(f.codes, domain.FailureCode(v.Error.Code)) {
			differs("code", f.codes, *v.Error)
		}
		return wrong
	}
	if f.expectation == "refuse" {
		differs("status", f.codes, v.Status)
		return wrong
	}
	if f.seconds > 0 && math.Abs(v.Duration-f.seconds) > max(0.25, 0.02*f.seconds) {
		differs("duration", f.seconds, v.Duration)
	}
	if f.width > 0 && (v.Source.Width != f.width || v.Source.Height != f.height) {
		differs("size", fmt.Sprintf("%dx%d", f.width, f.height), fmt.Sprintf("%dx%d", v.Source.Width, v.Source.Height))
	}
	for _, r := range v.Renditions {
		source, made := float64(v.Source.Width)/float64(v.Source.Height), float64(r.Width)/float64(r.Height)
		if two := 2.5 / float64(min(r.Width, r.Height)); math.Abs(made/source-1) > two { // sizes are even
			differs("aspect of "+r.Name, source, made)
		}
	}
	wrong = append(wrong, cl.playable(v)...)
	if f.rotated {
		turned, err := turnedBy(cl.t.Context(), file, cl.server+v.Playback.HLS)
		if err != nil || turned != 0 {
			differs("orientation", 0, fmt.Sprintf("turned by %d, %v", turned, err))
		}
	}
	return wrong
}

// turnedBy says by how many quarters (clockwise) the first picture of a rendition looks turned against the first
// picture of its source, which FFmpeg turns by itself.
func turnedBy(ctx context.Context, source, rendition string) (quarters int, err error) {
	const side = 32
	first := func(input string) ([]float64, error) {
		out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-i", input, "-map", "0:v:0", "-frames:v", "1",
			"-vf", fmt.Sprintf("scale=%d:%d:flags=area,format=gray", side, side), "-f", "rawvideo", "-").Output()
		if err != nil || len(out) != side*side {
			return nil, fmt.Errorf("the first picture of %s: %d bytes: %w", input, len(out), err)
		}
		gray := make([]float64, len(out))
		for i, b := range out {
			gray[i] = float64(b)
		}
		return gray, nil
	}
	want, err := first("file:" + source)
	if err != nil {
		return 0, err
	}
	got, err := first(rendition)
	if err != nil {
		return 0, err
	}
	best := -2.0
	for q := range 4 {
		if c := correlation(want, got); c > best {
			best, quarters = c, q
		}
		turned := make([]float64, len(want))
		for y := range side {
			for x := range side {
				turned[x*side+side-1-y] = want[y*side+x]
			}
		}
		want = turned
	}
	if best < 0.7 {
		return quarters, fmt.Errorf("the pictures are not alike, however turned (%.2f)", best)
	}
	return quarters, nil
}

// correlation is Pearson's.
func correlation(a, b []float64) float64 {
	var sumA, sumB, ab, aa, bb float64
	for i := range a {
		sumA, sumB = sumA+a[i], sumB+b[i]
	}
	meanA, meanB := sumA/float64(len(a)), sumB/float64(len(b))
	for i := range a {
		x, y := a[i]-meanA, b[i]-meanB
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(max(aa*bb, 1e-9))
}
