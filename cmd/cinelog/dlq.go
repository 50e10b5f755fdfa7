package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/cinelog/cinelog/web"
)

type dlqCmd struct {
	Ls      dlqLsCmd      `cmd:"" help:"List the messages that were given up on."`
	Show    dlqShowCmd    `cmd:"" help:"Show one of them, with its event."`
	Redrive dlqRedriveCmd `cmd:"" help:"Send one of them again, or all, of each video in order."`
	Drop    dlqDropCmd    `cmd:"" help:"Give one of them up for good."`
}

// picked says which dead letters.
type picked struct {
	Topic string `help:"Only of this topic: events, urgent or tasks." placeholder:"NAME"`
	Group string `help:"Only of this consumer group." placeholder:"NAME"`
	Video string `help:"Only about this video." placeholder:"ID"`
}

type dlqLsCmd struct{ picked }

// Run lists the dead letters.
func (d dlqLsCmd) Run(ctx context.Context, c *console) error {
	return withLetters(c, func(letters deadLetters) error {
		all, err := letters.List(ctx, web.PickLetters(d.picked))
		if err != nil {
			return err
		}
		for _, l := range all {
			if c.json {
				b, err := json.Marshal(l)
				if err != nil {
					return err
				}
				c.printf("%s\n", b)
				continue
			}
			c.printf("%s  %s/%s  %d tries  %s\n    %s\n    %.200s\n", l.ID, l.Topic, l.Group, l.Attempts, letterTime(l.Died), l.Reason, l.Payload)
		}
		if len(all) == 0 && !c.json {
			c.printf("No dead letters.\n")
		}
		return nil
	})
}

type dlqShowCmd struct {
	ID string `arg:"" help:"Which dead letter, as ls prints it."`
}

// Run shows a dead letter.
func (d dlqShowCmd) Run(ctx context.Context, c *console) error {
	return withLetters(c, func(letters deadLetters) error {
		l, err := letters.Get(ctx, d.ID)
		if err != nil {
			return err
		}
		if c.json {
			b, err := json.Marshal(l)
			if err != nil {
				return err
			}
			c.printf("%s\n", b)
			return nil
		}
		c.printf("%s  %s/%s  %s\nvideo      %s\npublished  %s\ntries      %d\n", l.ID, l.Topic, l.Group, l.Type, l.Video, letterTime(l.Published), l.Attempts)
		if l.FirstReason != "" {
			c.printf("first      %s  %s\n", letterTime(l.FirstFailed), l.FirstReason)
		}
		c.printf("last       %s  %s\n", letterTime(l.Died), l.Reason)
		body := []byte(l.Payload)
		if l.Event != nil {
			body = l.Event
		}
		var pretty bytes.Buffer
		if json.Indent(&pretty, body, "", "  ") == nil {
			body = pretty.Bytes()
		}
		c.printf("%s\n", body)
		return nil
	})
}

func letterTime(t time.Time) string {
	if t.IsZero() {
		return "unknown when"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

type dlqRedriveCmd struct {
	picked

	ID  string `arg:"" optional:"" help:"Which dead letter, as ls prints it."`
	All bool   `help:"All of them, or those that --topic, --group and --video pick; of each video in the order of the events."`
}

// Run sends dead letters again.
func (d dlqRedriveCmd) Run(ctx context.Context, c *console) error {
	if d.All == (d.ID != "") || (!d.All && d.picked != picked{}) {
		return usageError("either the id of one, or --all, with --topic, --group and --video to pick")
	}
	return withLetters(c, func(letters deadLetters) error {
		if !d.All {
			return letters.Redrive(ctx, d.ID)
		}
		n, err := letters.RedriveAll(ctx, web.PickLetters(d.picked))
		switch {
		case err != nil:
		case c.json:
			c.printf("{\"redriven\":%d}\n", n)
		default:
			c.printf("%d sent again.\n", n)
		}
		return err
	})
}

type dlqDropCmd struct {
	ID string `arg:"" help:"Which dead letter, as ls prints it."`
}

// Run gives a dead letter up.
func (d dlqDropCmd) Run(ctx context.Context, c *console) error {
	return withLetters(c, func(letters deadLetters) error { return letters.Drop(ctx, d.ID) })
}

func withLetters(c *console, do func(deadLetters) error) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	return errors.Join(do(opened.letters()), opened.Close())
}
