package ffmpeg_test

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// A flash and a beep that come together in the source, or apart, must come so in what players get, in every container,
// encoded and remuxed: also where the container starts late, one track starts after the other, or an edit list cuts.
func TestSoundAndPictureStayTogether(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	const picture, sound = "color=black:s=320x180:r=25:d=9,drawbox=c=white:t=fill:enable='between(n,50,54)'",
		"aevalsrc='if(between(t,2,2.2),sin(2*PI*1000*t),0)':s=44100:d=9"
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-g", "50", "-c:a", "aac"}
	for name, c := range map[string]struct {
		file        string
		before      []string // the picture
		between     []string // picture and sound
		then        []string // copied with these arguments
		flash, beep float64
		remux       bool
	}{
		"mp4":                   {"a.mp4", nil, nil, nil, 2, 2, true},
		"mov":                   {"a.mov", nil, nil, nil, 2, 2, true},
		"mkv":                   {"a.mkv", nil, nil, nil, 2, 2, true},
		"ts":                    {"a.ts", nil, nil, nil, 2, 2, true},
		"flv":                   {"a.flv", nil, nil, nil, 2, 2, true},
		"late sound":            {"a.mp4", nil, []string{"-itsoffset", "0.5"}, nil, 2, 2.5, true},
		"late sound, mkv":       {"a.mkv", nil, []string{"-itsoffset", "0.5"}, nil, 2, 2.5, true},
		"late sound, ts":        {"a.ts", nil, []string{"-itsoffset", "0.5"}, nil, 2, 2.5, true},
		"late picture, ts":      {"a.ts", []string{"-itsoffset", "0.4"}, nil, nil, 2.4, 2, true},
		"late picture, flv":     {"a.flv", []string{"-itsoffset", "0.4"}, nil, nil, 2.4, 2, true},
		"late picture":          {"a.mp4", []string{"-itsoffset", "0.4"}, nil, nil, 2.4, 2, true},
		"a late picture in mkv": {"a.mkv", []string{"-itsoffset", "0.4"}, nil, nil, 2.4, 2, true},
		"fragmented":            {"a.mp4", nil, nil, []string{"-movflags", "+frag_keyframe+empty_moov"}, 2.08, 2.08, true},
		"no edit list":          {"a.mp4", nil, nil, []string{"-use_editlist", "0"}, 2.08, 2.08, true},
		"a gap in the sound":    {"a.mkv", nil, nil, []string{"-bsf:a", "noise=drop=between(n\\,40\\,42)"}, 2, 2, true},
		"cut by an edit list":   {"a.mp4", nil, nil, []string{"-ss", "1"}, 1, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), c.file)
			args := slices.Concat([]string{"-v", "error"}, c.before, []string{"-f", "lavfi", "-i", picture}, c.between, []string{"-f", "lavfi", "-i", sound}, x264)
			runFFmpeg(t, append(args, path)...)
			if c.then != nil {
				whole := path
				path = filepath.Join(t.TempDir(), c.file)
				if c.then[0] == "-ss" {
					runFFmpeg(t, slices.Concat([]string{"-v", "error"}, c.then, []string{"-i", whole, "-c", "copy", path})...)
				} else {
					runFFmpeg(t, slices.Concat([]string{"-v", "error", "-i", whole, "-c", "copy"}, c.then, []string{path})...)
				}
			}
			info, err := e.Inspect(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			plan := domain.PlanTranscode(info)
			if got := plan.Remuxed() != nil; got != c.remux {
				t.Errorf("it is remuxed: %t: %+v", got, info.Remux)
			}
			r := newRecorder()
			if plan.Remuxed() != nil {
				r = remuxed(t, e, path, info, plan)
			}
			if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: plan}, r); err != nil {
				t.Fatal(err)
			}
			beep := beepAt(t, r.file(t, "audio"))
			check := func(what, path string) {
				flash := flashAt(t, path)
				if math.Abs(flash-beep-(c.flash-c.beep)) > 0.04 || math.Abs(flash-c.flash) > 0.06 {
					t.Errorf("in %s the flash is at %.3f s, the beep at %.3f s, not at %.3f and %.3f", what, flash, beep, c.flash, c.beep)
				}
			}
			if plan.Remuxed() != nil {
				check("the source's own pictures", r.file(t, domain.RemuxName))
			}
			check("the encode", encodeAll(t, e, path, info, smallPlan(info)).file(t, "180p"))
		})
	}
}

// flashAt looks for the flash, from the first picture on, which is at 0. (FFmpeg counts from later where composition offsets
// are negative; players do not.)
func flashAt(t *testing.T, path string) float64 {
	t.Helper()
	return first(t, "lavfi.signalstats.YAVG=", func(v float64) bool { return v > 100 },
		runFFmpeg(t, "-v", "error", "-i", path, "-vf", "setpts=PTS-STARTPTS,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-", "-f", "null", "-"))
}

// beepAt looks for the beep.
func beepAt(t *testing.T, path string) float64 {
	t.Helper()
	return first(t, "lavfi.astats.Overall.RMS_level=", func(v float64) bool { return v > -30 },
		runFFmpeg(t, "-v", "error", "-i", path, "-af",
			"asetnsamples=240,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file=-", "-f", "null", "-"))
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
