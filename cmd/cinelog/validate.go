package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/cinelog/cinelog/adapters/streamcheck"
)

type validateCmd struct {
	Target   string        `arg:"" name:"url|dir|file" help:"Playlist or manifest: an http address, a file, or a folder that has one."`
	Timeout  time.Duration `help:"Give up after so long." default:"1h"`
	MaxBytes int64         `help:"Read no more than so many bytes of media." default:"68719476736"`
	MaxFiles int           `help:"Read no more than so many segments." default:"100000"`
}

// Help is shown by --help.
func (validateCmd) Help() string {
	return "HLS is held against RFC 8216 and Apple's HLS Authoring Specification, DASH against ISO/IEC 23009-1, clause by clause, " +
		"and what they say of the media against the media itself. Errors are what a clause demands (MUST), warnings what it " +
		"recommends (SHOULD). Exit code 1 when there are errors. docs/playback.md lists the clauses."
}

// Run prints the findings, worst first, and fails when there are errors.
func (v validateCmd) Run(ctx context.Context, c *console) error {
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	bars := mpb.New(mpb.WithOutput(barOutput(c)), mpb.WithWidth(40))
	bar := bars.AddBar(0, mpb.PrependDecorators(decor.Name("segments ")), mpb.AppendDecorators(decor.CountersNoUnit("%d / %d")))
	report, err := streamcheck.Check(ctx, v.Target, streamcheck.Options{
		MaxBytes: v.MaxBytes, MaxFiles: v.MaxFiles,
		Progress: func(done, total int) {
			bar.SetTotal(int64(total), false)
			bar.SetCurrent(int64(done))
		},
	})
	bar.Abort(true)
	bars.Wait()
	switch {
	case errors.Is(err, context.Canceled): // not "done": nothing was judged
		return errors.New("stopped before all was read")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("not all was read in %s: raise --timeout", v.Timeout)
	case err != nil:
		return err
	}
	if err := v.print(c, report); err != nil {
		return err
	}
	if n := report.Count(streamcheck.Error); n > 0 {
		return fmt.Errorf("%d errors and %d warnings in %s", n, report.Count(streamcheck.Warning), v.Target)
	}
	return nil
}

func (v validateCmd) print(c *console, report streamcheck.Report) error {
	if c.json {
		for _, f := range report.Findings {
			line, err := json.Marshal(f)
			if err != nil {
				return err
			}
			c.printf("%s\n", line)
		}
		report.Findings = nil
		line, err := json.Marshal(map[string]any{
			"address": report.Address, "playlists": report.Playlists, "files": report.Files, "bytes": report.Bytes, "seconds": report.Seconds,
		})
		if err != nil {
			return err
		}
		c.printf("%s\n", line)
		return nil
	}
	for _, f := range report.Findings {
		at := f.File
		if f.Line > 0 {
			at = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		c.printf("%-7s %s: %s\n        %s\n        is     %s\n        wanted %s\n        → %s\n",
			f.Severity, f.Clause, f.Rule, at, cmp.Or(f.Measured, "nothing"), f.Wanted, f.Advice)
		if f.More > 0 {
			c.printf("        and %d more like it in this file\n", f.More)
		}
	}
	c.printf("%d errors, %d warnings: %d playlists, %d files of media, %.1f MB, %.1f s of video.\n",
		report.Count(streamcheck.Error), report.Count(streamcheck.Warning), report.Playlists, report.Files, float64(report.Bytes)/1e6, report.Seconds)
	return nil
}
