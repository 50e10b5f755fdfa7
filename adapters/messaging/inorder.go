package messaging

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/domain"
)

// Place is how far a consumer group has come with a video.
type Place struct {
	Version int // of the last event that was handled, or passed over
	// Letter is the UUID of the dead letter that the rest of the video waits behind: the event after Version could not be
	// handled. Empty where nothing waits.
	Letter string
	Reason string // of the letter
}

// Places is where a consumer group that handles each video's events in order keeps how far it has come. What Move has stored
// is not lost. Every method may fail with ErrUnavailable. Every adapter passes contract.Places.
type Places interface {
	// Hold makes the caller the only one of the group who handles a video's events. ErrConflict: somebody else is at it. The
	// context that it returns ends with that; release ends it. Who has lost it and does not know yet learns it from Move.
	Hold(ctx context.Context, group, video string) (held context.Context, release func(), err error)
	// Place is the zero value for a video of which nothing was handled.
	Place(ctx context.Context, group, video string) (Place, error)
	// Move stores a place. ErrConflict: the group is not at from; Reason does not matter.
	Move(ctx context.Context, group, video string, from, to Place) error
}

// StreamReader is the part of the event log that order needs.
type StreamReader interface {
	EventReader
	// ReadStream returns a video's events with a version above after, oldest first.
	ReadStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error)
}

// Order says how a consumer group handles each video's events in order.
type Order struct {
	Group  string
	Places Places
	Log    StreamReader
	Types  []string // filters of types (domain.WantsEventType); events of others are passed over; all when empty
}

// ConsumeInOrder hands the events of each video to handle by version: each at least once, none before all earlier ones were
// handled, and one video's by one handler at a time, whatever order, delay or repetition messages come with. A message is
// news of a video only: the events are read from the log, from where the group has come to the end.
//
// When an event fails for good, its message is a dead letter, and the rest of its video waits in the log; other videos go on.
// Sent again, the group goes on with that event, dropped, with the one after it.
//
// A handler that was frozen for longer than its hold lasts may come to its end after a successor has begun with the
// same event; see Places.Hold.
func ConsumeInOrder(ctx context.Context, c Consumer, o Order, handle func(ctx context.Context, e domain.Recorded) error) error {
	c.Topic, c.dropped = TopicEvents, true
	return Consume(ctx, c, func(ctx context.Context, msg *message.Message) error {
		e, err := ReadEvent(ctx, o.Log, msg.Payload)
		if err != nil {
			return err
		}
		ctx, release, err := o.hold(ctx, e.Stream)
		if err != nil {
			return err
		}
		defer release()
		return o.goOn(ctx, msg, e, handle)
	})
}

// goOn handles what is to be handled of a message's video.
func (o Order) goOn(ctx context.Context, msg *message.Message, e domain.Recorded, handle func(context.Context, domain.Recorded) error) error {
	stored, err := o.Places.Place(ctx, o.Group, e.Stream)
	if err != nil {
		return err
	}
	at, decided := stored, msg.Metadata.Get(MetaDecided)
	switch {
	case stored.Letter == "":
		if decided == Dropped { // nothing waits behind it
			return nil
		}
	case stored.Letter != msg.UUID: // waits in the log
		return nil
	case decided == "": // the process has died between Move and the nack; a duplicate of the letter is one more letter
		return Permanent(errors.New(stored.Reason))
	case decided == Dropped:
		at = Place{Version: stored.Version + 1}
	}
	for {
		events, err := o.Log.ReadStream(ctx, e.Stream, at.Version)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		for _, next := range events {
			at.Version = next.Version
			if !domain.WantsEventType(o.Types, domain.EventType(next.Event)) {
				continue
			}
			if err := recovered(ctx, next, handle); err != nil {
				return o.failed(ctx, msg, stored, next, err)
			}
			if stored, at, err = o.move(ctx, e.Stream, stored, at); err != nil {
				return err
			}
		}
	}
	if _, _, err = o.move(ctx, e.Stream, stored, at); err == nil && at.Version < e.Version {
		// What was asked may be behind, as in ReadEvent.
		err = fmt.Errorf("%w: the log has no version %d of video %s yet", domain.ErrNotFound, e.Version, e.Stream)
	}
	return err
}

func (o Order) move(ctx context.Context, video string, from, at Place) (stored, next Place, err error) {
	to := Place{Version: at.Version}
	if from.Version == to.Version && from.Letter == "" {
		return from, to, nil
	}
	return to, to, o.Places.Move(ctx, o.Group, video, from, to)
}

// failed parks the rest of the video behind a message that is about to be a dead letter.
func (o Order) failed(ctx context.Context, msg *message.Message, stored Place, e domain.Recorded, err error) error {
	why := fmt.Errorf("event %d, version %d of video %s: %w", e.Position, e.Version, e.Stream, err)
	var later interface{ RetryAfter() time.Duration }
	last := IsPermanent(err) || msg.Metadata.Get(MetaLastTry) == "true"
	if ctx.Err() != nil || errors.As(err, &later) || !last {
		return why
	}
	park := Place{Version: e.Version - 1, Letter: msg.UUID, Reason: why.Error()}
	if err := o.Places.Move(ctx, o.Group, e.Stream, stored, park); err != nil {
		return errors.Join(why, err)
	}
	return Permanent(why)
}

// recovered takes a panic for an error: else nobody would park what waits behind it.
func recovered(ctx context.Context, e domain.Recorded, handle func(context.Context, domain.Recorded) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the handler panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return handle(ctx, e)
}

// hold waits while somebody else is at the video: not for ever, so that the message is not kept from others.
func (o Order) hold(ctx context.Context, video string) (context.Context, func(), error) {
	pause := 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		held, release, err := o.Places.Hold(ctx, o.Group, video)
		if err == nil || !errors.Is(err, domain.ErrConflict) {
			return held, release, err
		}
		if waited > holdPatience {
			return nil, nil, &heldElsewhereError{video}
		}
		pause = min(2*pause, time.Second)
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

const holdPatience = 20 * time.Second

// heldElsewhereError postpones a message: nothing has failed.
type heldElsewhereError struct{ video string }

func (e *heldElsewhereError) Error() string             { return "another handler is at video " + e.video }
func (e *heldElsewhereError) RetryAfter() time.Duration { return time.Second }
