package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
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

	named, videos, err := blobsNamedByTheLog(ctx, log)
	if err != nil {
		return err
	}
	store, err := opened.openBlobs(ctx)
	switch {
	case errors.Is(err, os.ErrNotExist) && len(named) == 0: // nothing was ever stored
	case err != nil:
		return err
	default:
		lost, extra, err := compareBlobs(ctx, store, named, v.Quick)
		if err != nil {
			return err
		}
		add("media", "restore the file from a backup, or upload the video again", lost...)
		add("orphans", "harmless: a crash left them, or an encode is at work; the server removes them when it starts and when their video is done", extra...)
	}
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
		return fmt.Errorf("%d differences in %d events of %d videos", len(findings), head, videos)
	}
	if !c.json {
		c.printf("Nothing wrong: %d events of %d videos, %d media files, read models equal to the log.\n", head, videos, len(named))
	}
	return nil
}

// blobsNamedByTheLog folds the whole log to the blobs that must exist now.
func blobsNamedByTheLog(ctx context.Context, log projections.Log) (map[string]domain.Blob, int, error) {
	streams := map[string][]domain.Recorded{}
	for after := domain.Position(0); ; {
		events, err := log.ReadAfter(ctx, after, 5000)
		if err != nil {
			return nil, 0, err
		}
		if len(events) == 0 {
			break
		}
		for _, r := range events {
			streams[r.Stream] = append(streams[r.Stream], r)
			after = r.Position
		}
	}
	named := map[string]domain.Blob{}
	for _, events := range streams {
		for _, b := range commands.LiveBlobs(events) {
			named[b.Key] = b
		}
	}
	return named, len(streams), nil
}

func compareBlobs(ctx context.Context, store media, named map[string]domain.Blob, quick bool) (lost, extra []string, err error) {
	missing := maps.Clone(named)
	err = store.List(ctx, "", func(s commands.StoredBlob) error {
		want, ok := missing[s.Key]
		if !ok {
			extra = append(extra, s.Key+" is stored but no event names it")
			return nil
		}
		delete(missing, s.Key)
		if s.Bytes != want.Bytes {
			lost = append(lost, fmt.Sprintf("%s has %d bytes, the log says %d", s.Key, s.Bytes, want.Bytes))
			return nil
		}
		if quick {
			return nil
		}
		sum, err := store.sum(ctx, s.Key)
		if err == nil && sum != want.SHA256 {
			lost = append(lost, s.Key+" has other content than was recorded")
		}
		return err
	})
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		lost = append(lost, key+" is missing")
	}
	return lost, extra, err
}
