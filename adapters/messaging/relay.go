package messaging

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Checkpoints keeps how far a relay has come.
type Checkpoints interface {
	LoadCheckpoint(ctx context.Context, name string) (domain.Position, error) // 0 for a new name
	SaveCheckpoint(ctx context.Context, name string, p domain.Position) error
}

// Relay publishes the event log. It is a projection whose effect is to publish: CatchUp drives it. The checkpoint
// moves after the publication, so a crash between the two publishes events again and never leaves one out.
type Relay struct {
	name        string
	checkpoints Checkpoints
	publish     func(ctx context.Context, msgs []*message.Message, to domain.Position) error
}

var _ projections.Target = (*Relay)(nil)

// NewRelay returns a relay that publishes through pub.
func NewRelay(name string, pub message.Publisher, checkpoints Checkpoints) *Relay {
	return NewAtomicRelay(name, checkpoints, func(ctx context.Context, msgs []*message.Message, to domain.Position) error {
		if err := pub.Publish(TopicEvents, msgs...); err != nil {
			return err
		}
		return checkpoints.SaveCheckpoint(ctx, name, to)
	})
}

// NewAtomicRelay returns a relay for a transport that can store messages on TopicEvents and the checkpoint together, as
// publish does: then nothing is published twice.
func NewAtomicRelay(
	name string, checkpoints Checkpoints,
	publish func(ctx context.Context, msgs []*message.Message, to domain.Position) error,
) *Relay {
	return &Relay{name: name, checkpoints: checkpoints, publish: publish}
}

// Checkpoint returns the position up to which everything is published.
func (r *Relay) Checkpoint(ctx context.Context) (domain.Position, error) {
	return r.checkpoints.LoadCheckpoint(ctx, r.name)
}

// ErrPublished says that the checkpoint is not where events begin: another relay was there, and nothing was published.
var ErrPublished = fmt.Errorf("%w: another relay has moved the checkpoint", domain.ErrConflict)

// PublishAgain publishes events once more: whoever has handled one already knows it by its position.
func PublishAgain(ctx context.Context, pub message.Publisher, events ...domain.Recorded) error {
	for _, e := range events {
		msg, err := eventMessage(ctx, e)
		if err == nil {
			err = pub.Publish(TopicEvents, msg)
		}
		if err != nil {
			return fmt.Errorf("publish event %d again: %w", e.Position, err)
		}
	}
	return nil
}

// Apply publishes events. What is published cannot be taken back, so it looks at the checkpoint first: whoever has these
// events may have asked for it long ago.
func (r *Relay) Apply(ctx context.Context, events []domain.Recorded) error {
	if len(events) == 0 {
		return nil
	}
	switch at, err := r.Checkpoint(ctx); {
	case err != nil:
		return fmt.Errorf("publish events from %d: %w", events[0].Position, err)
	case at != events[0].Position-1:
		return fmt.Errorf("publish events from %d: %w to %d", events[0].Position, ErrPublished, at)
	}
	msgs := make([]*message.Message, len(events))
	for i, e := range events {
		var err error
		if msgs[i], err = eventMessage(ctx, e); err != nil {
			return fmt.Errorf("publish event %d: %w", e.Position, err)
		}
	}
	if err := r.publish(ctx, msgs, events[len(events)-1].Position); err != nil {
		return fmt.Errorf("publish events from %d: %w", events[0].Position, err)
	}
	return nil
}
