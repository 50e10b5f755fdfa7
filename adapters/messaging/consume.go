package messaging

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/cinelog/cinelog/domain"
)

// Consumer says what Consume consumes.
type Consumer struct {
	Subscriber  message.Subscriber
	Topic       string // of Consume; ConsumeEvents and ConsumeTasks know theirs
	Concurrency int    // how many messages are handled at once; 1 by default
	Log         *slog.Logger

	dropped bool // whether handle is given messages that were dropped
}

// Consume hands messages to handle until ctx ends, then waits for the handlers at work and returns nil. An error or a
// panic of handle is a nack with that reason, so the message comes again. handle's ctx ends with the message's lease.
func Consume(ctx context.Context, c Consumer, handle func(ctx context.Context, msg *message.Message) error) error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	// What Watermill logs about messages is said below with more, and what it logs about itself is for debugging.
	levels := map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelDebug}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout},
		watermill.NewSlogLoggerWithLevelMapping(c.Log, levels))
	if err != nil {
		return fmt.Errorf("consume %s: %w", c.Topic, err)
	}
	router.AddMiddleware(c.report, middleware.Recoverer)
	for i := range cmp.Or(c.Concurrency, 1) {
		//nolint:contextcheck // a message brings its own context, which ends with its lease
		router.AddConsumerHandler(fmt.Sprintf("%s-%d", c.Topic, i), c.Topic, c.Subscriber,
			func(msg *message.Message) error {
				if msg.Metadata.Get(MetaDecided) == Dropped && !c.dropped { // only where others wait behind it does that mean something
					return nil
				}
				return handle(msg.Context(), msg)
			})
	}
	if err := router.Run(ctx); err != nil {
		return fmt.Errorf("consume %s: %w", c.Topic, err)
	}
	if ctx.Err() == nil {
		return fmt.Errorf("consume %s: the subscription ended", c.Topic)
	}
	return nil
}

const closeTimeout = 30 * time.Second

// report writes a handler's error to the message, for the dead letter, and to the log.
func (c Consumer) report(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := next(msg)
		if err == nil {
			return out, nil
		}
		level := slog.LevelWarn
		var later interface{ RetryAfter() time.Duration }
		switch {
		case errors.As(err, &later):
			Postpone(msg, later.RetryAfter(), err)
			level = slog.LevelDebug
		case IsPermanent(err):
			Reject(msg, err)
		default:
			Fail(msg, err)
		}
		if msg.Context().Err() != nil {
			level = slog.LevelDebug // we are leaving, or somebody else has the message
		}
		c.Log.Log(msg.Context(), level, "message not handled", "topic", c.Topic, "message", msg.UUID,
			"receive_count", msg.Metadata.Get(MetaReceiveCount), "correlation", msg.Metadata.Get(MetaCorrelation),
			"video", msg.Metadata.Get(MetaVideo), "error", err)
		return out, err
	}
}

// rejection marks an error that no further try can change.
type rejection struct{ err error }

func (r *rejection) Error() string { return r.err.Error() }
func (r *rejection) Unwrap() error { return r.err }

// Permanent marks a handler's error as one that no further try can change: the message is a dead letter at once.
func Permanent(err error) error { return &rejection{err} }

// IsPermanent tells whether an error was marked so.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*rejection](err)
	return ok
}

// EventReader is the part of the event log that reading messages needs.
type EventReader interface {
	ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error)
}

// ConsumeEvents hands the events of the log to handle: each at least once, in no order. A message that is no event, or
// one that this program is too old to know, is a dead letter at once; the others go on.
func ConsumeEvents(
	ctx context.Context, c Consumer, log EventReader, handle func(ctx context.Context, e domain.Recorded) error,
) error {
	c.Topic = TopicEvents
	return Consume(ctx, c, func(ctx context.Context, msg *message.Message) error {
		e, err := ReadEvent(ctx, log, msg.Payload)
		if err != nil {
			return err
		}
		return handle(ctx, e)
	})
}

// ReadEvent reads a message's event, from the log where the message only names it. The error of a message that is no
// event is Permanent.
func ReadEvent(ctx context.Context, log EventReader, payload []byte) (domain.Recorded, error) {
	e, err := domain.UnmarshalCloudEvent(payload)
	switch {
	case err == nil:
		return e, nil
	case !errors.Is(err, domain.ErrDataLeftOut):
		return domain.Recorded{}, Permanent(err)
	}
	found, err := log.ReadAfter(ctx, e.Position-1, 1)
	if err != nil {
		return domain.Recorded{}, fmt.Errorf("read event %d: %w", e.Position, err)
	}
	switch {
	case len(found) == 0: // what was asked may be behind, as a member of a replica set that was the primary until just now
		return domain.Recorded{}, fmt.Errorf("%w: the log has no event %d yet", domain.ErrNotFound, e.Position)
	case found[0].Position != e.Position || found[0].Stream != e.Stream || found[0].Version != e.Version:
		return domain.Recorded{}, Permanent(fmt.Errorf("%w: event %d of video %s is not in this log", domain.ErrNotFound, e.Position, e.Stream))
	}
	return found[0], nil
}
