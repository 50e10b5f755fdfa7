package ffmpeg_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/output"
)

// odd is a kind of source that cameras, phones, editors and screens make, and what it must become. Zeros are not looked at.
type odd struct {
	file    string
	args    string // of FFmpeg, from the inputs to the output
	turned  int    // degrees, by which the player is to turn it
	edits   []byte // an edit list, of which FFmpeg writes none
	matrix  []byte // that turns and mirrors the picture, the same
	width   int    // of the top rendition
	height  int
	frames  int
	rate    float64
	seconds float64
	allowed output.Allowed
	look    func(t *testing.T, top string) // at the top rendition
}

const (
	lossy    = " -c:v libx264 -preset ultrafast -qp 8 -bf 2"
	lossless = " -c:v ffv1"
	// morse is sound that is like itself nowhere else.
	morse = " -f lavfi -i aevalsrc=sin(2*PI*600*t)*gt(mod(t*t*3\\,1)\\,0.6):s=48000:d="
)

func moving(width, height, rate int, seconds float64) string {
	if width%2+height%2 == 0 && min(width, height) >= 16 {
		return fmt.Sprintf("-f lavfi -i testsrc2=s=%dx%d:r=%d:d=%g", width, height, rate, seconds)
	}
	// The source itself has even sizes only.
	return fmt.Sprintf("-f lavfi -i testsrc2=s=640x480:r=%d:d=%g,format=yuv444p,scale=%d:%d,setsar=1", rate, seconds, width, height)
}

// hdr gives a picture of an SDR screen the numbers of HDR ones.
func hdr(transfer string) string {
	return moving(320, 180, 25, 0.4) + " -vf scale=out_color_matrix=bt709:out_range=tv,format=yuv444p,zscale=tin=bt709:min=bt709:pin=bt709:rin=tv:t=" + transfer + ":p=bt2020:m=bt2020nc:r=tv:npl=203,format=yuv420p10le" + lossy + " -color_trc " + transfer + " -color_primaries bt2020 -colorspace bt2020nc"
}

// half makes the left half of a picture of a format transparent.
func half(format string) string {
	return moving(320, 180, 25, 0.4) + " -vf format=" + format + ",split[a][b];[b]format=gray,geq=lum='255*gt(X\\,W/2)'[c];[a][c]alphamerge,format=" + format
}

