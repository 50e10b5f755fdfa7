package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/cinelog/cinelog/adapters/logfile"
	"github.com/cinelog/cinelog/domain"
)

type eventsImportCmd struct {
	File   string `arg:"" help:"File that export wrote; - for the standard input." type:"path"`
	DryRun bool   `help:"Check all of it, against the log too, and write nothing."`
}

// Help is what --help says beside the list of flags.
func (eventsImportCmd) Help() string {
	return `The log must be empty, or hold a part of the file from its beginning on: then the rest goes in. So an import that ` +
		`was interrupted is done again, and a file of "export --after" continues where the one before ended. Positions, versions, ` +
		`ids, times and hashes stay. All of a file is checked before anything is written; the standard input is checked as it ` +
		`comes, and what was right before an error stays. No server may use the log meanwhile: one with a log on this machine is ` +
		`noticed, for MongoDB stop them all. Afterwards: cinelog replay all, cinelog verify.`
}

// Run puts a file into the log.
func (e eventsImportCmd) Run(ctx context.Context, c *console) error {
	return stopped(ctx, e.run(ctx, c))
}

func (e eventsImportCmd) run(ctx context.Context, c *console) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	if !e.DryRun {
		if err := opened.lockLog(); err != nil {
			return err
		}
	}
	from, again, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	if e.DryRun || again != nil {
		done, err := e.check(ctx, c, opened, from)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name(), err)
		}
		if e.DryRun || done.There == done.Events && done.Erased == 0 {
			return e.report(c, done)
		}
		if err := again(); err != nil {
			return err
		}
	}
	done, err := e.write(ctx, c, opened, from)
	if err != nil {
		return fmt.Errorf("%s: %w", e.name(), err)
	}
	return e.report(c, done)
}

// open opens the file. again goes back to its beginning; it is nil for what can be read only once.
func (e eventsImportCmd) open(ctx context.Context) (from io.ReadCloser, again func() error, err error) {
	f := os.Stdin
	if e.File != "-" {
		if f, err = os.Open(e.File); err != nil {
			return nil, nil, err
		}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	if info.Mode().IsRegular() {
		return f, func() error {
			_, err := f.Seek(0, io.SeekStart)
			return err
		}, nil
	}
	// Reading from a pipe or a terminal may wait for ever, and nothing but the end of the process ends it.
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(context.Cause(ctx)) })
	go func() {
		_, err := io.Copy(w, f)
		_ = w.CloseWithError(err)
	}()
	return r, nil, nil
}

func (e eventsImportCmd) name() string {
	if e.File == "-" {
		return "standard input"
	}
	return e.File
}

func (e eventsImportCmd) check(ctx context.Context, c *console, o *opener, from io.Reader) (logfile.Imported, error) {
	log, err := o.checkLog(ctx)
	if err != nil {
		return logfile.Imported{}, err
	}
	f, err := logfile.NewReader(from)
	if err != nil {
		return logfile.Imported{}, err
	}
	bar := newEventBar(c, "check ")
	defer bar.close()
	return logfile.Check(ctx, log, f, func(at domain.Position) { bar.update(at, f.Header().Head) })
}

func (e eventsImportCmd) write(ctx context.Context, c *console, o *opener, from io.Reader) (logfile.Imported, error) {
	log, err := o.importLog(ctx)
	if err != nil {
		return logfile.Imported{}, err
	}
	f, err := logfile.NewReader(from)
	if err != nil {
		return logfile.Imported{}, err
	}
	bar := newEventBar(c, "import")
	defer bar.close()
	return logfile.Import(ctx, log, f, func(at domain.Position) { bar.update(at, f.Header().Head) })
}

func (e eventsImportCmd) report(c *console, done logfile.Imported) error {
	added := done.Events - done.There
	if c.json {
		b, err := json.Marshal(map[string]any{
			"events": done.Events, "there": done.There, "imported": added, "written": !e.DryRun,
			"position": done.Position, "head": done.Head, "hash": hex.EncodeToString(done.Hash),
		})
		if err != nil {
			return err
		}
		c.printf("%s\n", b)
		return nil
	}
	c.printf("%s: %d events, all right up to position %d; ", e.name(), done.Events, done.Position)
	switch {
	case added == 0:
		c.printf("the log has all of them, and ends at %d: nothing to do\n", done.Head)
	case e.DryRun:
		c.printf("the log has %d of them, %d would be added\n", done.There, added)
	default:
		c.printf("the log had %d of them, %d were added\n", done.There, added)
	}
	return nil
}
