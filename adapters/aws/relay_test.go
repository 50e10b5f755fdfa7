package aws_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// events returns the events from a position on.
func events(from domain.Position, n int) []domain.Recorded {
	out := make([]domain.Recorded, n)
	for i := range out {
		p := from + domain.Position(i)
		out[i] = domain.Recorded{
			Position: p, Stream: "0197a000-0000-7000-8000-000000000000", Version: int(p), Time: time.Unix(int64(p), 0).UTC(),
			Meta:  domain.Meta{Actor: "local", Correlation: "c"},
			Event: domain.CaptionAdded{Language: fmt.Sprint(p)},
		}
	}
	return out
}

// eventLog is a log of n events.
type eventLog int

func (l eventLog) Head(context.Context) (domain.Position, error) { return domain.Position(l), nil }

func (l eventLog) ReadAfter(_ context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	return events(after+1, min(limit, int(l)-int(after))), nil
}

// eventMessage is how this program publishes an event.
func eventMessage(ctx context.Context, e domain.Recorded) (*message.Message, error) {
	body, err := domain.MarshalCloudEvent(e)
	if err != nil {
		return nil, err
	}
	position := strconv.FormatInt(int64(e.Position), 10)
	msg := message.NewMessageWithContext(ctx, "event-"+position, body)
	for k, v := range map[string]string{
		aws.MetaType: domain.EventType(e.Event), "video": e.Stream, "position": position, "correlation": e.Meta.Correlation,
	} {
		msg.Metadata.Set(k, v)
	}
	return msg, nil
}

// checkpoints are kept in memory, and fail every so often: the process died after the publication.
type checkpoints struct {
	crashEvery int

	mu    sync.Mutex
	at    map[string]domain.Position
	saves int
}

var errCrash = errors.New("crash")

func (c *checkpoints) LoadCheckpoint(_ context.Context, name string) (domain.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[name], nil
}

func (c *checkpoints) SaveCheckpoint(_ context.Context, name string, p domain.Position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.saves++; c.crashEvery > 0 && c.saves%c.crashEvery == 0 {
		return errCrash
	}
	if c.at == nil {
		c.at = map[string]domain.Position{}
	}
	c.at[name] = p
	return nil
}

func TestRelayLosesNothingWhereItCrashes(t *testing.T) {
	t.Parallel()
	const n = 250
	b := open(t, aws.Options{Topics: []aws.Topic{{Name: "events", Groups: []aws.Group{{Name: "g"}}}}})
	relay := &aws.Relay{
		Name: "relay", Topic: "events", Publisher: publisher(t, b), Checkpoints: &checkpoints{crashEvery: 2}, Message: eventMessage,
	}
	crashes := 0
	for {
		at, err := projections.CatchUp(t.Context(), eventLog(n), relay, projections.CatchUpOptions{Batch: 50})
		if err == nil && at == n {
			break
		}
		if !errors.Is(err, errCrash) {
			t.Fatal(at, err)
		}
		crashes++
	}
	msgs := subscribe(t, b, "g", "events")
	seen := map[domain.Position]bool{}
	for range n + 50*crashes {
		m := wait(t, msgs)
		e, err := domain.UnmarshalCloudEvent(m.Payload)
		if err != nil || m.Metadata.Get(aws.MetaType) != "video.caption_added.v1" {
			t.Fatalf("%v, metadata %v", err, m.Metadata)
		}
		seen[e.Position] = true
		m.Ack()
	}
	if len(seen) != n || crashes == 0 {
		t.Errorf("%d of %d events, %d crashes", len(seen), n, crashes)
	}
}
