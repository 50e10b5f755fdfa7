package ffmpeg_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
)

// A flash and a beep that come together in the source must come together in what players get, in every container: also
// where the container starts late.
func TestSoundAndPictureStayTogether(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for _, name := range []string{"a.mp4", "a.mkv", "a.ts"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir() + "/" + name
			runFFmpeg(t, "-v", "error", "-f", "lavfi", "-i", "color=black:s=320x180:r=25:d=6,drawbox=c=white:t=fill:enable='between(n,50,54)'",
				"-f", "lavfi", "-i", "aevalsrc='if(between(t,2,2.2),sin(2*PI*1000*t),0)':s=44100:d=6", "-c:v", "libx264", "-c:a", "aac", path)
			info, err := e.Inspect(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			plan := smallPlan(info)
			r := encodeAll(t, e, path, info, plan)
			if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: plan}, r); err != nil {
				t.Fatal(err)
			}
			flash := first(t, "lavfi.signalstats.YAVG=", func(v float64) bool { return v > 100 },
				runFFmpeg(t, "-v", "error", "-i", r.file(t, "180p"), "-vf", "setpts=N/25/TB,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-", "-f", "null", "-"))
			beep := first(t, "lavfi.astats.Overall.RMS_level=", func(v float64) bool { return v > -30 },
				runFFmpeg(t, "-v", "error", "-i", r.file(t, "audio"), "-af",
					"asetnsamples=240,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file=-", "-f", "null", "-"))
			if math.Abs(flash-beep) > 0.03 || math.Abs(flash-2) > 0.05 {
				t.Errorf("the flash is at %.3f s, the beep at %.3f s", flash, beep)
			}
		})
	}
}

// first reads what FFmpeg's metadata filter prints and gives the time of the first value that is wanted.
func first(t *testing.T, key string, wanted func(float64) bool, lines []string) float64 {
	t.Helper()
	at := math.NaN()
	for _, l := range lines {
		if _, s, ok := strings.Cut(l, "pts_time:"); ok {
			at, _ = strconv.ParseFloat(strings.TrimSpace(s), 64)
		}
		if s, ok := strings.CutPrefix(l, key); ok {
			if v, err := strconv.ParseFloat(s, 64); err == nil && wanted(v) {
				return at
			}
		}
	}
	t.Fatalf("no %s is as wanted in %d lines", key, len(lines))
	return 0
}
