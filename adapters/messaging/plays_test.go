package messaging_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// slow is a publisher whose publications take a second each, and fail while it is away.
type slow struct {
	transport

	away bool
}

func (s *slow) Publish(topic string, msgs ...*message.Message) error {
	time.Sleep(time.Second)
	if s.away {
		return errors.New("away")
	}
	return s.transport.Publish(topic, msgs...)
}

// What comes while a publication is under way goes out with the next one; each sender hears when its own is stored.
func TestPlaysThatComeTogetherArePublishedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pub := &slow{}
		plays := messaging.NewPlays(func(context.Context) (message.Publisher, error) { return pub, nil })
		const views = 450
		var sending sync.WaitGroup
		began := time.Now()
		for n := range views {
			for range 2 { // two beacons of each
				sending.Go(func() {
					if err := plays.Send(t.Context(), projections.Play{Video: "v", View: strconv.Itoa(n), Parts: 1}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		sending.Wait()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%d senders waited %s for publications of a second", 2*views, took)
		}
		seen := map[string]bool{}
		for i, m := range pub.published {
			var told []projections.Play
			if err := json.Unmarshal(m.Payload, &told); err != nil || len(told) > 200 || pub.topics[i] != messaging.TopicViews {
				t.Errorf("%d views in a message on %s, %v", len(told), pub.topics[i], err)
			}
			for _, p := range told {
				seen[p.View] = true
			}
		}
		if len(seen) != views || len(pub.published) > 5 {
			t.Errorf("%d messages have %d views", len(pub.published), len(seen))
		}

		pub.away = true
		if err := plays.Send(t.Context(), projections.Play{View: "lost"}); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("sent while the bus is away: %v", err)
		}
		pub.away = false
		left, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, leave)
		if err := plays.Send(left, projections.Play{View: "impatient"}); !errors.Is(err, context.Canceled) {
			t.Errorf("sent by somebody who left: %v", err)
		}
		if err := plays.Send(t.Context(), projections.Play{View: "patient"}); err != nil {
			t.Error(err)
		}
		if last := pub.published[len(pub.published)-2:]; !strings.Contains(string(last[0].Payload), "impatient") || !strings.Contains(string(last[1].Payload), `"patient"`) {
			t.Errorf("published last: %s, %s", last[0].Payload, last[1].Payload)
		}
	})
}

// A bus that cannot be opened yet is asked again.
func TestPlaysWaitForABus(t *testing.T) {
	t.Parallel()
	pub, there := &transport{}, false
	plays := messaging.NewPlays(func(context.Context) (message.Publisher, error) {
		if !there {
			return nil, errors.New("no such host")
		}
		return pub, nil
	})
	if err := plays.Send(t.Context(), projections.Play{View: "1"}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("without a bus: %v", err)
	}
	there = true
	if err := plays.Send(t.Context(), projections.Play{View: "2"}); err != nil || len(pub.published) != 1 {
		t.Errorf("with a bus: %v, %d messages", err, len(pub.published))
	}
}

// While there is nowhere to record a message it waits, for longer than any number of tries would.
func TestPlaysAreNeverGivenUpWhileTheirStoreIsAway(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal([]projections.Play{{Video: "v", View: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		payload []byte
		failing error
		fate    messaging.Fate
		reason  string
	}{
		"recorded after an outage": {payload: body, failing: domain.ErrUnavailable},
		"a fault":                  {payload: body, failing: errors.New("a fault"), fate: messaging.Retry, reason: "a fault"},
		"no views":                 {payload: []byte("x"), fate: messaging.Bury, reason: "read views"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				fate, reason := offer(t, message.NewMessage("m", c.payload), func(ctx context.Context, consumer messaging.Consumer) error {
					return messaging.ConsumePlays(ctx, consumer, func(_ context.Context, told []projections.Play) error {
						if len(told) != 1 || time.Since(began) < time.Hour {
							return c.failing
						}
						return nil
					})
				})
				if fate != c.fate || !strings.Contains(reason, c.reason) || (c.reason == "") != (reason == "") {
					t.Errorf("fate %d, %q", fate, reason)
				}
				if waited := time.Since(began); (waited >= time.Hour) != errors.Is(c.failing, domain.ErrUnavailable) {
					t.Errorf("it waited %s", waited)
				}
			})
		})
	}
}
