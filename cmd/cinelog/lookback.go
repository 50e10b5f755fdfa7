package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// lookBack writes the rows of a read model as they were at a position. They are built in a folder of their own, and the
// read model in use has no part in it.
func (r replayCmd) lookBack(ctx context.Context, c *console, opened *opener, log projections.Log) error {
	to := domain.Position(r.To)
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	if to > head {
		return usageError(fmt.Sprintf("--to %d: the log ends at %d", to, head))
	}
	controls, _, err := opened.controls(ctx)
	if err != nil {
		return err
	}
	said, err := controls.Control(ctx, r.Projection)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cinelog-replay-*")
	if err != nil {
		return fmt.Errorf("a folder to build in: %w", err)
	}
	var skips projections.Skips
	skips.Set(said.Skips)
	progress := newReplayProgress(c, r.Projection)
	started := time.Now()
	o := projections.CatchUpOptions{Batch: 5000, Until: to, Rate: r.Rate, Progress: func(p domain.Position) {
		progress.update(projections.Replay{State: projections.ReplayRunning, Position: p, Head: to, Started: started, Updated: time.Now()})
	}}
	rows := 0
	err = writeWhole(c, r.Out, func(w io.Writer) error {
		switch r.Projection {
		case projections.CatalogName:
			m := projections.CatalogModel()
			m.Skip = skips.Has
			rows, err = pastRows(ctx, w, dir, log, m, o)
		case projections.PlaybackName:
			m := projections.PlaybackModel()
			m.Skip = skips.Has
			rows, err = pastRows(ctx, w, dir, log, m, o)
		default:
			t := &pastFacts{to: json.NewEncoder(w), skip: skips.Has}
			_, err = projections.CatchUp(ctx, log, t, o)
			rows = t.rows
		}
		return err
	})
	progress.end()
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("look at the past of %s: %w", r.Projection, err)
	}
	if !c.json && r.Out != "-" {
		c.printf("%s: %d rows as of %d in %s; nothing changed\n", r.Projection, rows, to, r.Out)
	}
	return nil
}

// pastRow is a line of the file.
type pastRow struct {
	Key string          `json:"key"`
	Row json.RawMessage `json:"row"`
}

func pastRows[R any](
	ctx context.Context, w io.Writer, dir string, log projections.Log, m projections.Model[R], o projections.CatchUpOptions,
) (n int, err error) {
	rows, err := sqlite.OpenRows(ctx, dir, m)
	if err != nil {
		return 0, err
	}
	if _, err = projections.CatchUp(ctx, log, projections.NewReadModel(m, rows), o); err == nil {
		to := json.NewEncoder(w)
		err = rows.EachDocument(ctx, func(key string, doc []byte) error {
			n++
			return to.Encode(pastRow{key, doc})
		})
	}
	return n, errors.Join(err, rows.Close())
}

// pastFacts writes the facts behind the figures.
type pastFacts struct {
	to   *json.Encoder
	skip func(domain.Position) bool
	rows int
}

// pastFact is a line of the file.
type pastFact struct {
	Position domain.Position      `json:"position"`
	Kind     projections.FactKind `json:"kind"`
	Time     time.Time            `json:"time"`
	Video    domain.VideoID       `json:"video"`
	Attempt  int                  `json:"attempt,omitempty"`
	Code     domain.FailureCode   `json:"code,omitempty"`
	Bytes    int64                `json:"bytes,omitempty"`
	Seconds  float64              `json:"seconds,omitempty"` // of a source that was inspected
}

// Checkpoint implements projections.Target.
func (*pastFacts) Checkpoint(context.Context) (domain.Position, error) { return 0, nil }

// Apply implements projections.Target.
func (p *pastFacts) Apply(_ context.Context, events []domain.Recorded) error {
	for _, f := range projections.FactsOf(projections.Given(events, p.skip)...) {
		p.rows++
		if err := p.to.Encode(pastFact{f.Position, f.Kind, f.Time, f.Video, f.Attempt, f.Code, f.Bytes, f.Length.Seconds()}); err != nil {
			return err
		}
	}
	return nil
}

// writeWhole writes a file that is there when all of it is.
func writeWhole(c *console, path string, write func(io.Writer) error) error {
	if path == "-" {
		w := bufio.NewWriter(c.out)
		return errors.Join(write(w), w.Flush())
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = write(w)
	if err = errors.Join(err, w.Flush(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
