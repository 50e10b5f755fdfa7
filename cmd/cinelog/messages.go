package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Consumer groups, each with a queue of its own.
const (
	groupTranscoding = "transcoding"
	groupProjector   = "projector"
	groupAnalytics   = "analytics"
	groupWorkers     = "workers"
)

func consumerGroups() map[string][]string {
	return map[string][]string{
		messaging.TopicEvents: {groupTranscoding, groupProjector, groupAnalytics},
		messaging.TopicViews:  {groupAnalytics},
		messaging.TopicUrgent: {groupWorkers},
		messaging.TopicTasks:  {groupWorkers},
	}
}

// wantedTypes are the events that a group does something about; none means all of them.
func wantedTypes(topic, group string) []string {
	if topic != messaging.TopicEvents {
		return nil
	}
	switch group {
	case groupTranscoding:
		return commands.TranscodingEvents()
	case groupAnalytics:
		return projections.FactEvents()
	}
	return nil
}

// messageBus is the bus as this program uses it, wherever it is.
type messageBus interface {
	Subscriber(group string) message.Subscriber
	publisher() (message.Publisher, error)
	relay() (projections.Target, error)
	WatchDeadLetters(
		ctx context.Context, topic, group string, handle func(context.Context, messaging.DeadLetter) error,
	) error
	DeadLetters(ctx context.Context) ([]messaging.DeadLetter, error)
	Backlogs(ctx context.Context) ([]messaging.Backlog, error)
	// published is how far the relay has come, and setPublished moves that where it cannot be right.
	published(ctx context.Context) (domain.Position, error)
	setPublished(ctx context.Context, to domain.Position) error
	// underWay are the videos that a message of one of the groups is about. all says that they may be any: what lies in queues
	// cannot be looked at.
	underWay(ctx context.Context, groups ...string) (videos map[string]bool, all bool, err error)
	Redrive(ctx context.Context, id string) error
	Drop(ctx context.Context, id string) error
}

const relayName = "relay"

type sqliteBus struct{ *bus.Queues }

func (b sqliteBus) publisher() (message.Publisher, error) { return b.Publisher(), nil }

func (b sqliteBus) relay() (projections.Target, error) { return b.Relay(relayName), nil }

func (b sqliteBus) published(ctx context.Context) (domain.Position, error) {
	return b.LoadCheckpoint(ctx, relayName)
}

func (b sqliteBus) setPublished(ctx context.Context, to domain.Position) error {
	return b.SaveCheckpoint(ctx, relayName, to)
}

func (b sqliteBus) underWay(ctx context.Context, groups ...string) (map[string]bool, bool, error) {
	videos, err := b.Videos(ctx, groups...)
	return videos, false, err
}

type awsBus struct {
	*aws.Bus
	checkpoint messaging.Checkpoints
}

func (b awsBus) publisher() (message.Publisher, error) { return b.Publisher() }

func (b awsBus) relay() (projections.Target, error) {
	pub, err := b.Publisher()
	if err != nil {
		return nil, err
	}
	return standby{messaging.NewRelay(relayName, pub, b.checkpoint)}, nil
}

func (b awsBus) published(ctx context.Context) (domain.Position, error) {
	return b.checkpoint.LoadCheckpoint(ctx, relayName)
}

func (b awsBus) setPublished(ctx context.Context, to domain.Position) error {
	if _, err := b.published(ctx); err != nil { // which is where it is moved from
		return err
	}
	return b.checkpoint.SaveCheckpoint(ctx, relayName, to)
}

// underWay knows only whether there is anything.
func (b awsBus) underWay(ctx context.Context, groups ...string) (_ map[string]bool, all bool, err error) {
	backlogs, err := b.Backlogs(ctx)
	return nil, slices.ContainsFunc(backlogs, func(l messaging.Backlog) bool {
		return slices.Contains(groups, l.Group) && l.Ready+l.InWork+l.Delayed > 0
	}), err
}

// standby is a relay beside others. When it learns that another one has published the same events at the same time it
// stands back for a while: without that, all relays would publish everything at the same time.
type standby struct{ projections.Target }

// Apply implements projections.Target.
func (s standby) Apply(ctx context.Context, events []domain.Recorded) error {
	err := s.Target.Apply(ctx, events)
	if errors.Is(err, domain.ErrConflict) && !errors.Is(err, messaging.ErrPublished) { // then it was no race
		select {
		case <-ctx.Done():
		case <-time.After(tick):
		}
	}
	return err
}

// rowsCheckpoint keeps a checkpoint as the rows of a read model do, without any rows. Of two relays that publish the
// same events, the second learns that the first was faster, and goes on from there.
type rowsCheckpoint struct {
	rows projections.Rows[struct{}]

	mu sync.Mutex
	at domain.Position
}

var _ messaging.Checkpoints = (*rowsCheckpoint)(nil)

func (c *rowsCheckpoint) LoadCheckpoint(ctx context.Context, _ string) (domain.Position, error) {
	at, err := c.rows.Checkpoint(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
	return at, err
}

func (c *rowsCheckpoint) SaveCheckpoint(ctx context.Context, _ string, to domain.Position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.rows.Save(ctx, nil, nil, c.at, to); err != nil {
		return err
	}
	c.at = to
	return nil
}
