package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

type projectionsCmd struct {
	Ls     projectionsLsCmd     `cmd:"" help:"List the projections: what they do, how far they are, why they have halted, what they skip."`
	Pause  projectionsPauseCmd  `cmd:"" help:"Have a projection stop where it is."`
	Resume projectionsResumeCmd `cmd:"" help:"Have a projection go on; one that has halted tries again."`
	Skip   projectionsSkipCmd   `cmd:"" help:"Have a projection go without an event, for good: it is recorded, and left out of rebuilds too."`
}

// Help is what --help says beside the list of commands.
func (projectionsCmd) Help() string {
	return `It works beside a running server, which takes notice within two seconds, and without one. A projection that cannot ` +
		`apply an event halts there; the others go on, and the server with them.`
}

type projectionsLsCmd struct{}

// Run lists the projections.
func (projectionsLsCmd) Run(ctx context.Context, c *console) error {
	return overseen(ctx, c, func(o overseer) error {
		all, err := o.Projections(ctx)
		if err != nil {
			return err
		}
		if c.json {
			for _, p := range all {
				b, err := json.Marshal(web.NewProjectionAnswer(p))
				if err != nil {
					return err
				}
				c.printf("%s\n", b)
			}
			return nil
		}
		return printProjections(c, all)
	})
}

func printProjections(c *console, all []projections.Status) error {
	t := &console{out: tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)}
	t.printf("NAME\tSTATE\tVERSION\tGENERATION\tPOSITION\tLAG\n")
	for _, p := range all {
		t.printf("%s\t%s\t%d\t%s\t%d / %d\t%d events, %s\n", p.Name, p.State, p.Stored.Version, p.Stored.Generation, p.Stored.Position, p.Head,
			p.Lag, p.LagTime.Round(time.Second))
	}
	if w, ok := t.out.(*tabwriter.Writer); ok {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, p := range all {
		printRest(c, p)
	}
	return nil
}

// printRest prints what a line of a table has no room for.
func printRest(c *console, p projections.Status) {
	const stamp = "2006-01-02 15:04:05"
	if p.Stored.Version != p.Version {
		c.printf("%s: the rows in use are of version %d, this program has %d\n", p.Name, p.Stored.Version, p.Version)
	}
	if p.Control.Paused {
		c.printf("%s: paused since %s\n", p.Name, p.Control.PausedSince.Local().Format(stamp))
	}
	if h := p.Control.Halt; h != nil {
		c.printf("%s: halted at %d since %s, %s of video %s: %s\n", p.Name, h.Position, h.Since.Local().Format(stamp), h.Type, h.Video, h.Error)
	}
	if r := p.Replay; r != nil {
		c.printf("%s: %s at %d of %d, %.0f events/s, %s left\n", p.Name, r.Kind, r.Position, r.Head, r.PerSecond(), r.Left().Round(time.Second))
	}
	for _, s := range p.Control.Skips {
		c.printf("%s: skips %d since %s: %s\n", p.Name, s.Position, s.Time.Local().Format(stamp), s.Reason)
	}
}

type projectionsPauseCmd struct {
	Name string `arg:"" help:"Which projection: catalog, playback or analytics."`
}

// Run pauses a projection.
func (p projectionsPauseCmd) Run(ctx context.Context, c *console) error {
	return overseen(ctx, c, func(o overseer) error { return o.Pause(ctx, p.Name) })
}

type projectionsResumeCmd struct {
	Name string `arg:"" help:"Which projection: catalog, playback or analytics."`
}

// Run ends a pause, or has a projection try again.
func (p projectionsResumeCmd) Run(ctx context.Context, c *console) error {
	return overseen(ctx, c, func(o overseer) error { return o.Resume(ctx, p.Name) })
}

type projectionsSkipCmd struct {
	Name     string `arg:"" help:"Which projection: catalog, playback or analytics."`
	Position int64  `required:"" help:"Of the event."`
	Reason   string `required:"" help:"Why; it is kept."`
}

// Run records that a projection is to skip an event.
func (p projectionsSkipCmd) Run(ctx context.Context, c *console) error {
	return overseen(ctx, c, func(o overseer) error {
		at := domain.Position(p.Position)
		if err := o.Skip(ctx, p.Name, at, p.Reason); err != nil {
			return err
		}
		now, err := o.Projection(ctx, p.Name)
		if err == nil && !c.json && now.Stored.Position >= at {
			c.printf("%s has applied %d already: \"cinelog replay %s\" makes it as if it had not\n", p.Name, at, p.Name)
		}
		return err
	})
}

func overseen(ctx context.Context, c *console, do func(overseer) error) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	log, err := opened.readLog(ctx)
	if err != nil {
		return err
	}
	v, err := opened.openViews(ctx)
	if err != nil {
		return err
	}
	return do(overseer{log, v})
}
