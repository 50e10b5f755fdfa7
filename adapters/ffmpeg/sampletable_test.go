package ffmpeg_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
)

// The table must say to the microsecond what the packets say, where it is taken at all.
func TestTheSampleTableSaysWhatThePacketsSay(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	same := func(t *testing.T, path string, must, refused bool) {
		t.Helper()
		difference, ok, err := e.Timings(t.Context(), path)
		switch {
		case err != nil && refused:
			t.Logf("it is refused before: %v", err)
		case err != nil:
			t.Error(err)
		case !ok && must:
			t.Error("the table was not taken")
		case !ok:
			t.Log("left to the packets")
		case difference != "":
			t.Errorf("-packets +table:\n%.1500s", difference)
		}
	}
	x264 := []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-c:a", "aac"}
	for name, path := range map[string]string{
		"b-frames":   clip(t, "a.mp4", "testsrc2=s=320x180:r=30000/1001:d=10", append(x264, "-bf", "3", "-g", "45")...),
		"quicktime":  clip(t, "b.mov", "testsrc2=s=320x180:r=25:d=9", append(x264, "-bf", "2")...),
		"fast start": clip(t, "c.mp4", "testsrc2=s=320x180:r=24:d=9", append(x264, "-movflags", "+faststart")...),
		"variable":   clip(t, "d.mp4", "testsrc2=s=320x180:r=30:d=10,select=not(mod(n\\,7))", append(x264, "-vsync", "vfr")...),
		"all intra":  clip(t, "e.mov", "testsrc2=s=320x180:r=25:d=3", "-c:v", "prores", "-c:a", "pcm_s16le"),
		"late":       clip(t, "f.mp4", "testsrc2=s=320x180:r=25:d=9,setpts=PTS+1.5/TB", append(x264, "-bf", "2")...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, path, true, false)
		})
	}
	t.Run("fragmented", func(t *testing.T) {
		t.Parallel()
		same(t, clip(t, "g.mp4", "testsrc2=s=320x180:r=25:d=5", append(x264, "-movflags", "+frag_keyframe+empty_moov")...), false, false)
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		for _, f := range shortFiles(t) {
			t.Run(filepath.Base(f.path), func(t *testing.T) { same(t, f.path, false, f.expectation != "accept") })
		}
	})
}

// To send FFmpeg earlier than it needs costs the decoding of what is before.
func TestFFmpegIsSentEarlierWhereNoEditListHelpsIt(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for name, c := range map[string]struct {
		before, after []string
		want          float64
	}{
		"an edit list":                   {want: 0},
		"one with an empty edit as well": {before: []string{"-itsoffset", "0.4"}, want: 0},
		"none":                           {after: []string{"-use_editlist", "0"}, want: 0.08},
		"none, nothing reordered":        {after: []string{"-use_editlist", "0", "-bf", "0"}, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.mp4")
			runFFmpeg(t, slices.Concat([]string{"-v", "error"}, c.before, []string{
				"-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac", "-vsync", "vfr",
			}, c.after, []string{path})...)
			if got, err := e.Lead(t.Context(), path); err != nil || math.Abs(got-c.want) > 1e-6 {
				t.Errorf("%.3f s earlier, %v, want %.3f", got, err, c.want)
			}
		})
	}
}