// Sources of every kind become what players play: their pictures, upright, squared, in time, and their sound with them.
func TestOddSources(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for name, c := range map[string]odd{
		"120 a second":       {file: "a.mp4", args: moving(160, 90, 120, 1.5) + lossy, rate: 60, frames: 90, seconds: 1.5},
		"240 a second":       {file: "a.mov", args: moving(160, 90, 240, 1) + lossy, rate: 60, frames: 60, seconds: 1},
		"100 in Matroska":    {file: "a.mkv", args: moving(160, 90, 100, 1) + lossy, rate: 50, frames: 50, seconds: 1},
		"1 a second":         {file: "a.mp4", args: moving(160, 90, 1, 3) + lossy, rate: 1, frames: 3, seconds: 3},
		"4K":                 {file: "a.mp4", args: moving(3840, 2160, 25, 0.12) + lossy, frames: 3, seconds: 0.12},
		"as large as can be": {file: "a.mp4", args: moving(8192, 4320, 25, 0.04) + lossy, frames: 1, seconds: 0.04},

		"4:2:2":           {file: "a.mp4", args: moving(160, 90, 25, 0.4) + lossy + " -pix_fmt yuv422p", frames: 10},
		"4:4:4":           {file: "a.mp4", args: moving(160, 90, 25, 0.4) + lossy + " -pix_fmt yuv444p", frames: 10},
		"10 bits":         {file: "a.mp4", args: moving(160, 90, 25, 0.4) + lossy + " -pix_fmt yuv420p10le", frames: 10},
		"4:2:2, 10 bits":  {file: "a.mov", args: moving(160, 90, 25, 0.4) + " -c:v prores_ks -profile:v 3", frames: 10},
		"12 bits":         {file: "a.mkv", args: moving(160, 90, 25, 0.4) + lossless + " -pix_fmt yuv420p12le", frames: 10},
		"16 bits, 4:4:4":  {file: "a.mkv", args: moving(160, 90, 25, 0.4) + lossless + " -pix_fmt yuv444p16le", frames: 10},
		"gray":            {file: "a.mp4", args: moving(160, 90, 25, 0.4) + lossy + " -pix_fmt gray", frames: 10},
		"RGB":             {file: "a.mov", args: moving(160, 90, 25, 0.4) + " -c:v qtrle -pix_fmt rgb24", frames: 10},
		"full range":      {file: "a.mp4", args: moving(160, 90, 25, 0.4) + " -vf scale=out_range=pc" + lossy + " -pix_fmt yuvj420p", frames: 10},
		"alpha in ProRes": {file: "a.mov", args: half("yuva444p10le") + " -c:v prores_ks -profile:v 4444 -alpha_bits 16", frames: 10, look: leftIsBlack},
		"alpha in RLE":    {file: "a.mov", args: half("argb") + " -c:v qtrle", frames: 10, look: leftIsBlack},
		"PQ":              {file: "a.mp4", args: hdr("smpte2084"), frames: 10, look: asBright, allowed: output.Allowed{Similarity: 0.8}}, // saturated as no camera sees it
		"PQ and no more":  {file: "a.mp4", args: hdr("smpte2084") + " -bsf:v h264_metadata=colour_primaries=2:matrix_coefficients=2", frames: 10, look: asBright, allowed: output.Allowed{Similarity: 0.8}},
		"PQ, full range":  {file: "a.mp4", args: strings.Replace(hdr("smpte2084"), "r=tv:npl", "r=pc:npl", 1) + " -color_range pc", frames: 10, look: asBright, allowed: output.Allowed{Similarity: 0.8}},
		"HLG":             {file: "a.mp4", args: hdr("arib-std-b67"), frames: 10, look: asBright},

		"odd sizes":                 {file: "a.mp4", args: moving(321, 239, 25, 0.4) + lossy + " -pix_fmt yuv444p", width: 322, height: 240, frames: 10},
		"odd and VP9":               {file: "a.webm", args: moving(175, 143, 25, 0.4) + " -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 2M", frames: 10},
		"one pixel":                 {file: "a.mkv", args: moving(1, 1, 25, 0.4) + lossless + " -pix_fmt yuv444p", width: 2, height: 2, frames: 10, allowed: output.Allowed{Tainted: true}},
		"four pixels":               {file: "a.mp4", args: moving(2, 2, 25, 0.4) + lossy, width: 2, height: 2, frames: 10, allowed: output.Allowed{Tainted: true}},
		"3×5":                       {file: "a.mp4", args: moving(3, 5, 25, 0.4) + lossy + " -pix_fmt yuv444p", width: 4, height: 6, frames: 10, allowed: output.Allowed{Tainted: true}},
		"a pole":                    {file: "a.mp4", args: moving(17, 4000, 25, 0.2) + lossy + " -pix_fmt yuv444p", width: 18, height: 4000, frames: 5},
		"a bar":                     {file: "a.mp4", args: moving(4000, 18, 25, 0.2) + lossy + " -pix_fmt yuv444p", width: 4000, height: 18, frames: 5},
		"as wide as can be":         {file: "a.mkv", args: moving(16384, 16, 25, 0.08) + lossless, width: 8192, height: 8, frames: 2, allowed: output.Allowed{Tainted: true}},
		"pixels 4:3":                {file: "a.mp4", args: moving(240, 180, 25, 0.4) + " -vf setsar=4/3" + lossy, width: 320, height: 180, frames: 10},
		"pixels 16:11":              {file: "a.mkv", args: moving(320, 240, 25, 0.4) + " -vf setsar=16/11" + lossy, width: 466, height: 240, frames: 10},
		"pixels 8:9":                {file: "a.mpg", args: moving(360, 240, 25, 0.4) + " -vf setsar=8/9 -c:v mpeg2video -q:v 2", width: 320, height: 240, frames: 10},
		"turned by 90":              {file: "a.mp4", args: moving(320, 180, 25, 0.4) + lossy, turned: 90, width: 180, height: 320, frames: 10},
		"turned by 180":             {file: "a.mov", args: moving(320, 180, 25, 0.4) + lossy, turned: 180, width: 320, height: 180, frames: 10},
		"turned by 270":             {file: "a.mp4", args: moving(320, 180, 25, 0.4) + lossy, turned: 270, width: 180, height: 320, frames: 10},
		"turned by 90, pixels 4:3":  {file: "a.mp4", args: moving(240, 180, 25, 0.4) + " -vf setsar=4/3" + lossy, turned: 90, width: 180, height: 320, frames: 10},
		"turned by 270, pixels 3:4": {file: "a.mov", args: moving(320, 180, 25, 0.4) + " -vf setsar=3/4" + lossy, turned: 270, width: 240, height: 320, frames: 10},

		// The upper left corner is white.
		"mirrored":              {file: "a.mp4", args: corner(""), matrix: matrix(-1, 0, 0, 1), width: 320, height: 180, look: whiteAt(1, 0), allowed: output.Allowed{Tainted: true}},
		"upside down, mirrored": {file: "a.mp4", args: corner(""), matrix: matrix(1, 0, 0, -1), width: 320, height: 180, look: whiteAt(0, 1), allowed: output.Allowed{Tainted: true}},
		"mirrored and turned":   {file: "a.mp4", args: corner(",setsar=4/3"), matrix: matrix(0, -1, -1, 0), width: 180, height: 428, look: whiteAt(1, 1), allowed: output.Allowed{Tainted: true}},
		"turned by 50":          {file: "a.mp4", args: corner(""), matrix: matrix(0.643, 0.766, -0.766, 0.643), width: 180, height: 320, look: whiteAt(1, 0), allowed: output.Allowed{Tainted: true}},

		"top field first":    {file: "a.mp4", args: moving(320, 192, 50, 0.8) + " -vf tinterlace=interleave_top" + lossy + " -flags +ildct+ilme -x264opts tff=1", rate: 25, frames: 20, seconds: 0.8},
		"bottom field first": {file: "a.mp4", args: moving(320, 192, 50, 0.8) + " -vf tinterlace=interleave_bottom" + lossy + " -flags +ildct+ilme -x264opts bff=1", rate: 25, frames: 20, seconds: 0.8},
		"fields in MPEG-2":   {file: "a.ts", args: moving(320, 192, 50, 0.8) + " -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -q:v 2 -flags +ildct+ilme", rate: 25, frames: 20, seconds: 0.8},

		"a long gap":    {file: "a.mp4", args: moving(160, 90, 25, 1) + " -vf setpts='if(lt(N\\,12)\\,N\\,N+100)/25/TB' -vsync vfr" + lossy, rate: 25, seconds: 5},
		"two rates":     {file: "a.mkv", args: moving(160, 90, 30, 3) + " -vf select='gt(t\\,1.5)+not(mod(n\\,3))' -vsync vfr" + lossy, seconds: 3},
		"one picture":   {file: "a.mp4", args: moving(160, 90, 25, 0.04) + lossy, frames: 1, seconds: 0.04},
		"a tenth":       {file: "a.mp4", args: moving(160, 90, 30, 0.1) + morse + "0.1" + lossy + " -c:a aac", frames: 3, seconds: 0.1},
		"a tenth, webm": {file: "a.webm", args: moving(160, 90, 30, 0.1) + morse + "0.1 -c:v libvpx -deadline realtime -b:v 2M -c:a libopus", seconds: 0.1},

		"no sound":        {file: "a.mp4", args: moving(160, 90, 25, 1) + lossy, frames: 25, seconds: 1},
		"mono":            {file: "a.mp4", args: moving(160, 90, 25, 2) + morse + "2" + lossy + " -c:a aac -ac 1", frames: 50, seconds: 2},
		"5.1":             {file: "a.mp4", args: moving(160, 90, 25, 2) + morse + "2" + lossy + " -c:a aac -ac 6", frames: 50, seconds: 2},
		"5.1 in AC-3":     {file: "a.ts", args: moving(160, 90, 25, 2) + morse + "2" + lossy + " -c:a ac3 -ac 6", seconds: 2},
		"7.1":             {file: "a.mkv", args: moving(160, 90, 25, 2) + morse + "2" + lossy + " -c:a flac -ac 8", seconds: 2},
		"8 kHz":           {file: "a.mov", args: moving(160, 90, 25, 2) + morse + "2" + lossy + " -c:a pcm_mulaw -ar 8000 -ac 1", frames: 50, seconds: 2},
		"192 kHz":         {file: "a.mov", args: moving(160, 90, 25, 2) + morse + "2" + lossy + " -c:a pcm_s24le -ar 192000", frames: 50, seconds: 2},
		"short sound":     {file: "a.mp4", args: moving(160, 90, 25, 3) + morse + "1" + lossy + " -c:a aac", frames: 75, seconds: 3},
		"long sound":      {file: "a.mp4", args: moving(160, 90, 25, 1) + morse + "3" + lossy + " -c:a aac", frames: 75, seconds: 3},
		"late sound":      {file: "a.mp4", args: moving(160, 90, 25, 3) + " -itsoffset 1.2" + morse + "1.8" + lossy + " -c:a aac", frames: 75, seconds: 3},
		"cut in between":  {file: "a.mp4", args: moving(160, 90, 25, 6) + lossy + " -g 50", edits: numbers(0, 2, 2500, 1024, 1<<16, 2500, 1024+3*12800, 1<<16), seconds: 5},
		"late sound, mkv": {file: "a.mkv", args: moving(160, 90, 25, 3) + " -itsoffset 1.2" + morse + "1.8" + lossy + " -c:a libopus", frames: 75, seconds: 3},
		// Its last packets claim to be heard 100 minutes later, with nothing before.
		"sound that jumps": {file: "a.mkv", args: moving(160, 90, 25, 2) + morse + "2" + lossy + " -c:a aac -bsf:a setts=ts=if(gt(N\\,70)\\,PTS+1000*6000\\,PTS)", seconds: 2, allowed: output.Allowed{Seconds: 1e6}},
		"a late picture":   {file: "a.mp4", args: "-itsoffset 0.4 " + moving(160, 90, 25, 2) + morse + "2" + lossy + " -c:a aac", seconds: 2.4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), c.file)
			runFFmpeg(t, append(strings.Fields("-v error "+c.args), path)...)
			if c.turned != 0 { // which FFmpeg writes when it copies, only
				straight := path
				path = filepath.Join(t.TempDir(), c.file)
				runFFmpeg(t, "-v", "error", "-i", straight, "-c", "copy", "-metadata:s:v", fmt.Sprintf("rotate=%d", c.turned), path)
			}
			if c.edits != nil {
				cut := inside(t, bytesOf(t, path), "moov/trak/edts/elst", func([]byte) []byte { return c.edits })
				if err := os.WriteFile(path, cut, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.matrix != nil {
				turned := inside(t, bytesOf(t, path), "moov/trak/tkhd", func(b []byte) []byte { return slices.Replace(b, 40, 76, c.matrix...) })
				if err := os.WriteFile(path, turned, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c.check(t, e, path)
		})
	}
}

func (c odd) check(t *testing.T, e *ffmpeg.Encoder, path string) {
	t.Helper()
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := domain.PlanTranscode(info)
	top := plan.Encoded()[0]
	if c.width != 0 && (top.Width != c.width || top.Height != c.height) {
		t.Errorf("the top rendition is %d×%d, not %d×%d", top.Width, top.Height, c.width, c.height)
	}
	if c.frames != 0 && plan.Frames != c.frames {
		t.Errorf("%d frames, not %d", plan.Frames, c.frames)
	}
	if c.rate != 0 && math.Abs(plan.FrameRate.Float()-c.rate) > 0.001 || plan.FrameRate.Float() > 60 {
		t.Errorf("%s frames a second, not %g", plan.FrameRate, c.rate)
	}
	if got := plan.FrameRate.Seconds(plan.Frames); c.seconds != 0 && math.Abs(got-c.seconds) > 0.1 {
		t.Errorf("%.3f s, not %.3f s", got, c.seconds)
	}
	if c.matrix != nil && plan.Remuxed() != nil {
		t.Error("its own pictures would be served")
	}
	made := checked(t, e, path, info, cheaper(plan), c.allowed)
	if c.look != nil && !t.Failed() {
		c.look(t, made)
	}
	if t.Failed() {
		t.Logf("%+v", info)
	}
}

// What is larger than that is refused, however few pictures there are.
func TestLargerThanCanBe(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for _, size := range [][2]int{{8192, 4322}, {16384, 2176}, {20000, 16}} {
		path := filepath.Join(t.TempDir(), "a.mkv")
		runFFmpeg(t, append(strings.Fields("-v error "+moving(size[0], size[1], 25, 0.04)+lossless), path)...)
		_, err := e.Inspect(t.Context(), path)
		if failure, ok := errors.AsType[*domain.Failure](err); !ok || failure.Code != domain.ResolutionTooHigh {
			t.Errorf("%d×%d: %v", size[0], size[1], err)
		}
	}
}

// corner is a black picture whose upper left quarter is white.
func corner(filter string) string {
	return "-f lavfi -i color=black:s=320x180:r=25:d=0.4,drawbox=c=white:t=fill:w=160:h=90" + filter + lossy + " -pix_fmt yuv420p"
}

// matrix is that of a header (ISO/IEC 14496-12, 8.3.2): where it puts what lies to the right, and what lies below.
func matrix(a, b, c, d float64) []byte {
	fixed := func(v float64) uint32 { return uint32(int32(v * 65536)) }
	return numbers(fixed(a), fixed(b), 0, fixed(c), fixed(d), 0, 0, 0, 1<<30)
}

// whiteAt looks for the white quarter: 0 is the left or the upper half.
func whiteAt(x, y int) func(*testing.T, string) {
	return func(t *testing.T, top string) {
		t.Helper()
		for i := range 4 {
			part := fmt.Sprintf("crop=iw/2-8:ih/2-8:%d*(iw/2+8):%d*(ih/2+8)", i%2, i/2)
			if got := luma(t, []string{"-i", top}, part); (got > 128) != (i == 2*y+x) {
				t.Errorf("the quarter at %d, %d has a mean of %.0f", i%2, i/2, got)
			}
		}
	}
}

// luma is the mean of a part of the pictures.
func luma(t *testing.T, input []string, filter string) float64 {
	t.Helper()
	sum, n := 0.0, 0.0
	for _, l := range runFFmpeg(t, slices.Concat([]string{"-v", "error"}, input,
		[]string{"-vf", filter + ",signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-", "-f", "null", "-"})...) {
		var v float64
		if _, err := fmt.Sscanf(l, "lavfi.signalstats.YAVG=%g", &v); err == nil {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		t.Fatal("FFmpeg measured nothing")
	}
	return sum / n
}

// leftIsBlack is for pictures whose left half is transparent.
func leftIsBlack(t *testing.T, top string) {
	t.Helper()
	left, right := luma(t, []string{"-i", top}, "crop=iw/2-8:ih:0:0"), luma(t, []string{"-i", top}, "crop=iw/2-8:ih:iw/2+8:0")
	if left > 18 || right < 60 {
		t.Errorf("the transparent half has a mean of %.0f, the other one of %.0f", left, right)
	}
}

// asBright is for pictures that are HDR by their numbers only: they must look as the ones they were made of.
func asBright(t *testing.T, top string) {
	t.Helper()
	want := luma(t, strings.Fields(moving(320, 180, 25, 0.4)), "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p")
	if got := luma(t, []string{"-i", top}, "null"); math.Abs(got-want) > 0.25*want {
		t.Errorf("the mean luma is %.0f, that of the picture before it was made HDR %.0f", got, want)
	}
}
