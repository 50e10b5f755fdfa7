package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

type replayCmd struct {
	Projection string `arg:"" enum:"catalog,playback,analytics,all" help:"What to rebuild: catalog, playback, analytics or all."`
	DryRun     bool   `help:"Build and compare, but do not switch."`
}

// Run rebuilds beside the live read model, also while a server runs, and switches when both are equal or the new one
// is known to be right because it comes from the log.
func (r replayCmd) Run(ctx context.Context, c *console) error {
	log, err := openLogToRead(ctx, c.Data)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	for _, p := range []struct {
		name  string
		build func(context.Context, *sqlite.LogReader, string, bool, func(domain.Position)) (sqlite.Rebuilt, error)
	}{{"catalog", rebuildCatalog}, {"playback", rebuildPlayback}, {"analytics", rebuildAnalytics}} {
		if r.Projection != "all" && r.Projection != p.name {
			continue
		}
		if err := r.one(ctx, c, log, p.name, p.build); err != nil {
			return fmt.Errorf("replay %s: %w", p.name, err)
		}
	}
	return nil
}

func (r replayCmd) one(
	ctx context.Context, c *console, log *sqlite.LogReader, name string,
	build func(context.Context, *sqlite.LogReader, string, bool, func(domain.Position)) (sqlite.Rebuilt, error),
) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	bars := mpb.NewWithContext(ctx, mpb.WithOutput(barOutput(c)), mpb.WithWidth(40))
	bar := bars.AddBar(int64(head), mpb.PrependDecorators(decor.Name(name+" ")),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d events "), decor.AverageSpeed(0, "%.0f/s "), decor.AverageETA(decor.ET_STYLE_GO)))
	start := time.Now()
	result, err := build(ctx, log, c.Data, r.DryRun, func(p domain.Position) { bar.SetCurrent(int64(p)) })
	bar.Abort(false)
	bars.Wait()
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if c.json {
		b, err := json.Marshal(map[string]any{"projection": name, "events": head, "seconds": seconds, "result": result})
		if err != nil {
			return err
		}
		c.printf("%s\n", b)
		return nil
	}
	c.printf("%s: %d events in %.2f s (%.0f/s); %s\n", name, head, seconds, float64(head)/max(seconds, 1e-9), outcome(result))
	return nil
}

func rebuildCatalog(ctx context.Context, log *sqlite.LogReader, dir string, dry bool, progress func(domain.Position)) (sqlite.Rebuilt, error) {
	catalog, err := sqlite.OpenCatalog(ctx, dir)
	if err != nil {
		return sqlite.Rebuilt{}, err
	}
	defer func() { _ = catalog.Close() }()
	return rebuildRows(ctx, catalog.Rows, log, dry, progress)
}

func rebuildPlayback(ctx context.Context, log *sqlite.LogReader, dir string, dry bool, progress func(domain.Position)) (sqlite.Rebuilt, error) {
	rows, err := sqlite.OpenRows(ctx, dir, projections.PlaybackModel())
	if err != nil {
		return sqlite.Rebuilt{}, err
	}
	defer func() { _ = rows.Close() }()
	return rebuildRows(ctx, rows, log, dry, progress)
}

func rebuildRows[R any](ctx context.Context, rows *sqlite.Rows[R], log *sqlite.LogReader, dry bool, progress func(domain.Position)) (sqlite.Rebuilt, error) {
	if dry {
		return rows.Verify(ctx, log, progress)
	}
	return rows.Rebuild(ctx, log, progress)
}

// rebuildAnalytics feeds every event again: facts are kept by position, so what is there stays as it is.
func rebuildAnalytics(ctx context.Context, log *sqlite.LogReader, dir string, dry bool, progress func(domain.Position)) (sqlite.Rebuilt, error) {
	if dry {
		return sqlite.Rebuilt{}, nil
	}
	analytics, err := sqlite.OpenAnalytics(ctx, analyticsPath(dir))
	if err != nil {
		return sqlite.Rebuilt{}, err
	}
	at, err := projections.CatchUp(ctx, log, projections.NewFactsReplay(analytics), projections.CatchUpOptions{Progress: progress})
	return sqlite.Rebuilt{Position: at}, errors.Join(err, analytics.Close())
}

func analyticsPath(dir string) string { return filepath.Join(dir, "views-analytics.db") }

// verifyViews folds each read model again and compares it with the live one.
func verifyViews(ctx context.Context, log *sqlite.LogReader, dir string) ([]string, error) {
	var wrong []string
	for name, build := range map[string]func(context.Context, *sqlite.LogReader, string, bool, func(domain.Position)) (sqlite.Rebuilt, error){
		"catalog": rebuildCatalog, "playback": rebuildPlayback,
	} {
		result, err := build(ctx, log, dir, true, nil)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", name, err)
		}
		if result.Hash != result.LiveHash {
			wrong = append(wrong, name+": "+outcome(result))
		}
	}
	return wrong, nil
}

// outcome says what a rebuild found.
func outcome(r sqlite.Rebuilt) string {
	if r.Hash == r.LiveHash {
		return fmt.Sprintf("equal to the live one at position %d", r.Position)
	}
	return fmt.Sprintf("differs from the live one at position %d in %v", r.Position, r.Different)
}
