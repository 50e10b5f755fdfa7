package ffmpeg

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"

	"github.com/cinelog/cinelog/commands"
)

// feed is a file that is given to a process as it arrives.
type feed struct {
	path     string
	arriving commands.Arriving
	starving atomic.Bool // the process waits for us
}

// pour writes the file to w until all of it has arrived, or w does not take more.
func (f *feed) pour(ctx context.Context, w io.Writer) error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("open the source: %w", err)
	}
	defer file.Close()
	for at := int64(0); at < f.arriving.Total(); {
		f.starving.Store(true)
		arrived, err := f.arriving.Wait(ctx, at+1)
		f.starving.Store(false)
		if err != nil {
			return err //nolint:wrapcheck // the caller's own
		}
		n, err := io.Copy(w, io.NewSectionReader(file, at, arrived-at))
		if err != nil || n == 0 {
			return nil // it has read enough, or failed: its exit code says
		}
		at += n
	}
	return nil
}

// hungry says that the process waits for what has not arrived yet.
func (f *feed) hungry() bool { return f != nil && f.starving.Load() }

// into makes the feed the input of a command. begin, after its start, pours; what it returns ends that.
func (f *feed) into(cmd *exec.Cmd) (begin func(ctx context.Context, fail func(error)) (end func()), err error) {
	if f == nil {
		return func(context.Context, func(error)) func() { return func() {} }, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	cmd.Stdin = r
	return func(ctx context.Context, fail func(error)) func() {
		_ = r.Close() // the process has its own
		ctx, cancel := context.WithCancel(ctx)
		var pouring sync.WaitGroup
		pouring.Go(func() {
			defer w.Close()
			if err := f.pour(ctx, w); err != nil && ctx.Err() == nil {
				fail(err)
			}
		})
		return func() { cancel(); pouring.Wait() }
	}, nil
}

// fed returns the process with its input as it arrives, where that is the case.
func (e *Encoder) fed(p process) process {
	if a := e.arriving(p.input); a != nil {
		p.feed = &feed{path: p.input, arriving: a}
		p.input = ""
	}
	return p
}
