package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// TopicViews carries what players tell of views. It is in no log: until it is consumed, these messages are all there is.
const TopicViews = "views"

// Plays publishes what players tell. What comes while a publication is under way goes out together with the next one, so
// that many players cost few messages and few waits for a disk.
type Plays struct {
	// publisher is asked for each time, since messages may be where nothing can be reached yet.
	publisher func(context.Context) (message.Publisher, error)

	mu         sync.Mutex
	publishing bool
	next       *playsBatch
}

type playsBatch struct {
	told []projections.Play
	done chan struct{} // closed when it is stored, or is not
	err  error
}

// NewPlays returns what publishes views.
func NewPlays(publisher func(context.Context) (message.Publisher, error)) *Plays {
	return &Plays{publisher: publisher}
}

const (
	// playsPerMessage keeps a message far below what SNS takes.
	playsPerMessage = 200
	// maxWaiting is how many views may wait for a publication; who comes then is told to try again.
	maxWaiting = 20_000
	// publishTimeout bounds a publication: it is for many, so it does not end with the request that began it.
	publishTimeout = 10 * time.Second
)

// Send returns when what it was given is stored. ErrUnavailable: it may be, and may be sent again.
func (p *Plays) Send(ctx context.Context, told projections.Play) error {
	p.mu.Lock()
	batch := p.next
	if batch == nil {
		batch = &playsBatch{done: make(chan struct{})}
		p.next = batch
	}
	if len(batch.told) >= maxWaiting {
		p.mu.Unlock()
		return fmt.Errorf("publish views: %w: too many wait", domain.ErrUnavailable)
	}
	batch.told = append(batch.told, told)
	if !p.publishing {
		p.publishing = true
		go p.publishAll(context.WithoutCancel(ctx))
	}
	p.mu.Unlock()
	select {
	case <-batch.done:
		return batch.err
	case <-ctx.Done():
		return fmt.Errorf("publish views: %w", ctx.Err())
	}
}

// publishAll publishes until nobody waits.
func (p *Plays) publishAll(ctx context.Context) {
	for {
		p.mu.Lock()
		batch := p.next
		p.next = nil
		if batch == nil {
			p.publishing = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		batch.err = p.publish(ctx, batch.told)
		close(batch.done)
	}
}

func (p *Plays) publish(ctx context.Context, told []projections.Play) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	pub, err := p.publisher(ctx)
	if err != nil {
		return fmt.Errorf("publish views: %w: %w", domain.ErrUnavailable, err)
	}
	var msgs []*message.Message
	for told = projections.JoinPlays(told); len(told) > 0; {
		n := min(len(told), playsPerMessage)
		body, err := json.Marshal(told[:n])
		if err != nil {
			return fmt.Errorf("publish views: %w", err)
		}
		msgs = append(msgs, message.NewMessageWithContext(ctx, watermill.NewUUID(), body))
		told = told[n:]
	}
	if err := pub.Publish(TopicViews, msgs...); err != nil {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return nil
}

// ConsumePlays hands what players have told to record: each at least once, in no order. While there is nowhere to record it
// a message waits in the handler, with its lease: no number of tries may make it a dead letter, for nothing else has it.
func ConsumePlays(ctx context.Context, c Consumer, record func(ctx context.Context, told []projections.Play) error) error {
	c.Topic = TopicViews
	return Consume(ctx, c, func(ctx context.Context, msg *message.Message) error {
		var told []projections.Play
		if err := json.Unmarshal(msg.Payload, &told); err != nil {
			return Permanent(fmt.Errorf("read views: %w", err))
		}
		for pause := time.Second; ; pause = min(2*pause, time.Minute) {
			err := record(ctx, told)
			if !errors.Is(err, domain.ErrUnavailable) || ctx.Err() != nil {
				return err
			}
			if c.Log != nil {
				c.Log.WarnContext(ctx, "what players tell cannot be recorded now, and waits", "views", len(told), "error", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}
	})
}
