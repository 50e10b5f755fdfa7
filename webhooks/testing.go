package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// TestType is the type of the message that only tests an endpoint. No event has it.
const TestType = "webhook.test.v1"

// Tested is what came of a test.
type Tested struct {
	ID     string // of the message
	Result Result
	Took   time.Duration
}

// Test sends an endpoint a message that says nothing but that it is a test, signed as all are, once and at once, whatever
// types it wants and also where it is disabled. It is no delivery: nothing of it is kept. ErrNotFound.
func (s *Service) Test(ctx context.Context, id string) (Tested, error) {
	e, err := s.Store.Endpoint(ctx, id)
	if err != nil {
		return Tested{}, err
	}
	random, err := uuid.NewV7()
	if err != nil {
		return Tested{}, fmt.Errorf("make an id: %w", err)
	}
	now := s.Now()
	m := Message{ID: e.ID + "-test-" + random.String(), Time: now}
	m.Body, err = json.Marshal(map[string]any{
		"specversion": "1.0", "id": m.ID, "source": "/cinelog/webhooks/" + e.ID, "type": TestType, "time": now.UTC(),
		"datacontenttype": "application/json", "data": struct{}{},
	})
	if err != nil {
		return Tested{}, fmt.Errorf("encode the test: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	result := s.Sender.Send(ctx, e.URL, e.Keys(now), m)
	return Tested{ID: m.ID, Result: result, Took: s.Now().Sub(now)}, nil
}
