package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/cinelog/cinelog/adapters/logfile"
	"github.com/cinelog/cinelog/domain"
)

type eventsExportCmd struct {
	File  string `arg:"" optional:"" default:"-" help:"File to write; - for the standard output." type:"path"`
	After int64  `help:"Leave out the events up to this position: what was exported before." default:"0"`
	Force bool   `help:"Replace the file if there is one."`
}

// Help is what --help says beside the list of flags.
func (eventsExportCmd) Help() string {
	return `The file is JSON Lines: a first line with the format, a line for each event with all that the log has of it, ` +
		`and a last line by which a file that was cut off is known. A server may run meanwhile; what it appends after the start is ` +
		`left out, and "--after POSITION" fetches it later. The log's hashes are checked on the way. The file appears when it is ` +
		`whole and on disk. The same part of a log always gives the same bytes.`
}

// Run writes the log to a file, also while a server runs.
func (e eventsExportCmd) Run(ctx context.Context, c *console) error {
	return stopped(ctx, e.run(ctx, c))
}

func (e eventsExportCmd) run(ctx context.Context, c *console) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	log, err := opened.readLog(ctx)
	if err != nil {
		return err
	}
	bar := newEventBar(c, "export")
	var end domain.ChainEnd
	write := func(w io.Writer) error {
		end, err = logfile.Export(ctx, log, w, domain.Position(e.After), bar.update)
		return err
	}
	if e.File == "-" {
		err = write(c.out)
	} else {
		err = wholeFile(e.File, e.Force, write)
	}
	bar.close()
	if err != nil {
		return err
	}
	return e.report(c, end)
}

func (e eventsExportCmd) report(c *console, end domain.ChainEnd) error {
	events := int64(end.Position) - e.After
	if e.File == "-" { // the standard output has the events
		if !c.json {
			_, _ = fmt.Fprintf(c.err, "%d events up to position %d\n", events, end.Position)
		}
		return nil
	}
	if c.json {
		b, err := json.Marshal(map[string]any{
			"file": e.File, "events": events, "position": end.Position, "hash": hex.EncodeToString(end.Hash),
		})
		if err != nil {
			return err
		}
		c.printf("%s\n", b)
		return nil
	}
	c.printf("%s: %d events up to position %d; what comes later: cinelog events export --after %d\n",
		e.File, events, end.Position, end.Position)
	return nil
}

// stopped is the error of a command that was interrupted: what it was to do is not done, and whoever goes on after it must
// see that.
func stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("stopped: it is not done")
	}
	return err
}

// wholeFile lets write fill a file, which gets its name when it is whole and on disk.
func wholeFile(path string, replace bool, write func(io.Writer) error) (err error) {
	free := func() error {
		if _, err := os.Lstat(path); !replace && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists: choose another name, or replace it with --force", path)
		}
		return nil
	}
	if err := free(); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // only for its owner: there may be private videos in it
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), free()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// eventBar shows a person how far a command has come in the log.
type eventBar struct {
	bars  *mpb.Progress
	bar   *mpb.Bar
	known bool
}

func newEventBar(c *console, name string) *eventBar {
	bars := mpb.New(mpb.WithOutput(barOutput(c)), mpb.WithWidth(40))
	return &eventBar{bars: bars, bar: bars.AddBar(0, mpb.PrependDecorators(decor.Name(name+" ")),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d events "), decor.AverageSpeed(0, "%.0f/s "), decor.AverageETA(decor.ET_STYLE_GO)))}
}

func (b *eventBar) update(at, head domain.Position) {
	if !b.known {
		b.known = true
		b.bar.SetTotal(int64(head), false)
	}
	b.bar.SetCurrent(int64(at))
}

func (b *eventBar) close() {
	b.bar.Abort(false)
	b.bars.Wait()
}
