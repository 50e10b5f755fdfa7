package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
)

type eraseCmd struct {
	Video []string `arg:"" help:"Which videos, by their ids. They must be deleted."`
	Yes   bool     `help:"Do it. Nothing brings the texts back but a backup."`
}

// Help is what --help says beside the list of flags.
func (eraseCmd) Help() string {
	return `Titles, descriptions, tags, metadata, names of files, tracks and chapters, the owner, and details of failures are taken ` +
		`out of the events of deleted videos, for good: each event keeps its place, its type, its numbers and its hash, and the log ` +
		`gets an event that says what was erased. Read models, queues and the generations kept for a rollback follow. It works beside ` +
		`a running server and without one, and may be done again, as after a kill. Exports and other files that were made before ` +
		`still have the texts.`
}

// Run erases videos.
func (e eraseCmd) Run(ctx context.Context, c *console) (err error) {
	ids := make([]domain.VideoID, len(e.Video))
	for i, text := range e.Video {
		if ids[i], err = domain.ParseVideoID(text); err != nil {
			return err
		}
	}
	if !e.Yes {
		return usageError("what was said about these videos will be gone for good; say --yes")
	}
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { err = errors.Join(err, opened.Close()) }()
	eraser, err := opened.eraser(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		done, err := eraser.Erase(ctx, id)
		if err != nil {
			return err
		}
		if err := printErasure(c, id, done); err != nil {
			return err
		}
	}
	return nil
}

func printErasure(c *console, id domain.VideoID, done commands.Erasure) error {
	if !c.json {
		c.printf("%s: the texts of %d events are gone; recorded at position %d\n", id, done.Events, done.Position)
		return nil
	}
	b, err := json.Marshal(web.EraseAnswer{Video: string(id), Events: done.Events, Position: int64(done.Position)})
	if err == nil {
		c.printf("%s\n", b)
	}
	return err
}

// eraser opens all that a text may be in.
func (o *opener) eraser(ctx context.Context) (*commands.Eraser, error) {
	log, err := o.appendBeside(ctx)
	if err != nil {
		return nil, err
	}
	v, err := o.openViews(ctx)
	if err != nil {
		return nil, err
	}
	at, err := o.bus()
	if err != nil {
		return nil, err
	}
	var bus messageBus
	if at.scheme == "sqlite" {
		if bus, err = o.inspectBus(ctx); err != nil {
			return nil, err
		}
	}
	return newEraser(&commands.Service{Log: log, Now: time.Now}, log, v, bus), nil
}
