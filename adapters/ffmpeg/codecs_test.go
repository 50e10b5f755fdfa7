package ffmpeg_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
)

// Every codec in every profile joins chunk to chunk as AVC does, looks as the source does, and says what it is.
func TestEveryCodecAndProfileOnTheSameGrid(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=320x180:r=25:d=9.4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "60", "-c:a", "aac")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, codec := range []domain.Codec{domain.AVC, domain.HEVC, domain.AV1} {
		for _, profile := range []domain.Profile{domain.Fast, domain.Balanced, domain.Small} {
			t.Run(fmt.Sprintf("%s %s", codec, profile), func(t *testing.T) {
				t.Parallel()
				source := info
				if codec == domain.AV1 {
					source.Remux = nil
				}
				plan := domain.Encoding{Profile: profile}.Plan(source)
				plan.Rungs = []domain.Rung{{Name: "180p", Codec: codec, Width: 320, Height: 180, MaxRate: 800_000}}
				plan.Chunks = nil
				for at := 0; at < plan.Frames; at = plan.SegmentEnd(at) {
					plan.Chunks = append(plan.Chunks, domain.Chunk{Start: at, Frames: plan.SegmentEnd(at) - at})
				}
				if len(plan.Chunks) < 2 {
					t.Fatalf("too few chunks to show anything: %+v", plan)
				}
				all := encodeAll(t, e, path, info, plan)
				file := all.file(t, "180p")
				checkTimes(t, file, plan)
				for _, s := range all.segments["180p"] {
					checkKeyframes(t, s, plan)
				}
				want := map[domain.Codec]string{domain.AVC: "avc1.6400", domain.HEVC: "hvc1.1.6.L", domain.AV1: "av01.0.00M.08"}[codec]
				if got := all.codecs["180p"]; !strings.HasPrefix(got, want) {
					t.Errorf("codecs %q, want %s…", got, want)
				}
				if s := ssim(t, file, path); s < 0.93 {
					t.Errorf("SSIM to the source is %.4f", s)
				}
				if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", file, "-f", "null", "-").CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
					t.Errorf("it does not decode without an error: %v: %s", err, out)
				}
			})
		}
	}
}

// No picture is too large for what players decode in the profile that takes most of them into account.
func TestTheLargestPicturesAreOfALevelThatPlayersDecode(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mkv", "testsrc2=s=5120x2160:r=25:d=0.04", "-c:v", "mpeg4", "-an")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := domain.Encoding{Profile: domain.Small}.Plan(info)
	plan.Rungs = plan.Rungs[:1]
	if got := encodeAll(t, e, path, info, plan).codecs[plan.Rungs[0].Name]; got != "avc1.640033" && got != "avc1.640034" {
		t.Errorf("%d×%d: %s", plan.Rungs[0].Width, plan.Rungs[0].Height, got)
	}
}

// A rung takes fewer bytes where its plan says coarser, and no more than its cap.
func TestRatesAndQualityAreThoseOfThePlan(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=320x180:r=25:d=4,noise=alls=12:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "10", "-pix_fmt", "yuv420p", "-an")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, codec := range []domain.Codec{domain.AVC, domain.HEVC, domain.AV1} {
		t.Run(string(codec), func(t *testing.T) {
			t.Parallel()
			plan := domain.Encoding{Remux: domain.RemuxNever}.Plan(info)
			plan.Chunks, plan.FirstFrames = []domain.Chunk{{Frames: plan.Frames}}, 0
			plan.Rungs = nil
			for _, r := range []domain.Rung{{Name: "free", MaxRate: 20e6}, {Name: "coarser", MaxRate: 20e6, Coarser: 6}, {Name: "capped", MaxRate: 120_000}} {
				r.Codec, r.Width, r.Height = codec, 320, 180
				plan.Rungs = append(plan.Rungs, r)
			}
			all := encodeAll(t, e, path, info, plan)
			rate := map[string]float64{}
			for name, segments := range all.segments {
				for _, s := range segments {
					rate[name] += float64(8*len(s.Data)) / info.Duration
				}
			}
			t.Logf("%v bit/s", rate)
			if rate["coarser"] > 0.75*rate["free"] || rate["coarser"] < 0.2*rate["free"] {
				t.Errorf("6 steps coarser takes %.0f bit/s instead of %.0f", rate["coarser"], rate["free"])
			}
			if rate["capped"] > 0.65*rate["free"] || rate["capped"] > 1.6*120_000 { // four seconds, of which two are in the buffer
				t.Errorf("capped at 120 kbit/s it takes %.0f bit/s instead of %.0f", rate["capped"], rate["free"])
			}
		})
	}
}
