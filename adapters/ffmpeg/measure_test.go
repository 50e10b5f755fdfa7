package ffmpeg_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// measured inspects and measures a clip as if it were to be encoded, and returns its plans before and after.
func measured(t *testing.T, e *ffmpeg.Encoder, path string) (open, chosen domain.Plan) {
	t.Helper()
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	open = domain.Encoding{Ladder: domain.LadderMeasured, Remux: domain.RemuxNever}.Plan(info)
	if !open.Open {
		t.Fatalf("one rung for %dx%d", info.Width, info.Height)
	}
	c, err := e.Measure(t.Context(), commands.MeasureJob{Path: path, Source: info, Plan: open})
	if err != nil {
		t.Fatal(err)
	}
	chosen = open.Choose(c)
	t.Logf("%+v", c)
	t.Logf("dropped: %+v", chosen.Dropped)
	return open, chosen
}

func rungs(p domain.Plan) (names []string) {
	for _, r := range p.Rungs {
		names = append(names, r.Name)
	}
	return names
}

func TestRungsFollowThePictures(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-g", "30", "-pix_fmt", "yuv420p", "-an"}
	for name, c := range map[string]struct {
		source string
		want   []string
	}{
		"made large from small": {
			"testsrc2=s=640x360:r=15:d=4,gblur=sigma=2,scale=1920:1080:flags=bicubic",
			[]string{"480p"},
		},
		"noise as fine as can be": {
			"testsrc2=s=960x540:r=15:d=4,noise=alls=40:allf=t", []string{"480p", "360p", "240p"},
		},
		"a slide": {
			"color=white:s=1280x720:r=15:d=4,drawgrid=w=160:h=90:t=3", []string{"720p"},
		},
		"portrait": {
			"testsrc2=s=480x852:r=15:d=4,noise=alls=20:allf=t", []string{"480p", "360p", "240p"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, chosen := measured(t, e, clip(t, "a.mp4", c.source, x264...))
			if got := rungs(chosen); !slices.Equal(got, c.want) {
				t.Errorf("rungs %v, want %v", got, c.want)
			}
		})
	}
}

// What is forecast of a rung is about what its encode takes.
func TestForecastsAreNear(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=1280x720:r=15:d=8,gblur=sigma=2", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-g", "30", "-an")
	open, chosen := measured(t, e, path)
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range open.Rungs {
		open.Rungs[i].MaxRate = 50e6
	}
	open.Open = false
	r := encodeAll(t, e, path, info, open)
	for _, f := range chosen.Complexity.Rungs {
		file, err := os.Stat(r.file(t, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		took := float64(8*file.Size()) / info.Duration
		if ratio := float64(f.BitRate) / took; ratio < 0.5 || ratio > 2 {
			t.Errorf("%s: %d kbit/s were forecast, and it took %.0f", f.Name, f.BitRate/1000, took/1000)
		}
	}
}

func TestWhatDoesNotDecodeIsNotMeasured(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=1280x720:r=15:d=20", "-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-an", "-movflags", "+faststart")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := domain.Encoding{Ladder: domain.LadderMeasured, Remux: domain.RemuxNever}.Plan(info)
	file := bytesOf(t, path)
	media := bytes.Index(file, []byte("mdat")) + 4
	for i := range file[media:] {
		file[media+i] = byte(i * 7)
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := e.Measure(t.Context(), commands.MeasureJob{Path: path, Source: info, Plan: plan})
	if err == nil {
		t.Errorf("noise was measured: %+v", c)
	}
	if got := rungs(plan.Choose(c)); len(got) != len(plan.Rungs) {
		t.Errorf("rungs %v", got)
	}
}
