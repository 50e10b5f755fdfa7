package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

type replayCmd struct {
	Projection string `arg:"" enum:"catalog,playback,analytics,all" help:"What to rebuild: catalog, playback, analytics or all."`
	DryRun     bool   `help:"Build and compare, but do not switch."`
	Verify     bool   `help:"Build and compare, do not switch, and exit 1 when the two differ."`
}

// Help is what --help says beside the list of flags.
func (replayCmd) Help() string {
	return `The read model is built from the log's first event on, beside the one in use, compared with it and put in its place. ` +
		`A server that runs meanwhile goes on answering and then answers from the new one. Stopped half way, nothing has changed. ` +
		`It cannot begin later in the log: a row is made of all events of its video.`
}

// readModel is what can be rebuilt.
type readModel interface {
	Rebuild(ctx context.Context, log projections.Log, progress func(domain.Position)) (projections.Rebuilt, error)
	Verify(ctx context.Context, log projections.Log, progress func(domain.Position)) (projections.Rebuilt, error)
}

// readModels names all of them.
func readModels() []string {
	return []string{projections.CatalogName, projections.PlaybackName, projections.AnalyticsName}
}

// Run rebuilds beside the read models in use, also while a server runs.
func (r replayCmd) Run(ctx context.Context, c *console) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	log, err := opened.readLog(ctx)
	if err != nil {
		return err
	}
	views, err := opened.openViews(ctx)
	if err != nil {
		return err
	}
	names := []string{r.Projection}
	if r.Projection == "all" {
		names = readModels()
	}
	var different []string
	for _, name := range names {
		done, err := r.replay(ctx, c, log, name, views.model(name))
		switch {
		case err != nil && ctx.Err() != nil:
			if !c.json {
				c.printf("%s: stopped; the read model in use is as it was\n", name)
			}
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("replay %s: %w", name, err)
		}
		if err := done.print(c); err != nil {
			return err
		}
		if !done.Equal {
			different = append(different, name)
		}
	}
	if r.Verify && len(different) > 0 {
		return fmt.Errorf("not what the log gives: %s", strings.Join(different, ", "))
	}
	return nil
}

func (r replayCmd) replay(
	ctx context.Context, c *console, log projections.Log, name string, model readModel,
) (done replayed, err error) {
	head, err := log.Head(ctx)
	if err != nil {
		return replayed{}, err
	}
	build := model.Rebuild
	if r.DryRun || r.Verify {
		build = model.Verify
	}
	bars := mpb.New(mpb.WithOutput(barOutput(c)), mpb.WithWidth(40))
	bar := bars.AddBar(int64(head), mpb.PrependDecorators(decor.Name(name+" ")),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d events "), decor.AverageSpeed(0, "%.0f/s "), decor.AverageETA(decor.ET_STYLE_GO)))
	start := time.Now()
	result, err := build(ctx, log, func(p domain.Position) { bar.SetCurrent(int64(p)) })
	bar.Abort(false)
	bars.Wait()
	if err != nil {
		return replayed{}, err
	}
	done = replayed{
		Projection: name, Events: int64(head), Seconds: time.Since(start).Seconds(), Rows: result.Rows,
		Position: result.Position, Equal: result.Equal(), New: result.New, Different: result.Different,
		Switched: !r.DryRun && !r.Verify,
	}
	done.EventsPerSecond = float64(head) / max(done.Seconds, 1e-9)
	return done, nil
}

// replayed is the outcome for one read model, also as --json shows it.
type replayed struct {
	Projection      string          `json:"projection"`
	Events          int64           `json:"events"`
	Seconds         float64         `json:"seconds"`
	EventsPerSecond float64         `json:"events_per_second"`
	Rows            int             `json:"rows"`
	Position        domain.Position `json:"position"`            // where the two were compared
	Equal           bool            `json:"equal"`               // to the one that was in use
	New             bool            `json:"new,omitempty"`       // the one that was in use had not begun
	Different       []string        `json:"different,omitempty"` // the first rows, or days, that are not
	Switched        bool            `json:"switched"`
}

func (d replayed) print(c *console) error {
	if c.json {
		b, err := json.Marshal(d)
		if err != nil {
			return err
		}
		c.printf("%s\n", b)
		return nil
	}
	c.printf("%s: %d events in %.2f s (%.0f/s), %d rows; %s", d.Projection, d.Events, d.Seconds, d.EventsPerSecond, d.Rows,
		comparison(d.New, d.Different, d.Position))
	if d.Switched {
		c.printf("; switched to the new one\n")
	} else {
		c.printf("; nothing changed\n")
	}
	return nil
}

func comparison(isNew bool, different []string, at domain.Position) string {
	switch {
	case isNew:
		return "there was none before"
	case len(different) == 0:
		return fmt.Sprintf("equal to the one in use at position %d", at)
	}
	return fmt.Sprintf("the one in use at position %d was wrong in %s", at, strings.Join(different, ", "))
}

// verifyViews builds every read model and says what is wrong in those in use.
func verifyViews(ctx context.Context, log projections.Log, v views) ([]string, error) {
	var wrong []string
	for _, name := range readModels() {
		result, err := v.model(name).Verify(ctx, log, nil)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", name, err)
		}
		if !result.Equal() {
			wrong = append(wrong, name+": "+comparison(result.New, result.Different, result.Position))
		}
	}
	return wrong, nil
}
