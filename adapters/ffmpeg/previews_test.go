package ffmpeg_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
)

// pieces are the groups of pictures of the rendition 180p, one for each keyframe.
func pieces(r *recorder) (out []commands.Piece) {
	for _, s := range r.segments["180p"] {
		for i, k := range s.Keyframes {
			end := int64(len(s.Data))
			if i+1 < len(s.Keyframes) {
				end = s.Keyframes[i+1].Offset
			}
			data := s.Data[k.Offset:end]
			out = append(out, func(context.Context) ([]byte, error) { return data, nil })
		}
	}
	return out
}

func TestPreviewsShowTheWholeVideo(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	// Each two seconds are brighter than the ones before.
	path := clip(t, "a.mp4", "nullsrc=s=320x180:r=25:d=26,geq=lum=16+16*floor(T/2):cb=128:cr=128",
		"-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := smallPlan(info)
	r := encodeAll(t, e, path, info, plan)
	tiles := pieces(r)
	if len(tiles) != 13 {
		t.Fatalf("%d pieces of 26 s", len(tiles))
	}
	p, err := e.MakePreviews(t.Context(), commands.PreviewJob{
		Init: r.inits["180p"], FrameRate: plan.FrameRate, Width: 320, Height: 180,
		Tiles: tiles, Moments: []commands.Piece{tiles[1], tiles[3], tiles[5], tiles[7], tiles[9], tiles[11]},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Columns != 10 || p.Rows != 2 || p.TileWidth != 160 || p.TileHeight != 90 {
		t.Errorf("%d×%d tiles of %d×%d", p.Columns, p.Rows, p.TileWidth, p.TileHeight)
	}
	storyboard, err := jpeg.Decode(bytes.NewReader(p.Storyboard))
	if err != nil {
		t.Fatal(err)
	}
	if size := storyboard.Bounds().Size(); size != (image.Point{X: 1600, Y: 180}) {
		t.Errorf("the image has %v", size)
	}
	for i := range tiles {
		at := image.Point{X: i%10*160 + 80, Y: i/10*90 + 45}
		light := int(color.GrayModel.Convert(storyboard.At(at.X, at.Y)).(color.Gray).Y)
		if want := 16 * i * 255 / 219; light < want-6 || light > want+6 {
			t.Errorf("tile %d has a light of %d, want %d", i, light, want)
		}
	}
	width, height, frames, seconds, loops := readWebP(t, p.Moving)
	if width != 320 || height != 180 || p.Width != 320 || p.Height != 180 {
		t.Errorf("the preview has %d×%d", width, height)
	}
	if frames < 6 || seconds < 3 || seconds > 5 || p.Duration < 3 || p.Duration > 5 || loops != 0 {
		t.Errorf("%d frames in %.2f s, shown %d times; said to last %.2f s", frames, seconds, loops, p.Duration)
	}
}

// readWebP reads the chunks of an animated WebP file.
func readWebP(t *testing.T, data []byte) (width, height, frames int, seconds float64, loops int) {
	t.Helper()
	if len(data) < 12 || string(data[:4]) != "RIFF" || string(data[8:12]) != "WEBP" {
		t.Fatalf("not a WebP file: %.12q", data)
	}
	u24 := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	for at := 12; at+8 <= len(data); {
		size := int(binary.LittleEndian.Uint32(data[at+4:]))
		body := data[at+8:]
		switch string(data[at : at+4]) {
		case "VP8X":
			width, height = u24(body[4:])+1, u24(body[7:])+1
		case "ANIM":
			loops = int(binary.LittleEndian.Uint16(body[4:]))
		case "ANMF":
			frames++
			seconds += float64(u24(body[12:])) / 1000
		}
		at += 8 + size + size%2
	}
	return width, height, frames, seconds, loops
}

func TestPreviewsOfUprightVideosFit(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=180x320:r=25:d=5", "-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := smallPlan(info)
	plan.Rungs = plan.Rungs[:1]
	plan.Rungs[0].Width, plan.Rungs[0].Height = 180, 320
	r := encodeAll(t, e, path, info, plan)
	all := pieces(r)
	p, err := e.MakePreviews(t.Context(), commands.PreviewJob{
		Init: r.inits["180p"], FrameRate: plan.FrameRate, Width: 180, Height: 320, Tiles: all, Moments: all[:1],
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.TileWidth != 90 || p.TileHeight != 160 || p.Columns != 3 || p.Rows != 1 || p.Width != 320 || p.Height != 568 {
		t.Errorf("%+v", p)
	}
	if _, err := e.MakePreviews(t.Context(), commands.PreviewJob{
		Init: r.inits["180p"], FrameRate: plan.FrameRate, Width: 180, Height: 320, Moments: all,
		Tiles: []commands.Piece{func(context.Context) ([]byte, error) { return []byte("no fragment at all"), nil }},
	}); err == nil {
		t.Error("previews of what is no fragment")
	}
}

func TestTilesOfAFadeFromBlackShowNothing(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=320x180:r=25:d=18,fade=t=in:st=11:d=2", "-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := smallPlan(info)
	r := encodeAll(t, e, path, info, plan)
	tiles := pieces(r)
	p, err := e.MakePreviews(t.Context(), commands.PreviewJob{
		Init: r.inits["180p"], FrameRate: plan.FrameRate, Width: 320, Height: 180, Tiles: tiles, Moments: tiles[:1],
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, blank := range p.Blank {
		if i != 6 && blank != (i < 6) { // the seventh is of the fade
			t.Errorf("tile %d: shows nothing %t", i, blank)
		}
	}
	if len(p.Blank) != 9 || p.Best < 6 {
		t.Errorf("%d tiles, the best is %d", len(p.Blank), p.Best)
	}
}
