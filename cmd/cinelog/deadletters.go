package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
)

// deadLetters are the messages that were given up on: for the command line, and for the HTTP interface.
type deadLetters struct {
	bus func(context.Context) (messageBus, error)
	log func(context.Context) (messaging.EventReader, error)
}

var _ web.DeadLetters = deadLetters{}

// letters are those of a server. One that has no use for messages opens the bus when it is asked for them.
func (a *app) letters() deadLetters {
	var mu sync.Mutex
	return deadLetters{
		bus: func(ctx context.Context) (messageBus, error) {
			mu.Lock()
			defer mu.Unlock()
			if a.bus == nil {
				// Not with the request's context: it is there for the next request too.
				b, err := a.opened.inspectBus(context.WithoutCancel(ctx))
				if err != nil {
					return nil, fmt.Errorf("%w: open the bus: %w", domain.ErrUnavailable, err)
				}
				a.bus = b
			}
			return a.bus, nil
		},
		log: func(context.Context) (messaging.EventReader, error) { return a.eventLog, nil },
	}
}

// letters are those that a command looks at, beside a server or without one.
func (o *opener) letters() deadLetters {
	var opened messageBus
	return deadLetters{
		bus: func(ctx context.Context) (_ messageBus, err error) {
			if opened == nil {
				opened, err = o.inspectBus(ctx)
			}
			return opened, err
		},
		log: func(ctx context.Context) (messaging.EventReader, error) { return o.readLog(ctx) },
	}
}

// List implements web.DeadLetters.
func (d deadLetters) List(ctx context.Context, pick web.PickLetters) (answers []web.DeadLetter, err error) {
	bus, err := d.bus(ctx)
	if err != nil {
		return nil, err
	}
	letters, err := bus.DeadLetters(ctx)
	for _, l := range messaging.Letters(pick).Of(letters) {
		answers = append(answers, letterAnswer(l))
	}
	return answers, err
}

// Get implements web.DeadLetters.
func (d deadLetters) Get(ctx context.Context, id string) (web.DeadLetter, error) {
	bus, err := d.bus(ctx)
	if err != nil {
		return web.DeadLetter{}, err
	}
	letters, err := bus.DeadLetters(ctx)
	if err != nil {
		return web.DeadLetter{}, err
	}
	for _, l := range letters {
		if l.ID != id {
			continue
		}
		answer := letterAnswer(l)
		if l.Topic == messaging.TopicEvents {
			answer.Event, err = d.event(ctx, l.Payload)
		}
		return answer, err
	}
	return web.DeadLetter{}, fmt.Errorf("%w: dead letter %q", domain.ErrNotFound, id)
}

// event is a letter's event with all its data; nil where it has none that this program can read.
func (d deadLetters) event(ctx context.Context, payload []byte) ([]byte, error) {
	log, err := d.log(ctx)
	if err != nil {
		return nil, err
	}
	e, err := messaging.ReadEvent(ctx, log, payload)
	if messaging.IsPermanent(err) || errors.Is(err, domain.ErrNotFound) { // which may be the reason why it is dead
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return domain.MarshalCloudEvent(e)
}

// Redrive implements web.DeadLetters.
func (d deadLetters) Redrive(ctx context.Context, id string) error {
	bus, err := d.bus(ctx)
	if err != nil {
		return err
	}
	return bus.Redrive(ctx, id)
}

// RedriveAll implements web.DeadLetters. One that somebody else has decided about meanwhile does not count.
func (d deadLetters) RedriveAll(ctx context.Context, pick web.PickLetters) (n int, err error) {
	bus, err := d.bus(ctx)
	if err != nil {
		return 0, err
	}
	letters, err := bus.DeadLetters(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range messaging.Letters(pick).Of(letters) {
		switch err := bus.Redrive(ctx, l.ID); {
		case err == nil:
			n++
		case !errors.Is(err, domain.ErrNotFound):
			return n, fmt.Errorf("after %d: %w", n, err)
		}
	}
	return n, nil
}

// Drop implements web.DeadLetters.
func (d deadLetters) Drop(ctx context.Context, id string) error {
	bus, err := d.bus(ctx)
	if err != nil {
		return err
	}
	return bus.Drop(ctx, id)
}

func letterAnswer(l messaging.DeadLetter) web.DeadLetter {
	return web.DeadLetter{
		ID: l.ID, Topic: l.Topic, Group: l.Group, Type: l.Metadata[messaging.MetaType], Video: l.Metadata[messaging.MetaVideo],
		Position: int64(l.Position()), Attempts: l.Attempts, Reason: l.Reason, Died: l.Died, FirstReason: l.First.Reason,
		FirstFailed: l.First.Time, Published: l.Published, Metadata: l.Metadata, Payload: string(l.Payload),
	}
}
