package main

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

// Views are looked through for those that are too old, or too many, where nothing else is said.
const (
	playsPruned = time.Hour
	playsDays   = 400
	playsMost   = 10_000_000
)

// plays is where views are kept: beside the log, since nothing can make them again. No rebuild touches it.
func (o *opener) plays(ctx context.Context) (projections.Plays, error) {
	db, dir, err := o.logPlace(ctx)
	if err != nil {
		return nil, err
	}
	if db != nil {
		return mongo.OpenPlays(ctx, db)
	}
	plays, err := sqlite.OpenPlays(ctx, dir)
	return keep(o, plays, err)
}

// addPlays records what players tell, and forgets what is old.
func (a *app) addPlays() {
	a.part(func(ctx context.Context) error {
		return messaging.ConsumePlays(ctx, messaging.Consumer{Subscriber: a.bus.Subscriber(groupAnalytics), Log: a.log}, a.plays.Record)
	})
	a.part(func(ctx context.Context) error {
		tick := time.NewTicker(playsPruned)
		defer tick.Stop()
		for {
			now := time.Now()
			if _, err := a.plays.Salt(ctx, now); err != nil && ctx.Err() == nil { // also where nobody watches any more
				a.log.WarnContext(ctx, "the salt of yesterday could not be forgotten", "error", err)
			}
			before := now.AddDate(0, 0, -cmp.Or(a.PlaysDays, playsDays))
			switch n, err := a.plays.Prune(ctx, before, cmp.Or(a.PlaysMost, playsMost)); {
			case err != nil && ctx.Err() == nil:
				a.log.WarnContext(ctx, "old views could not be forgotten", "error", err)
			case n > 0:
				a.log.InfoContext(ctx, "old views are forgotten", "views", n)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// beacons publishes what players tell. A process that has no other use for the bus opens it when the first player tells
// something: until then, and for all else, it may be away.
func (a *app) beacons() *messaging.Plays {
	later := &laterPublisher{open: func(context.Context) (message.Publisher, error) { return a.bus.publisher() }}
	if a.bus == nil {
		opened := a.opener(a.log)
		a.opened.closers = append(a.opened.closers, opened)
		later.open = opened.openPublisher
	}
	return messaging.NewPlays(later.get)
}

type laterPublisher struct {
	open func(context.Context) (message.Publisher, error)

	mu  sync.Mutex
	pub message.Publisher
}

func (l *laterPublisher) get(ctx context.Context) (message.Publisher, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pub != nil {
		return l.pub, nil
	}
	pub, err := l.open(ctx)
	if err == nil {
		l.pub = pub
	}
	return pub, err
}

// openPublisher opens what is needed of the bus to publish what players tell, and nothing else.
func (o *opener) openPublisher(ctx context.Context) (message.Publisher, error) {
	at, err := o.bus()
	if err != nil {
		return nil, err
	}
	if at.scheme == "sqlite" {
		queues, err := o.openQueues(ctx, at, bus.Options{Shared: true, Now: time.Now})
		if err != nil {
			return nil, err
		}
		return queues.publisher()
	}
	options, err := o.awsOptions(ctx, at)
	if err != nil {
		return nil, err
	}
	options.DoNotCreate = true
	options.Topics = []aws.Topic{{Name: messaging.TopicViews, Groups: []aws.Group{{Name: groupAnalytics}}}}
	b, err := aws.Open(ctx, options)
	if b, err = keep(o, b, err); err != nil {
		return nil, err
	}
	return b.Publisher()
}
