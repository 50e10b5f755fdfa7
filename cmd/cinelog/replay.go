package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
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
	Rate       int    `help:"Events per second at most; as fast as it goes by default." placeholder:"N"`
	Fresh      bool   `help:"Begin at the first event, also where a build was cut off that could be gone on with."`
	Rollback   bool   `help:"Go back to the generation before the last replay, brought up to date."`
	To         int64  `help:"Look at the past: write the rows as they were at this position to --out; touches nothing." placeholder:"POSITION"`
	Out        string `help:"File for --to, of JSON Lines; - for the standard output." placeholder:"FILE"`
}

// Help is what --help says beside the list of flags.
func (replayCmd) Help() string {
	return `The read model is built from the log's first event on, beside the one in use, compared with it and put in its place. ` +
		`A server that runs meanwhile goes on answering and then answers from the new one. Stopped half way, nothing has changed, ` +
		`and the same command goes on where it was, if log, program and skipped events are the same. The one before is kept until ` +
		`the next replay, for --rollback. Events that a projection is to skip (cinelog projections skip) are left out. ` +
		`It cannot begin later in the log: a row is made of all events of its video.`
}

func (r replayCmd) check() error {
	switch {
	case (r.To != 0) != (r.Out != ""):
		return usageError("--to and --out belong together")
	case r.To < 0 || r.Rate < 0:
		return usageError("--to and --rate: at least 1")
	case r.To > 0 && r.Projection == "all":
		return usageError("--to: of one projection at a time")
	case r.Rollback && (r.DryRun || r.Verify || r.To > 0 || r.Fresh):
		return usageError("--rollback builds nothing: it goes with no other flag but --rate")
	}
	return nil
}

// Run rebuilds beside the read models in use, also while a server runs.
func (r replayCmd) Run(ctx context.Context, c *console) error {
	if err := r.check(); err != nil {
		return err
	}
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	log, err := opened.readLog(ctx)
	if err != nil {
		return err
	}
	if r.To > 0 {
		return r.lookBack(ctx, c, opened, log)
	}
	views, err := opened.openViews(ctx)
	if err != nil {
		return err
	}
	names := []string{r.Projection}
	if r.Projection == "all" {
		names = readModels()
	}
	doing := &replaying{log: log, views: views}
	defer new(projections.RightOfWay).Working()()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, behindServers) // where that is not allowed it only disturbs more
	var different []string
	for _, name := range names {
		done, err := r.replay(ctx, c, doing, name)
		switch {
		case err != nil && ctx.Err() != nil:
			if !c.json {
				c.printf("%s: stopped at %d; the read model in use is as it was%s\n", name, done.Position, r.goesOn())
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

// behindServers is the niceness of a replay: a server on the same machine comes first.
const behindServers = 10

func (r replayCmd) goesOn() string {
	if r.DryRun || r.Verify || r.Rollback {
		return ""
	}
	return ", and the same command goes on there"
}

func (r replayCmd) kind() projections.ReplayKind {
	switch {
	case r.Rollback:
		return projections.ReplayRollback
	case r.DryRun, r.Verify:
		return projections.ReplayDryRun
	}
	return projections.ReplayRebuild
}

func (r replayCmd) replay(ctx context.Context, c *console, doing *replaying, name string) (done replayed, err error) {
	replay, err := newReplay(name, r.kind(), r.Rate)
	if err != nil {
		return done, err
	}
	progress := newReplayProgress(c, name)
	result, err := doing.run(ctx, replay, r.Fresh, nil, progress.update)
	last := progress.end()
	done = replayed{
		Projection: name, Events: int64(last.Position), Resumed: last.Resumed, Seconds: time.Since(replay.Started).Seconds(), Rows: result.Rows,
		Position: result.Position, Equal: result.Equal(), New: result.New, Different: result.Different,
		Switched: !r.DryRun && !r.Verify, RolledBack: r.Rollback,
	}
	done.EventsPerSecond = float64(last.Position-last.Resumed) / max(done.Seconds, 1e-9)
	if err != nil {
		done.Position = last.Position
	}
	return done, err
}

// replayProgress shows how far a replay is: as a bar, or where there is no terminal as a line now and then.
type replayProgress struct {
	c    *console
	bars *mpb.Progress
	bar  *mpb.Bar
	last atomic.Pointer[projections.Replay] // which the bar looks at whenever it likes
	said time.Time
	name string
}

// lineEvery is how often a line says how far a replay is.
const lineEvery = 5 * time.Second

func newReplayProgress(c *console, name string) *replayProgress {
	p := &replayProgress{c: c, name: name, said: time.Now(), bars: mpb.New(mpb.WithOutput(barOutput(c)), mpb.WithWidth(40))}
	p.last.Store(&projections.Replay{})
	p.bar = p.bars.AddBar(0, mpb.PrependDecorators(decor.Name(name+" ")), mpb.AppendDecorators(
		decor.CountersNoUnit("%d / %d events "),
		decor.Any(func(decor.Statistics) string { return fmt.Sprintf("%.0f/s ", p.last.Load().PerSecond()) }),
		decor.Any(func(decor.Statistics) string { return p.last.Load().Left().Round(time.Second).String() })))
	return p
}

// update is called by one goroutine at a time.
func (p *replayProgress) update(r projections.Replay) {
	if r.Resumed > 0 && p.last.Load().Resumed == 0 && !p.c.json {
		p.c.printf("%s: resumed at %d\n", p.name, r.Resumed)
	}
	p.last.Store(&r)
	p.bar.SetTotal(int64(r.Head), false)
	p.bar.SetCurrent(int64(r.Position))
	if barOutput(p.c) != io.Discard || time.Since(p.said) < lineEvery || r.State != projections.ReplayRunning {
		return
	}
	p.said = time.Now()
	_, _ = fmt.Fprintf(p.c.err, "%s: %d / %d events, %.0f/s, %s left\n", p.name, r.Position, r.Head, r.PerSecond(), r.Left().Round(time.Second))
}

func (p *replayProgress) end() projections.Replay {
	p.bar.Abort(false)
	p.bars.Wait()
	return *p.last.Load()
}

// replayed is the outcome for one read model, also as --json shows it.
type replayed struct {
	Projection      string          `json:"projection"`
	Events          int64           `json:"events"`
	Resumed         domain.Position `json:"resumed,omitempty"` // where it went on
	Seconds         float64         `json:"seconds"`
	EventsPerSecond float64         `json:"events_per_second"`
	Rows            int             `json:"rows"`
	Position        domain.Position `json:"position"`            // where the two were compared
	Equal           bool            `json:"equal"`               // to the one that was in use
	New             bool            `json:"new,omitempty"`       // the one that was in use had not begun
	Different       []string        `json:"different,omitempty"` // the first rows, or days, that are not
	Switched        bool            `json:"switched"`
	RolledBack      bool            `json:"rolled_back,omitempty"`
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
	if d.RolledBack {
		c.printf("%s: back to the generation before, brought up to %d, %d rows\n", d.Projection, d.Position, d.Rows)
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

// namedAtMost is how many keys of rows are named to people.
const namedAtMost = 4

func comparison(isNew bool, different []string, at domain.Position) string {
	switch {
	case isNew:
		return "nothing of this version to compare with"
	case len(different) == 0:
		return fmt.Sprintf("equal to the one in use at position %d", at)
	}
	some := strings.Join(different[:min(len(different), namedAtMost)], ", ")
	if more := len(different) - namedAtMost; more > 0 {
		some += fmt.Sprintf(" and at least %d more", more)
	}
	return fmt.Sprintf("the one in use at position %d was wrong in %s", at, some)
}
