package ffmpeg

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// checkEnds decodes the very first and the very last segment of each rung, if they are among what was just made.
// What FFmpeg says it wrote is no proof. Somebody may be waiting for the chunk, so all CPUs take part, each with a rung.
func (e *Encoder) checkEnds(ctx context.Context, rungs []*rungOutput) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(e.opts.Threads)
	for _, r := range rungs {
		if r.head != nil || r.end != nil {
			g.Go(func() error { return e.checkRung(ctx, r) })
		}
	}
	return g.Wait() //nolint:wrapcheck // checkRung's
}

func (e *Encoder) checkRung(ctx context.Context, r *rungOutput) error {
	want := r.headFrames
	end := r.end
	if r.head != nil && r.next == 1 {
		end = nil // the same one
	}
	if end != nil {
		want += r.endFrames
	}
	got, res, err := e.decodeSegments(ctx, r.init, r.head, end)
	if err != nil {
		return fmt.Errorf("%s: %w", r.rung.Name, err)
	}
	if got != want || res.lines > 0 {
		return fmt.Errorf("%s: %d of %d frames decode again: %s", r.rung.Name, got, want, res.stderr)
	}
	return nil
}

// decodeSegments decodes segments of one rendition and counts the frames.
func (e *Encoder) decodeSegments(ctx context.Context, init, head, end []byte) (frames int, res result, err error) {
	return e.decode(ctx, "", io.MultiReader(bytes.NewReader(init), bytes.NewReader(head), bytes.NewReader(end)), 1,
		[]string{"-protocol_whitelist", "pipe", "-f", "mov", "-i", "pipe:0", "-map", "0:v:0"})
}

// decode runs a decode to nothing and counts the frames.
func (e *Encoder) decode(
	ctx context.Context, input string, stdin io.Reader, threads int, args []string,
) (frames int, res result, err error) {
	argv := append([]string{"-nostdin", "-hide_banner", "-v", "error", "-threads", strconv.Itoa(threads)}, args...)
	argv = append(argv, "-vsync", "passthrough", "-enc_time_base", "-1", "-f", "null", "-progress", "pipe:3", "-")
	res, err = e.run(ctx, process{program: e.ffmpeg, input: input, stdin: stdin, args: argv, outputs: []func(io.Reader) error{
		func(r io.Reader) error {
			lines := bufio.NewScanner(r)
			for lines.Scan() {
				if n, ok := strings.CutPrefix(lines.Text(), "frame="); ok {
					frames, _ = strconv.Atoi(strings.TrimSpace(n)) // the last one counts
				}
			}
			return lines.Err() //nolint:wrapcheck // a pipe's
		},
	}})
	return frames, res, err
}
