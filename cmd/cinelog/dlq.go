package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/sqlite"
)

type dlqCmd struct {
	Ls      dlqLsCmd      `cmd:"" help:"List the messages that were given up on."`
	Redrive dlqRedriveCmd `cmd:"" help:"Send one of them again."`
	Drop    dlqDropCmd    `cmd:"" help:"Throw one of them away."`
}

type dlqLsCmd struct{}

// Run lists the dead letters.
func (dlqLsCmd) Run(ctx context.Context, c *console) error {
	return withQueues(ctx, c, func(q *bus.Queues) error {
		letters, err := q.DeadLetters(ctx)
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
			c.printf("%d  %s/%s  %d tries  %s\n    %s\n    %.200s\n", l.ID, l.Topic, l.Group, l.Attempts, l.Died.Local().Format("2006-01-02 15:04:05"), l.Reason, l.Payload)
		}
		if len(letters) == 0 && !c.json {
			c.printf("No dead letters.\n")
		}
		return nil
	})
}

type dlqRedriveCmd struct {
	ID int64 `arg:"" help:"Number of the dead letter, as ls prints it."`
}

// Run sends a dead letter again.
func (d dlqRedriveCmd) Run(ctx context.Context, c *console) error {
	return withQueues(ctx, c, func(q *bus.Queues) error { return q.Redrive(ctx, d.ID) })
}

type dlqDropCmd struct {
	ID int64 `arg:"" help:"Number of the dead letter, as ls prints it."`
}

// Run throws a dead letter away.
func (d dlqDropCmd) Run(ctx context.Context, c *console) error {
	return withQueues(ctx, c, func(q *bus.Queues) error { return q.Drop(ctx, d.ID) })
}

func withQueues(ctx context.Context, c *console, do func(*bus.Queues) error) error {
	db, err := sqlite.OpenDB(ctx, filepath.Join(c.data, "bus.db"), sqlite.Normal)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	queues, err := bus.Open(ctx, db, bus.Options{Shared: true, Now: time.Now})
	if err != nil {
		return err
	}
	defer func() { _ = queues.Close() }()
	return do(queues)
}
