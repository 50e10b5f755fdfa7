package ffmpeg_test

import (
	"bytes"
	"image/color"
	"image/jpeg"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
)

func TestAFrameIsTheOneShownThen(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	// Each of the 50 pictures between two keyframes is brighter than the one before.
	path := clip(t, "a.mp4", "nullsrc=s=320x180:r=25:d=4,geq=lum=16+4*mod(N\\,50):cb=128:cr=128",
		"-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "10")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	r := encodeAll(t, e, path, info, smallPlan(info))
	group, err := pieces(r)[1](t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for at, frame := range map[float64]int{0: 0, 0.039: 0, 0.04: 1, 0.5: 12, 1.01: 25, 1.96: 49, 5: 49} {
		data, err := e.Frame(t.Context(), r.inits["180p"], group, at, 160)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if size := picture.Bounds().Size(); size.X != 160 || size.Y != 90 {
			t.Errorf("a picture of %v", size)
		}
		light := int(color.GrayModel.Convert(picture.At(80, 45)).(color.Gray).Y)
		if want := 4 * frame * 255 / 219; light < want-3 || light > want+3 {
			t.Errorf("at %g s: a light of %d, want %d", at, light, want)
		}
	}
	// What is far wider than high is some pixels high all the same.
	plan := smallPlan(info)
	plan.Chunks, plan.Rungs = plan.Chunks[:1], []domain.Rung{{Name: "8p", Width: 2048, Height: 8, MaxRate: 800_000}}
	bar := encodeAll(t, e, path, info, plan)
	if data, err := e.Frame(t.Context(), bar.inits["8p"], bar.segments["8p"][0].Data, 0, 160); err != nil {
		t.Error(err)
	} else if size, err := jpeg.DecodeConfig(bytes.NewReader(data)); err != nil || size.Width != 160 || size.Height != 2 {
		t.Errorf("a picture of %d×%d, %v", size.Width, size.Height, err)
	}
	if _, err := e.Frame(t.Context(), r.inits["180p"], []byte("no fragment"), 0, 160); err == nil {
		t.Error("a picture of what is no fragment")
	}
}
