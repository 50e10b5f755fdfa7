package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"
)

type dlqCmd struct {
	Ls      dlqLsCmd      `cmd:"" help:"List the messages that were given up on."`
	Redrive dlqRedriveCmd `cmd:"" help:"Send one of them again."`
	Drop    dlqDropCmd    `cmd:"" help:"Throw one of them away."`
}

type dlqLsCmd struct{}

// Run lists the dead letters.
func (dlqLsCmd) Run(ctx context.Context, c *console) error {
	return withBus(ctx, c, func(q messageBus) error {
		letters, err := q.DeadLetters(ctx)
		if err != nil {
			return err
		}
		for _, l := range letters {
			if c.json {
				b, err := json.Marshal(deadLetter{
					ID: l.ID, Topic: l.Topic, Group: l.Group, Attempts: l.Attempts, Reason: l.Reason,
					Published: l.Published, Died: l.Died, Metadata: l.Metadata, Payload: string(l.Payload),
				})
				if err != nil {
					return err
				}
				c.printf("%s\n", b)
				continue
			}
			c.printf("%s  %s/%s  %d tries  %s\n    %s\n    %.200s\n", l.ID, l.Topic, l.Group, l.Attempts, l.Died.Local().Format("2006-01-02 15:04:05"), l.Reason, l.Payload)
		}
		if len(letters) == 0 && !c.json {
			c.printf("No dead letters.\n")
		}
		return nil
	})
}

// deadLetter is how ls prints one for programs.
type deadLetter struct {
	ID        string            `json:"id"`
	Topic     string            `json:"topic"`
	Group     string            `json:"group"`
	Attempts  int               `json:"attempts"`
	Reason    string            `json:"reason"`
	Published time.Time         `json:"published"`
	Died      time.Time         `json:"died,omitzero"`
	Metadata  map[string]string `json:"metadata"`
	Payload   string            `json:"payload"`
}

type dlqRedriveCmd struct {
	ID string `arg:"" help:"Which dead letter, as ls prints it."`
}

// Run sends a dead letter again.
func (d dlqRedriveCmd) Run(ctx context.Context, c *console) error {
	return withBus(ctx, c, func(q messageBus) error { return q.Redrive(ctx, d.ID) })
}

type dlqDropCmd struct {
	ID string `arg:"" help:"Which dead letter, as ls prints it."`
}

// Run throws a dead letter away.
func (d dlqDropCmd) Run(ctx context.Context, c *console) error {
	return withBus(ctx, c, func(q messageBus) error { return q.Drop(ctx, d.ID) })
}

func withBus(ctx context.Context, c *console, do func(messageBus) error) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	q, err := opened.inspectBus(ctx)
	if err == nil {
		err = do(q)
	}
	return errors.Join(err, opened.Close())
}
