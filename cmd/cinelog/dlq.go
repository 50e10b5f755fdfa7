package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
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
		letters, err := q.letters(ctx)
		if err != nil {
			return err
		}
		for _, l := range letters {
			if c.json {
				b, err := json.Marshal(l)
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

type dlqRedriveCmd struct {
	ID string `arg:"" help:"Which dead letter, as ls prints it."`
}

// Run sends a dead letter again.
func (d dlqRedriveCmd) Run(ctx context.Context, c *console) error {
	return withBus(ctx, c, func(q messageBus) error { return q.redrive(ctx, d.ID) })
}

type dlqDropCmd struct {
	ID string `arg:"" help:"Which dead letter, as ls prints it."`
}

// Run throws a dead letter away.
func (d dlqDropCmd) Run(ctx context.Context, c *console) error {
	return withBus(ctx, c, func(q messageBus) error { return q.drop(ctx, d.ID) })
}

func withBus(ctx context.Context, c *console, do func(messageBus) error) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	q, err := opened.inspectBus(ctx)
	if err == nil {
		err = do(q)
	}
	return errors.Join(err, opened.Close())
}
