package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
)

type verifyCmd struct {
	Quick bool `help:"Compare sizes of media only, not their SHA-256."`
}

// finding is one difference, with what to do about it.
type finding struct {
	Check string `json:"check"`
	What  string `json:"what"`
	Hint  string `json:"hint"`
}

// Run prints every difference, and fails when there is one.
func (v verifyCmd) Run(ctx context.Context, c *console) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	log, err := opened.readLog(ctx)
	if err != nil {
		return err
	}
	var findings []finding
	add := func(check, hint string, what ...string) {
		for _, w := range what {
			findings = append(findings, finding{check, w, hint})
		}
	}

	chain, err := log.VerifyChain(ctx)
	if err != nil {
		return err
	}
	add("log", "restore the log from a backup: it is the only truth", chain...)

	store, err := opened.openBlobs(ctx)
	if err != nil {
		return err
	}
	media, err := checkMedia(ctx, log, store, v.Quick)
	if err != nil {
		return err
	}
	add("media", "restore the file from a backup, or upload the video again", media.lost...)
	add("orphans", "harmless: a crash left them; the server removes them when their video is done", media.extra...)
	views, err := opened.openViews(ctx)
	if err != nil {
		return err
	}
	models, err := verifyViews(ctx, log, views)
	if err != nil {
		return err
	}
	add("read models", "rebuild it: cinelog replay all", models...)

	for _, f := range findings {
		if c.json {
			b, err := json.Marshal(f)
			if err != nil {
				return err
			}
			c.printf("%s\n", b)
			continue
		}
		c.printf("%-12s %s\n             → %s\n", f.Check, f.What, f.Hint)
	}
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		return fmt.Errorf("%d differences in %d events of %d videos", len(findings), head, media.videos)
	}
	if !c.json {
		c.printf("Nothing wrong: %d events of %d videos, %d media files, read models equal to the log.\n", head, media.videos, media.files)
	}
	return nil
}
