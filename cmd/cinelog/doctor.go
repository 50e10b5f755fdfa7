package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
)

type doctorCmd struct{}

// check is one line of what doctor says. What is not OK but also not needed is a warning.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"`
	Detail string `json:"detail"`
}

// Run prints the checks, and fails when something that is needed is missing.
func (doctorCmd) Run(ctx context.Context, c *console) error {
	missing := 0
	for _, found := range slices.Concat(checkFFmpeg(ctx), checkData(c.Data), checkLimits()) {
		mark := "ok     "
		switch {
		case !found.OK && found.Needed:
			mark = "MISSING"
			missing++
		case !found.OK:
			mark = "warning"
		}
		if !c.json {
			c.printf("%s  %-16s  %s\n", mark, found.Name, found.Detail)
			continue
		}
		b, err := json.Marshal(found)
		if err != nil {
			return err
		}
		c.printf("%s\n", b)
	}
	if missing > 0 {
		return fmt.Errorf("%d things that are needed are missing, see above", missing)
	}
	return nil
}

const installHint = "; on Debian or Ubuntu: sudo apt-get install -y ffmpeg bubblewrap"

func checkFFmpeg(ctx context.Context) []check {
	encoder, err := ffmpeg.New(ctx, ffmpeg.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return []check{{"ffmpeg", false, true, err.Error() + installHint}}
	}
	var all []check
	for _, found := range encoder.Doctor(ctx) {
		if !found.OK {
			found.Detail += installHint
		}
		all = append(all, check{found.Name, found.OK, true, found.Detail})
	}
	return all
}

// checkData tries the data folder as the server will use it. A folder that is not there yet is made by the server, so
// the one above it is tried.
func checkData(data string) []check {
	dir := data
	for {
		if _, err := os.Stat(dir); err == nil || !errors.Is(err, os.ErrNotExist) {
			break
		}
		dir = filepath.Dir(dir)
	}
	took, err := syncTime(dir)
	if err != nil {
		return []check{{"data folder", false, true, fmt.Sprintf("%v; choose another with --data", err)}}
	}
	writable := check{"data folder", true, true, data + " can be written to"}
	durable := check{"durability", true, true, fmt.Sprintf("a write and its fsync take %v (median of %d)", took, syncTries)}
	kind, free, err := fileSystem(dir)
	if err != nil {
		return []check{writable, durable, {"file system", false, false, err.Error()}}
	}
	space := check{"free space", free >= lowSpace, false, fmt.Sprintf("%.1f GiB", float64(free)/(1<<30))}
	if !space.OK {
		space.Detail += "; uploads and encodes need room for the source and about as much again"
	}
	if kind != "" {
		return []check{writable, durable, space, {
			"file system", false, true,
			kind + " does not keep the locks that SQLite's write-ahead log needs; choose a local disk with --data",
		}}
	}
	return []check{writable, durable, space}
}

const (
	lowSpace  = 2 << 30
	syncTries = 9
)

// syncTime is the median time that a small write takes to be on disk: about what an append costs at least.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
	took := make([]time.Duration, syncTries)
	for i := range took {
		start := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[len(took)/2].Round(10 * time.Microsecond), nil
}

func checkLimits() []check {
	files := check{"open files", true, false, "no limit is known on this system"}
	if limit, ok := openFiles(); ok {
		files = check{"open files", limit >= lowFiles, false, fmt.Sprintf("up to %d", limit)}
		if !files.OK {
			files.Detail += fmt.Sprintf("; raise the limit to %d or more (ulimit -n)", lowFiles)
		}
	}
	return []check{files, {"encoders", true, false, fmt.Sprintf("%d at once, one for each CPU", runtime.NumCPU())}}
}

const lowFiles = 1024
