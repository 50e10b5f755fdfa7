package ffmpeg_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// remuxed runs the remux and checks what must hold for any source: segments at the plan's starts, each from a keyframe
// on, joined without a gap, together as long as the plan.
func remuxed(t *testing.T, e *ffmpeg.Encoder, path string, s domain.SourceInfo, p domain.Plan) *recorder {
	t.Helper()
	r := newRecorder()
	if err := e.Remux(t.Context(), commands.RemuxJob{Path: path, Source: s, Plan: p}, r); err != nil {
		t.Fatal(err)
	}
	segments := r.segments[domain.RemuxName]
	if len(segments) != len(p.Starts) || !segments[len(segments)-1].Last {
		t.Fatalf("%d segments, the plan has %d", len(segments), len(p.Starts))
	}
	file, err := mp4.DecodeFile(bytes.NewReader(r.inits[domain.RemuxName]))
	if err != nil {
		t.Fatal(err)
	}
	scale := float64(file.Init.Moov.Trak.Mdia.Mdhd.Timescale)
	frame := 1 / p.FrameRate.Float()
	var next uint64
	for i, s := range segments {
		f, err := mp4.DecodeFile(bytes.NewReader(s.Data))
		if err != nil {
			t.Fatal(err)
		}
		var ticks uint64
		for j, fragment := range f.Segments[0].Fragments {
			if at := fragment.Moof.Traf.Tfdt.BaseMediaDecodeTime(); at != next {
				t.Fatalf("segment %d, fragment %d is decoded at %d, not %d", i, j, at, next)
			}
			samples, err := fragment.GetFullSamples(nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, sample := range samples {
				if idr := avc.IsIDRSample(sample.Data); sample.IsSync() != (k == 0) || idr != (k == 0) {
					t.Errorf("segment %d, fragment %d, sample %d: sync %t, of an IDR picture %t", i, j, k, sample.IsSync(), idr)
				}
			}
			if begins := float64(int64(samples[0].DecodeTime)+int64(samples[0].CompositionTimeOffset)) / scale; j == 0 &&
				math.Abs(begins-p.FrameRate.Seconds(p.Starts[i])) > frame {
				t.Errorf("segment %d is shown from %.3f on, the plan says %.3f", i, begins, p.FrameRate.Seconds(p.Starts[i]))
			}
			for _, sample := range samples {
				next += uint64(sample.Dur)
				ticks += uint64(sample.Dur)
			}
		}
		if got := float64(ticks) / scale; math.Abs(got-s.Duration) > 1e-6 {
			t.Errorf("segment %d lasts %.6f s and says %.6f", i, got, s.Duration)
		}
	}
	if got, want := float64(next)/scale, p.FrameRate.Seconds(p.Frames); math.Abs(got-want) > frame/2 {
		t.Errorf("together they last %.3f s, not %.3f", got, want)
	}
	return r
}

func TestRemuxServesTheSourcesOwnPictures(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	x264 := []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-c:a", "aac"}
	for name, path := range map[string]string{
		"b-frames":           clip(t, "a.mp4", "testsrc2=s=320x180:r=30000/1001:d=10", append(x264, "-bf", "3", "-g", "45")...),
		"matroska":           clip(t, "b.mkv", "testsrc2=s=320x180:r=25:d=9.4", append(x264, "-bf", "2", "-g", "50")...),
		"transport":          clip(t, "c.ts", "testsrc2=s=320x180:r=25:d=9", append(x264, "-bf", "2", "-g", "50")...),
		"long sound":         clip(t, "d.mp4", "testsrc2=s=320x180:r=25:d=8.6", append(x264, "-g", "50")...),
		"variable":           clip(t, "e.mp4", "testsrc2=s=320x180:r=30:d=10,select=not(mod(n\\,7))+not(mod(n\\,3))*lt(n\\,150)", append(x264, "-vsync", "vfr", "-g", "20")...),
		"all keyframes":      clip(t, "g.mp4", "testsrc2=s=320x180:r=25:d=9", append(x264, "-g", "1")...),
		"a picture a second": clip(t, "h.mp4", "testsrc2=s=320x180:r=1:d=20", append(x264, "-g", "1", "-t", "20")...),
		"open GOPs":          clip(t, "i.mp4", "testsrc2=s=320x180:r=25:d=9", append(x264, "-bf", "3", "-x264-params", "open-gop=1:b-adapt=0:scenecut=0:keyint=50:min-keyint=50")...),
		"constrained":        clip(t, "f.mp4", "testsrc2=s=320x180:r=25:d=9", append(x264, "-profile:v", "baseline", "-g", "10")...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := e.Inspect(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			p := domain.PlanTranscode(s)
			if p.Remuxed() == nil {
				t.Fatalf("it is not remuxed: %+v", s)
			}
			p.Rungs = []domain.Rung{p.Rungs[0], {Name: "90p", Width: 160, Height: 90, MaxRate: 300_000}}
			r := remuxed(t, e, path, s, p)
			encoded := encodeAll(t, e, path, s, p)
			for i, segment := range encoded.segments["90p"] {
				if off := math.Abs(segment.Duration - r.segments[domain.RemuxName][i].Duration); off > 1/p.FrameRate.Float() {
					t.Errorf("segment %d of the encode and of the source differ by %.3f s", i, off)
				}
			}
		})
	}
}

func TestWhatBrowsersDoNotPlayIsNotRemuxed(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	const source = "testsrc2=s=320x180:r=25:d=9"
	for name, path := range map[string]string{
		"10 bits":      clip(t, "a.mp4", source, "-c:v", "libx264", "-pix_fmt", "yuv420p10le"),
		"4:4:4":        clip(t, "b.mp4", source, "-c:v", "libx264", "-pix_fmt", "yuv444p"),
		"HEVC":         clip(t, "c.mp4", source, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
		"no square":    clip(t, "d.mp4", source+",setsar=2", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
		"pixels 1:9":   clip(t, "h.mp4", source+",setsar=1/9", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
		"interlaced":   clip(t, "e.mp4", source, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme", "-top", "1"),
		"120 a second": clip(t, "f.mp4", "testsrc2=s=320x180:r=120:d=9", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
		"open GOPs":    clip(t, "g.mp4", source, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "50", "-x264-params", "open-gop=1:b-adapt=0:scenecut=0:min-keyint=50"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := e.Inspect(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case name == "open GOPs":
				if s.Remux == nil || len(s.Remux.Joints) != 1 {
					t.Errorf("joints: %+v", s.Remux)
				}
			case s.Remux != nil:
				t.Errorf("it would be remuxed: %+v", s)
			}
		})
	}
}

// What begins at a picture that is no IDR picture players cannot seek to, and what may be coded as fields is not progressive,
// whatever FFmpeg says of both.
func TestRemuxRefusesWhatOnlySeemsToBeFit(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	const source = "testsrc2=s=320x180:r=25:d=9"
	x264 := []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-bf", "3", "-x264-params"}
	for reason, path := range map[string]string{
		"no IDR picture": clip(t, "a.mp4", source, append(x264, "open-gop=1:b-adapt=0:scenecut=0:keyint=25:min-keyint=25")...),
		"interlaced":     clip(t, "b.mp4", source, append(x264, "fake-interlaced=1")...),
	} {
		s, err := e.Inspect(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		err = e.Remux(t.Context(), commands.RemuxJob{Path: path, Source: s, Plan: domain.PlanTranscode(s)}, newRecorder())
		if refused, ok := errors.AsType[*domain.Failure](err); !ok || !strings.Contains(refused.Detail, reason) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// A file that was cut off after it was looked at, or whose end is noise, is refused and not served.
func TestRemuxRefusesWhatDoesNotKeepItsPromise(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=320x180:r=25:d=10", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "50", "-movflags", "+faststart")
	s, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	noise := bytes.Clone(data)
	for i := len(noise) - 3000; i < len(noise)-200; i += 7 {
		noise[i] ^= 0x5a
	}
	for name, content := range map[string][]byte{"cut off": data[:len(data)*2/3], "noise at the end": noise} {
		broken := filepath.Join(t.TempDir(), "broken.mp4")
		if err := os.WriteFile(broken, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r := newRecorder()
		err := e.Remux(t.Context(), commands.RemuxJob{Path: broken, Source: s, Plan: domain.PlanTranscode(s)}, r)
		if _, refused := errors.AsType[*domain.Failure](err); !refused {
			t.Errorf("%s: %v", name, err)
		}
		for _, segment := range r.segments[domain.RemuxName] {
			if segment.Last {
				t.Errorf("%s: it was handed out to its end", name)
			}
		}
	}
}
