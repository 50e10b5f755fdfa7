package ffmpeg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is one run of FFmpeg or ffprobe.
type process struct {
	program string
	input   string // the one file that it may read; none when empty
	stdin   io.Reader
	feed    *feed // instead of input: a file that is still arriving, as pipe:0
	args    []string
	nice    int // how far it stands back for the others
	// outputs drain the pipes 3, 4, ... of the process, each in a goroutine of its own. An error of one of them kills
	// the process.
	outputs []func(io.Reader) error
}

// How far stands back what nobody waits for as they do for a look at a source, its remux and its first chunk (nice(1)). The sound
// that players begin with gets a share beside the first chunk: no video is played before its first seconds of sound, which take
// little, and the rest can come later. Later chunks leave the CPUs to the first one of another video. Last come other tracks,
// captions and previews.
const (
	besideFirstChunk = 3
	laterChunk       = 10
	besidePictures   = 14
)

// errStalled says that the watchdog killed the process.
var errStalled = errors.New("no progress")

// result is what a process left behind.
type result struct {
	stderr string // the end of it, printable
	lines  int    // lines of all of it
	noise  int    // see tail
}

// run starts the process and returns when it and all drains have ended. When ctx ends, the process group is killed.
func (e *Encoder) run(ctx context.Context, p process) (result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.opts.MaxRun, fmt.Errorf("ran longer than %s", e.opts.MaxRun))
	defer cancel()
	ctx, kill := context.WithCancelCause(ctx)
	defer kill(nil)

	input := p.input
	if input != "" {
		var err error
		if input, err = filepath.Abs(input); err != nil {
			return result{}, fmt.Errorf("find the source: %w", err)
		}
	}
	cpu := e.opts.MaxRun * time.Duration(runtime.NumCPU())
	status := 0
	if e.cage.active() {
		status = 3 + len(p.outputs)
	}
	argv := e.cage.wrap(limits{cpu: cpu, memory: e.opts.MaxMemory, nice: p.nice}, status, input, p.program, p.args)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // argv is ours; no part of it comes from a user
	cmd.Env = e.opts.environment()
	cmd.Stdin = p.stdin
	stderr := &tail{}
	cmd.Stderr = stderr
	// The whole group dies with ctx, and with us (Pdeathsig is sent when the thread that forked ends: hence the lock). It is a
	// session too, which has no terminal to type into.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	readers, err := pipes(cmd, max(len(p.outputs), status-2))
	if err != nil {
		return result{}, err
	}
	beginFeed, err := p.feed.into(cmd)
	if err != nil {
		closeAll(cmd.ExtraFiles)
		closeAll(readers)
		return result{}, err
	}
	err = cmd.Start()
	endFeed := beginFeed(ctx, kill)
	closeAll(cmd.ExtraFiles)
	if err != nil {
		endFeed()
		closeAll(readers)
		return result{}, fmt.Errorf("start %s: %w", filepath.Base(p.program), err)
	}
	if status != 0 {
		defer reap(readers[len(p.outputs)])
		readers = readers[:len(p.outputs)]
	}

	excused := p.feed.hungry
	if slow, ok := p.stdin.(*pending); ok {
		excused = slow.hungry
	}
	watch := newWatch(e.opts.Stall, excused)
	var drains sync.WaitGroup
	for i, drain := range p.outputs {
		r := watch.reader(readers[i])
		drains.Go(func() {
			defer r.close()
			if err := e.contained(func() error { return drain(r) }); err != nil {
				kill(err)
			}
		})
	}
	watchEnd := watch.start(func() { kill(errStalled) })
	stop := context.AfterFunc(ctx, func() { closeAll(readers) }) // a grandchild could hold a pipe open
	waited := cmd.Wait()
	endFeed()
	if ctx.Err() != nil {
		closeAll(readers)
	}
	drains.Wait()
	stop()
	closeAll(readers)
	watchEnd()
	res := result{stderr: withoutInput(stderr.text(), input), lines: stderr.lines, noise: stderr.noise}
	switch err := context.Cause(ctx); {
	case errors.Is(err, errEarly) && res.stderr != "": // it says why
		return res, fmt.Errorf("%w: %s", err, res.stderr)
	case err != nil:
		return res, err
	}
	if waited != nil {
		return res, fmt.Errorf("%s: %w: %s", filepath.Base(p.program), waited, res.stderr)
	}
	return res, nil
}

// contained turns a panic into an error: what is read here was made by whoever made the file, and a mistake of ours in
// reading it must cost that one file and not the process, in which other people's videos are being served.
func (e *Encoder) contained(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", errMP4, p)
			e.opts.Log.Error("a mistake in reading what FFmpeg or a file says", "error", err, "stack", string(debug.Stack()))
		}
	}()
	return read()
}

// withoutInput takes the place of the input out of what FFmpeg says: it may end as the reason of a failure, which
// clients read.
func withoutInput(text, input string) string {
	if input == "" {
		return text
	}
	return strings.NewReplacer("file:"+input, "the file", "file:"+cagedInput, "the file", input, "the file").Replace(text)
}

// reap waits for the process in the cage, which the cage does not do: it kills it and goes. Where this process becomes
// its parent then, as the first process of a container does, nobody else would, and the dead would pile up.
func reap(status *os.File) {
	defer status.Close()
	//nolint:forbidigo // a deadline of the machine's; all is said by now, unless something holds the pipe open
	_ = status.SetReadDeadline(time.Now().Add(time.Second))
	var said struct {
		Child int `json:"child-pid"`
	}
	if err := json.NewDecoder(status).Decode(&said); err == nil && said.Child > 0 {
		_, _ = syscall.Wait4(said.Child, nil, 0, nil) // an error says that it is somebody else's child
	}
}

func pipes(cmd *exec.Cmd, n int) ([]*os.File, error) {
	readers := make([]*os.File, 0, n)
	for range n {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(readers)
			closeAll(cmd.ExtraFiles)
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		readers = append(readers, r)
		cmd.ExtraFiles = append(cmd.ExtraFiles, w)
	}
	return readers, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // a pipe has nothing to lose
	}
}

// watch kills a process that shows nothing for too long while all of its pipes are being waited on; a slow consumer of
// ours is not the process's fault.
type watch struct {
	limit   time.Duration
	excused func() bool  // somebody else keeps the process waiting
	last    atomic.Int64 // nanoseconds since began
	waiting atomic.Int32
	open    atomic.Int32
	began   time.Time
}

func newWatch(limit time.Duration, excused func() bool) *watch {
	//nolint:forbidigo // only spans of time are measured, on the monotonic clock
	return &watch{limit: limit, excused: excused, began: time.Now()}
}

func (w *watch) start(kill func()) (end func()) {
	if w.open.Load() == 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(max(w.limit/8, 10*time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if w.excused() {
					w.last.Store(int64(time.Since(w.began)))
				}
				quiet := time.Since(w.began) - time.Duration(w.last.Load())
				if quiet > w.limit && w.waiting.Load() >= w.open.Load() {
					kill()
					return
				}
			}
		}
	}()
	return func() { close(done) }
}

func (w *watch) reader(r io.Reader) *watched {
	w.open.Add(1)
	return &watched{r: r, w: w}
}

type watched struct {
	r io.Reader
	w *watch
}

func (r *watched) Read(b []byte) (int, error) {
	r.w.waiting.Add(1)
	n, err := r.r.Read(b)
	r.w.last.Store(int64(time.Since(r.w.began)))
	r.w.waiting.Add(-1)
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

func (r *watched) close() { r.w.open.Add(-1) }
