package ffmpeg

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/cinelog/cinelog/domain"
)

// Frame decodes one picture of a group of pictures (moof and mdat boxes, from a keyframe on): the last one that is shown
// at or before a time, in seconds from the first. It gives a JPEG of this width, or as wide as the picture is.
func (e *Encoder) Frame(ctx context.Context, init, group []byte, at float64, width int) ([]byte, error) {
	scale, err := timescale(init)
	if err != nil {
		return nil, fmt.Errorf("take a picture: %w", err)
	}
	samples, media, err := firstSamples(group, math.MaxInt)
	if err != nil {
		return nil, fmt.Errorf("take a picture: %w", err)
	}
	if scale == 0 || width < 2 {
		return nil, fmt.Errorf("%w: a picture of %d pixels, %d ticks a second", domain.ErrInvalid, width, scale)
	}
	needed, shown := upTo(samples, at*float64(scale))
	size := 0
	for _, s := range samples[:needed] {
		size += int(s.size)
	}
	stream := slices.Concat(init, writeMoof(1, 0, samples[:needed], size, true), media[:size])
	image, err := e.image(ctx, stream, "-vsync", "passthrough", "-vf", fmt.Sprintf(
		`select=eq(n\,%d),scale=min(%d\,iw):max(2\,2*round(ih*ow/iw/2)):flags=bicubic:out_color_matrix=bt601:out_range=pc,setsar=1,format=yuvj420p`, shown, width),
		"-frames:v", "1", "-c:v", "mjpeg", "-q:v", "4", "-f", "image2pipe")
	if err != nil {
		return nil, fmt.Errorf("take a picture: %w", err)
	}
	return image, nil
}

// upTo says which picture is the last one shown at or before a time, in ticks from the first: how many samples must be
// decoded for it, and how many pictures are shown before it.
func upTo(samples []sample, ticks float64) (needed, shown int) {
	times := make([]int64, len(samples))
	decode := int64(0)
	for i, s := range samples {
		times[i] = decode + int64(s.offset)
		decode += int64(s.duration)
	}
	sorted := slices.Sorted(slices.Values(times))
	for i, t := range sorted {
		if float64(t-sorted[0]) <= ticks+0.5 {
			shown = i
		}
	}
	for i, t := range times {
		if t <= sorted[shown] {
			needed = i + 1
		}
	}
	return needed, shown
}
