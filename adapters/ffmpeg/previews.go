package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Sizes of previews, in pixels, and the rate of the moving one.
const (
	tileSize       = 160 // the longer side
	storyboardCols = 10
	movingWidth    = 320
	movingSeconds  = 4.5
	movingRate     = 8
	maxPreview     = 16 << 20 // bytes
)

// MakePreviews is described at commands.Encoder.
func (e *Encoder) MakePreviews(ctx context.Context, job commands.PreviewJob) (commands.Previews, error) {
	if len(job.Tiles) == 0 || len(job.Moments) == 0 || job.Width <= 0 || job.Height <= 0 {
		return commands.Previews{}, fmt.Errorf("%w: previews of nothing", domain.ErrInvalid)
	}
	p := commands.Previews{Columns: min(storyboardCols, len(job.Tiles))}
	p.Rows = (len(job.Tiles) + p.Columns - 1) / p.Columns
	p.TileWidth, p.TileHeight = within(job.Width, job.Height, tileSize, tileSize)
	p.Width, p.Height = within(job.Width, job.Height, movingWidth, 2*movingWidth)

	stills, _, err := joinPieces(ctx, job.Init, job.Tiles, 1)
	if err != nil {
		return p, fmt.Errorf("make a storyboard: %w", err)
	}
	p.Storyboard, err = e.image(ctx, stills, "-vsync", "passthrough", "-vf", fmt.Sprintf(
		"scale=%d:%d:flags=bicubic:out_color_matrix=bt601:out_range=pc,setsar=1,format=yuvj420p,tile=%dx%d", p.TileWidth, p.TileHeight, p.Columns, p.Rows),
		"-frames:v", "1", "-c:v", "mjpeg", "-q:v", "4", "-f", "image2pipe")
	if err != nil {
		return p, fmt.Errorf("make a storyboard: %w", err)
	}
	if p.Blank, p.Best, err = judge(p, len(job.Tiles)); err != nil {
		return p, fmt.Errorf("look at the storyboard: %w", err)
	}
	each := max(1, int(math.Round(movingSeconds*job.FrameRate.Float()/float64(len(job.Moments)))))
	moments, frames, err := joinPieces(ctx, job.Init, job.Moments, each)
	if err != nil {
		return p, fmt.Errorf("make a preview: %w", err)
	}
	p.Duration = job.FrameRate.Seconds(frames)
	p.Moving, err = e.image(ctx, moments, "-vf", fmt.Sprintf("fps=%d,scale=%d:%d:flags=bicubic,setsar=1,format=yuv420p", movingRate, p.Width, p.Height),
		"-c:v", "libwebp_anim", "-q:v", "50", "-compression_level", "3", "-loop", "0", "-f", "webp")
	if err != nil && ctx.Err() == nil {
		e.opts.Log.WarnContext(ctx, "there is no moving preview", "error", err) // FFmpeg may have been built without WebP
		p.Moving, err = nil, nil
	}
	return p, err
}

// image decodes a stream and takes what the arguments make of it.
func (e *Encoder) image(ctx context.Context, stream []byte, args ...string) ([]byte, error) {
	var image bytes.Buffer
	argv := append([]string{
		"-nostdin", "-hide_banner", "-v", "error", "-threads", "1", "-protocol_whitelist", "pipe",
		"-max_pixels", strconv.Itoa(e.opts.MaxPixels), "-f", "mov", "-i", "pipe:0", "-map", "0:v:0", "-map_metadata", "-1", "-fflags", "+bitexact",
	}, args...)
	res, err := e.run(ctx, process{
		program: e.ffmpeg, nice: besidePictures, stdin: bytes.NewReader(stream), args: append(argv, "pipe:3"), outputs: []func(io.Reader) error{
			func(r io.Reader) error {
				if n, err := io.Copy(&image, io.LimitReader(r, maxPreview)); err != nil || n == maxPreview {
					return errors.Join(fmt.Errorf("an image of %d bytes", n), err)
				}
				return nil
			},
		},
	})
	if err == nil && image.Len() == 0 {
		err = fmt.Errorf("no image came out: %s", res.stderr)
	}
	return image.Bytes(), err
}

// joinPieces makes one stream of the first frames of each piece, at most so many of each, one piece right after the
// other. Frames are taken in the order of decoding, so one or two may be missing before a cut.
func joinPieces(ctx context.Context, init []byte, pieces []commands.Piece, each int) (stream []byte, frames int, err error) {
	stream = bytes.Clone(init)
	var at uint64
	for i, piece := range pieces {
		data, err := piece(ctx)
		if err != nil {
			return nil, 0, fmt.Errorf("piece %d: %w", i, err)
		}
		samples, media, err := firstSamples(data, each)
		if err != nil {
			return nil, 0, fmt.Errorf("piece %d: %w", i, err)
		}
		stream = append(append(stream, writeMoof(uint32(i+1), at, samples, len(media), true)...), media...)
		for _, s := range samples {
			at += uint64(s.duration)
		}
		frames += len(samples)
	}
	return stream, frames, nil
}

// firstSamples takes up to n samples out of pairs of moof and mdat.
func firstSamples(data []byte, n int) (samples []sample, media []byte, err error) {
	r := bytes.NewReader(data)
	for len(samples) < n && r.Len() > 0 {
		moof, err := readBox(r)
		if err != nil {
			return nil, nil, fmt.Errorf("read a fragment: %w", err)
		}
		mdat, err := readBox(r)
		if err != nil || moof.kind != "moof" || mdat.kind != "mdat" {
			return nil, nil, errors.Join(fmt.Errorf("%w: %q and %q where a fragment is", errMP4, moof.kind, mdat.kind), err)
		}
		f, err := parseFragment(moof.data, mdat.data, mdat.header)
		if err != nil {
			return nil, nil, err
		}
		at := f.first
		for _, s := range f.samples[:min(len(f.samples), n-len(samples))] {
			samples = append(samples, s)
			media = append(media, f.mdat[at:at+int(s.size)]...)
			at += int(s.size)
		}
	}
	if len(samples) == 0 {
		return nil, nil, fmt.Errorf("%w: a piece without frames", errMP4)
	}
	return samples, media, nil
}

// within makes a size fit, with even sides.
func within(w, h, maxW, maxH int) (width, height int) {
	scale := min(float64(maxW)/float64(w), float64(maxH)/float64(h))
	even := func(side int) int { return max(2, 2*int(math.Round(float64(side)*scale/2))) }
	return even(w), even(h)
}
