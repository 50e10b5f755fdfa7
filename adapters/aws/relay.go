package aws

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Checkpoints keeps how far a relay has come. SNS and SQS cannot: it is kept elsewhere, in the store of the read
// models for example.
type Checkpoints interface {
	LoadCheckpoint(ctx context.Context, name string) (domain.Position, error) // 0 for a new name
	SaveCheckpoint(ctx context.Context, name string, p domain.Position) error
}

// Relay publishes the event log to a topic. It is a projection whose effect is to publish: CatchUp drives it. The
// checkpoint moves after the publication, so a crash between the two publishes events again and never leaves one out.
type Relay struct {
	Name        string
	Topic       string
	Publisher   message.Publisher
	Checkpoints Checkpoints
	// Message makes the message of an event. Its metadata say MetaType where groups want only some types.
	Message func(ctx context.Context, e domain.Recorded) (*message.Message, error)
}

var _ projections.Target = (*Relay)(nil)

// Checkpoint returns the position up to which everything is published.
func (r *Relay) Checkpoint(ctx context.Context) (domain.Position, error) {
	return r.Checkpoints.LoadCheckpoint(ctx, r.Name)
}

// Apply publishes events, in batches and several of them at once.
func (r *Relay) Apply(ctx context.Context, events []domain.Recorded) error {
	if len(events) == 0 {
		return nil
	}
	msgs := make([]*message.Message, len(events))
	for i, e := range events {
		var err error
		if msgs[i], err = r.Message(ctx, e); err != nil {
			return fmt.Errorf("publish event %d: %w", e.Position, err)
		}
	}
	if err := r.Publisher.Publish(r.Topic, msgs...); err != nil {
		return fmt.Errorf("publish events from %d: %w", events[0].Position, err)
	}
	return r.Checkpoints.SaveCheckpoint(ctx, r.Name, events[len(events)-1].Position)
}
