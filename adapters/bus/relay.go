package bus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// TopicEvents carries every event of the log, as CloudEvents.
const TopicEvents = "events"

// Metadata of messages on TopicEvents, so that a consumer may skip a message without reading it.
const (
	MetaType     = "type"
	MetaVideo    = "video"
	MetaPosition = "position"
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

var (
	_ projections.Target = (*Relay)(nil)
	_ Checkpoints        = (*Queues)(nil)
)

// NewRelay returns a relay that publishes through pub.
func NewRelay(name string, pub message.Publisher, checkpoints Checkpoints) *Relay {
	return &Relay{
		name: name, checkpoints: checkpoints,
		publish: func(ctx context.Context, msgs []*message.Message, to domain.Position) error {
			if err := pub.Publish(TopicEvents, msgs...); err != nil {
				return err
			}
			return checkpoints.SaveCheckpoint(ctx, name, to)
		},
	}
}

// Relay returns a relay into these queues. Messages and checkpoint are one transaction, so it publishes nothing twice.
func (q *Queues) Relay(name string) *Relay {
	return &Relay{
		name: name, checkpoints: q,
		publish: func(ctx context.Context, msgs []*message.Message, to domain.Position) error {
			return q.publish(ctx, TopicEvents, msgs, func(ctx context.Context) error {
				return q.store.saveCheckpoint(ctx, name, to)
			})
		},
	}
}

// Checkpoint returns the position up to which everything is published.
func (r *Relay) Checkpoint(ctx context.Context) (domain.Position, error) {
	return r.checkpoints.LoadCheckpoint(ctx, r.name)
}

// Apply publishes events.
func (r *Relay) Apply(ctx context.Context, events []domain.Recorded) error {
	if len(events) == 0 {
		return nil
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

func eventMessage(ctx context.Context, e domain.Recorded) (*message.Message, error) {
	body, err := domain.MarshalCloudEvent(e)
	if err != nil {
		return nil, err
	}
	position := strconv.FormatInt(int64(e.Position), 10)
	msg := message.NewMessageWithContext(ctx, "event-"+position, body)
	msg.Metadata.Set(MetaType, domain.EventType(e.Event))
	msg.Metadata.Set(MetaVideo, e.Stream)
	msg.Metadata.Set(MetaPosition, position)
	if e.Meta.Correlation != "" {
		msg.Metadata.Set(MetaCorrelation, e.Meta.Correlation)
	}
	return msg, nil
}

// LoadCheckpoint reads a checkpoint that is kept with the queues.
func (q *Queues) LoadCheckpoint(ctx context.Context, name string) (domain.Position, error) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	var p domain.Position
	err := q.store.conn.QueryRowContext(ctx, `SELECT position FROM checkpoints WHERE name = ?`, name).Scan(&p)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("load checkpoint %s: %w", name, unavailable(err))
	}
	return p, nil
}

// SaveCheckpoint keeps a checkpoint with the queues.
func (q *Queues) SaveCheckpoint(ctx context.Context, name string, p domain.Position) error {
	err := q.store.transaction(ctx, func(ctx context.Context) error { return q.store.saveCheckpoint(ctx, name, p) })
	if err != nil {
		return fmt.Errorf("save checkpoint %s: %w", name, err)
	}
	return nil
}

func (s *store) saveCheckpoint(ctx context.Context, name string, p domain.Position) error {
	_, err := s.conn.ExecContext(ctx, `INSERT INTO checkpoints (name, position) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET position = excluded.position`, name, p)
	return err
}
