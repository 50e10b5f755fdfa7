package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

type eventsCmd struct {
	Tail  eventsTailCmd  `cmd:"" help:"Print events as they come; --after 0 starts from the first."`
	Show  eventsShowCmd  `cmd:"" help:"Print the history of one video."`
	Types eventsTypesCmd `cmd:"" help:"List the types of events, as they stand in the log and on the bus, with their schemas."`

	Export eventsExportCmd `cmd:"" help:"Write the log to a file, to carry it elsewhere or to keep it."`
	Import eventsImportCmd `cmd:"" help:"Put a file of export into a log that is empty or has a part of it; positions stay."`
}

type eventsTailCmd struct {
	After  int64 `help:"Begin after this position; -1 for the newest event." default:"-1"`
	Follow bool  `help:"Stay and print what comes." default:"true" negatable:""`
}

// Run prints events after a position.
func (e eventsTailCmd) Run(ctx context.Context, c *console) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	log, err := opened.readLog(ctx)
	if err != nil {
		return err
	}
	after := domain.Position(e.After)
	if after < 0 {
		if after, err = log.Head(ctx); err != nil {
			return err
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		events, err := log.ReadAfter(ctx, after, 1000)
		if err != nil {
			return err
		}
		for _, r := range events {
			if err := printEvent(c, r); err != nil {
				return err
			}
			after = r.Position
		}
		switch {
		case len(events) > 0:
			continue
		case !e.Follow:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

type eventsShowCmd struct {
	Video string `arg:"" help:"Id of the video."`
}

// Run prints a stream.
func (e eventsShowCmd) Run(ctx context.Context, c *console) error {
	id, err := domain.ParseVideoID(e.Video)
	if err != nil {
		return err
	}
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	log, err := opened.readLog(ctx)
	if err != nil {
		return err
	}
	events, err := log.ReadStream(ctx, string(id), 0)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return fmt.Errorf("%w: no video %s in this log", domain.ErrNotFound, id)
	}
	for _, r := range events {
		if err := printEvent(c, r); err != nil {
			return err
		}
	}
	return nil
}

type eventsTypesCmd struct{}

// Help is what --help says beside the list of flags.
func (eventsTypesCmd) Help() string {
	return `Beside each type stands the $id of the JSON Schema of its data; docs/events has the schemas, and asyncapi.yaml.`
}

// Run lists the types.
func (eventsTypesCmd) Run(c *console) error {
	for _, t := range domain.EventTypes() {
		if !c.json {
			c.printf("%-34s %s\n", t, domain.EventSchemaID(t))
			continue
		}
		b, err := json.Marshal(map[string]string{"type": t, "schema": domain.EventSchemaID(t)})
		if err != nil {
			return err
		}
		c.printf("%s\n", b)
	}
	return nil
}

func printEvent(c *console, r domain.Recorded) error {
	if c.json {
		b, err := domain.MarshalCloudEvent(r)
		if err != nil {
			return err
		}
		c.printf("%s\n", b)
		return nil
	}
	t, data, err := domain.EncodeEvent(r.Event)
	if err != nil {
		return err
	}
	const most = 150
	if len(data) > most {
		data = append(data[:most:most], "…"...)
	}
	c.printf("%8d  %s  %s/%-3d %-28s %s\n", r.Position, r.Time.Local().Format("15:04:05.000"), short(r.Stream), r.Version, t, data)
	return nil
}

// short is the end of an id: the start of a UUIDv7 is its time, the same for neighbours.
func short(id string) string { return id[max(0, len(id)-8):] }

func openLogToRead(ctx context.Context, dir string) (*sqlite.LogReader, error) {
	if !hasLog(dir) {
		return nil, fmt.Errorf("there is no event log in %s: name the data folder with --data (or the log with --log), or start a server there first", dir)
	}
	return sqlite.OpenLogReadOnly(ctx, dir)
}

func hasLog(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "events.db"))
	return err == nil
}

// eventSummary says in a few words what an event brought, for timelines.
func eventSummary(e domain.Event) string {
	switch e := e.(type) {
	case domain.VideoUploaded:
		return fmt.Sprintf("%d bytes, sha256 %.12s…", e.Source.Bytes, e.Source.SHA256)
	case domain.SourceInspected:
		s := e.Source
		return fmt.Sprintf("%s, %s %dx%d at %.2f frames/s, %.1f s", s.Container, s.VideoCodec, s.Width, s.Height, s.FrameRate.Float(), s.Duration)
	case domain.TranscodePlanned:
		if e.Plan.Open {
			return fmt.Sprintf("%d renditions at most, in %d chunks", len(e.Plan.Rungs), len(e.Plan.Chunks))
		}
		return fmt.Sprintf("%d renditions in %d chunks", len(e.Plan.Rungs), len(e.Plan.Chunks))
	case domain.ChunkTranscoded:
		return fmt.Sprintf("chunk %d", e.Chunk)
	case domain.SourceRemuxed:
		return fmt.Sprintf("part %d, %d segments", e.Part, len(e.Segments))
	case domain.AudioTranscoded:
		return fmt.Sprintf("%s, part %d, %d segments", domain.AudioName(e.Track), e.Part, len(e.Segments))
	case domain.AudioLeftOut:
		return domain.AudioName(e.Track) + ": " + e.Failure.Error()
	case domain.RenditionProduced:
		return fmt.Sprintf("%s, %s, %d kbit/s on average", e.Name, e.Codecs, e.AverageBandwidth/1000)
	case domain.SourceRejected:
		return e.Failure.Error()
	case domain.TranscodeFailed:
		return e.Failure.Error()
	case domain.VideoCreated:
		return e.Details.Title
	case domain.PosterProduced:
		return fmt.Sprintf("%dx%d", e.Width, e.Height)
	case domain.StoryboardProduced:
		return fmt.Sprintf("%dx%d tiles of %dx%d, one each %g s", e.Columns, e.Rows, e.Width, e.Height, e.Interval)
	case domain.CaptionAdded:
		return strings.TrimSpace(e.Language + " " + e.Label)
	case domain.PreviewProduced:
		return fmt.Sprintf("%dx%d, %.1f s", e.Width, e.Height, e.Duration)
	case domain.VideoDetailsChanged, domain.PlaybackPolicyChanged, domain.TranscodeRequested,
		domain.VideoPublished, domain.VideoUnpublished, domain.CaptionRemoved, domain.VideoDeleted:
	case domain.VideoErased:
		return fmt.Sprintf("%d events", len(e.Events))
	}
	b, err := json.Marshal(e)
	if err != nil || string(b) == "{}" {
		return ""
	}
	return string(b)
}
