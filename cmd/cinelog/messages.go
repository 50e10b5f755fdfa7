package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/bus"
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
		bus.TopicEvents: {groupTranscoding, groupProjector, groupAnalytics},
		bus.TopicTasks:  {groupWorkers},
	}
}

// wantedTypes are the events that a group does something about; none means all of them.
func wantedTypes(group string) []string {
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
	watch(ctx context.Context, topic, group string, handle func(context.Context, deadLetter) error) error
	letters(ctx context.Context) ([]deadLetter, error)
	redrive(ctx context.Context, id string) error
	drop(ctx context.Context, id string) error
}

// deadLetter is a message that was given up on.
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

const relayName = "relay"

type sqliteBus struct{ *bus.Queues }

func (b sqliteBus) publisher() (message.Publisher, error) { return b.Publisher(), nil }

func (b sqliteBus) relay() (projections.Target, error) { return b.Relay(relayName), nil }

func sqliteLetter(l bus.DeadLetter) deadLetter {
	return deadLetter{
		ID: strconv.FormatInt(l.ID, 10), Topic: l.Topic, Group: l.Group, Attempts: l.Attempts, Reason: l.Reason,
		Published: l.Published, Died: l.Died, Metadata: l.Metadata, Payload: string(l.Payload),
	}
}

func (b sqliteBus) watch(
	ctx context.Context, topic, group string, handle func(context.Context, deadLetter) error,
) error {
	return b.WatchDeadLetters(ctx, topic, group, func(ctx context.Context, l bus.DeadLetter) error {
		return handle(ctx, sqliteLetter(l))
	})
}

func (b sqliteBus) letters(ctx context.Context) ([]deadLetter, error) {
	found, err := b.DeadLetters(ctx)
	all := make([]deadLetter, len(found))
	for i, l := range found {
		all[i] = sqliteLetter(l)
	}
	return all, err
}

func (b sqliteBus) redrive(ctx context.Context, id string) error { return numbered(ctx, id, b.Redrive) }

func (b sqliteBus) drop(ctx context.Context, id string) error { return numbered(ctx, id, b.Drop) }

func numbered(ctx context.Context, id string, do func(context.Context, int64) error) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return usageError(id + " is not the number of a dead letter, as \"cinelog dlq ls\" prints it")
	}
	return do(ctx, n)
}

type awsBus struct {
	*aws.Bus
	checkpoint bus.Checkpoints
}

func (b awsBus) publisher() (message.Publisher, error) { return b.Publisher() }

func (b awsBus) relay() (projections.Target, error) {
	pub, err := b.Publisher()
	if err != nil {
		return nil, err
	}
	return standby{bus.NewRelay(relayName, pub, b.checkpoint)}, nil
}

// standby is a relay beside others. When it learns that another one has published the same events it stands back for a
// while: without that, all relays would publish everything at the same time.
type standby struct{ projections.Target }

// Apply implements projections.Target.
func (s standby) Apply(ctx context.Context, events []domain.Recorded) error {
	err := s.Target.Apply(ctx, events)
	if errors.Is(err, domain.ErrConflict) {
		select {
		case <-ctx.Done():
		case <-time.After(tick):
		}
	}
	return err
}

func awsLetter(l aws.DeadLetter) deadLetter {
	return deadLetter{
		ID: l.ID, Topic: l.Topic, Group: l.Group, Attempts: l.Attempts, Reason: l.Reason,
		Published: l.Published, Died: l.Died, Metadata: l.Metadata, Payload: string(l.Payload),
	}
}

func (b awsBus) watch(
	ctx context.Context, topic, group string, handle func(context.Context, deadLetter) error,
) error {
	return b.WatchDeadLetters(ctx, topic, group, func(ctx context.Context, l aws.DeadLetter) error {
		return handle(ctx, awsLetter(l))
	})
}

func (b awsBus) letters(ctx context.Context) ([]deadLetter, error) {
	found, err := b.DeadLetters(ctx)
	all := make([]deadLetter, len(found))
	for i, l := range found {
		all[i] = awsLetter(l)
	}
	return all, err
}

func (b awsBus) redrive(ctx context.Context, id string) error { return b.Redrive(ctx, id) }

func (b awsBus) drop(ctx context.Context, id string) error { return b.Drop(ctx, id) }

// rowsCheckpoint keeps a checkpoint as the rows of a read model do, without any rows. Of two relays that publish the
// same events, the second learns that the first was faster, and goes on from there.
type rowsCheckpoint struct {
	rows projections.Rows[struct{}]

	mu sync.Mutex
	at domain.Position
}

var _ bus.Checkpoints = (*rowsCheckpoint)(nil)

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
