package ffmpeg

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// proof decodes again what an encoder writes, while it writes it: what FFmpeg says it wrote is no proof. Most of it is done
// in the gaps that the encoder leaves, and somebody may be waiting for the chunk.
type proof struct {
	decode func(stdin io.Reader) (frames int, res result, err error)
	bytes  *pending
	want   int // frames
	done   chan struct{}

	frames int
	res    result
	err    error
}

func (e *Encoder) newProof(ctx context.Context) *proof {
	return &proof{decode: func(stdin io.Reader) (int, result, error) { return e.decodeStream(ctx, stdin) }}
}

// add gives the decoder so many frames more, and the initialization segment before the first of them.
func (p *proof) add(init []byte, frames int, data ...[]byte) {
	if p.bytes == nil {
		p.bytes, p.done = newPending(), make(chan struct{})
		go func() {
			defer close(p.done)
			p.frames, p.res, p.err = p.decode(p.bytes)
		}()
		p.bytes.add(init)
	}
	p.want += frames
	for _, d := range data {
		p.bytes.add(d)
	}
}

// end waits until all is decoded, and fails unless every frame was there and nothing was wrong with it.
func (p *proof) end() error {
	if p.bytes == nil {
		return nil
	}
	p.bytes.end()
	<-p.done
	if p.err != nil {
		return p.err
	}
	if p.frames != p.want || p.res.lines > 0 {
		return fmt.Errorf("%d of %d frames decode again: %s", p.frames, p.want, p.res.stderr)
	}
	return nil
}

// pending is what a process will read as it comes, without keeping the one waiting who has it.
type pending struct {
	mu     sync.Mutex
	more   sync.Cond
	data   []byte
	ended  bool
	empty  atomic.Bool // whoever reads waits
	cursor int
}

func newPending() *pending {
	p := &pending{}
	p.more.L = &p.mu
	return p
}

func (p *pending) add(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data = append(p.data, b...)
	p.more.Signal()
}

func (p *pending) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.more.Signal()
}

// Read waits for more, until the end.
func (p *pending) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.empty.Store(true)
	for p.cursor == len(p.data) && !p.ended {
		p.more.Wait()
	}
	p.empty.Store(false)
	if p.cursor == len(p.data) {
		return 0, io.EOF
	}
	n := copy(b, p.data[p.cursor:])
	if p.cursor += n; p.cursor == len(p.data) {
		p.data, p.cursor = p.data[:0], 0
	}
	return n, nil
}

// hungry says that the process waits for what has not come yet.
func (p *pending) hungry() bool { return p.empty.Load() }

// decodeSegments decodes segments of one rendition and counts the frames.
func (e *Encoder) decodeSegments(ctx context.Context, init, head, end []byte) (frames int, res result, err error) {
	return e.decodeStream(ctx, io.MultiReader(bytes.NewReader(init), bytes.NewReader(head), bytes.NewReader(end)))
}

func (e *Encoder) decodeStream(ctx context.Context, stdin io.Reader) (frames int, res result, err error) {
	return e.decode(ctx, "", stdin, 1, []string{"-protocol_whitelist", "pipe", "-f", "mov", "-i", "pipe:0", "-map", "0:v:0"})
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
