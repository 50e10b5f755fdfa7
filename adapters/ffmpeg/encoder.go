package ffmpeg

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

var _ commands.Encoder = (*Encoder)(nil)

// Options say which programs to run and what to refuse. The zero value is good.
type Options struct {
	FFmpeg      string        // path or name; "ffmpeg" when empty
	FFprobe     string        // path or name; "ffprobe" when empty
	Bubblewrap  string        // path or name; "bwrap" when empty, "-" to do without
	MaxPixels   int           // of one frame; 8192×4320 when 0
	MaxDuration time.Duration // of a source; 12 h when 0
	Stall       time.Duration // how long a process may show no progress; 60 s when 0
	MaxRun      time.Duration // how long one process may run at all; 6 h when 0
	MaxMemory   int64         // bytes of address space of one process; 16 GiB when 0
	Threads     int           // threads of one decoder or encoder; by the machine when 0
	// Owner names what only one process at a time owns, such as its data folder. Processes that an earlier owner left
	// behind are killed.
	Owner string
	Log   *slog.Logger
}

// Encoder runs FFmpeg. It is safe for concurrent use.
type Encoder struct {
	opts    Options
	ffmpeg  string
	ffprobe string
	cage    cage
	probed  probed

	followed sync.Map // paths of files that are still arriving, with their commands.Arriving
}

// New finds the programs and tries the cage out.
func New(ctx context.Context, opts Options) (*Encoder, error) {
	opts.MaxPixels = cmp.Or(opts.MaxPixels, 8192*4320)
	opts.MaxDuration = cmp.Or(opts.MaxDuration, 12*time.Hour)
	opts.Stall = cmp.Or(opts.Stall, time.Minute)
	opts.MaxRun = cmp.Or(opts.MaxRun, 6*time.Hour)
	opts.MaxMemory = cmp.Or(opts.MaxMemory, 16<<30)
	opts.Threads = cmp.Or(opts.Threads, min(8, runtime.NumCPU()))
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	e := &Encoder{opts: opts}
	var err error
	if e.ffmpeg, err = find(cmp.Or(opts.FFmpeg, "ffmpeg")); err != nil {
		return nil, err
	}
	if e.ffprobe, err = find(cmp.Or(opts.FFprobe, "ffprobe")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	opts.endLeftovers(ctx)
	e.cage = newCage(ctx, cmp.Or(opts.Bubblewrap, "bwrap"), opts.environment(), e.ffmpeg, e.ffprobe)
	if !e.cage.active() {
		opts.Log.Warn("FFmpeg runs without a cage; only limits and whitelists hold it", "reason", e.cage.reason)
	}
	return e, nil
}

// Caged says whether FFmpeg runs in bubblewrap, and if not, why.
func (e *Encoder) Caged() (caged bool, reason string) { return e.cage.active(), e.cage.reason }

// find gives a program's real path: the cage mounts what it needs by path.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	return path, nil
}

// openable says early, and as an error that may be tried again, that the input is not there.
func openable(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open the source: %w: it is not a regular file", domain.ErrInvalid)
	}
	return info, nil
}
