package messaging_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// oneEvent is a log that holds an event, or an error.
type oneEvent struct {
	event domain.Recorded
	err   error
}

func (l oneEvent) ReadAfter(_ context.Context, after domain.Position, _ int) ([]domain.Recorded, error) {
	if l.err != nil || l.event.Position <= after {
		return nil, l.err
	}
	return []domain.Recorded{l.event}, nil
}

// A message that only names its event is worth another try while the log may be away or behind, and never again where the
// log has something else in that place.
func TestEventsThatAreElsewhere(t *testing.T) {
	t.Parallel()
	long := domain.Recorded{
		Position: 5, Stream: "019a0000-0000-7000-8000-000000000001", Version: 2, Time: time.Unix(1, 0).UTC(),
		Event: domain.CaptionAdded{Language: strings.Repeat("x", domain.MaxInlineData)},
	}
	payload, err := domain.MarshalShortCloudEvent(long)
	if err != nil {
		t.Fatal(err)
	}
	other := long
	other.Stream = "019a0000-0000-7000-8000-000000000002"
	for name, c := range map[string]struct {
		log       oneEvent
		payload   []byte
		want      error
		permanent bool
	}{
		"there":         {log: oneEvent{event: long}, payload: payload},
		"log away":      {log: oneEvent{err: domain.ErrUnavailable}, payload: payload, want: domain.ErrUnavailable},
		"log behind":    {payload: payload, want: domain.ErrNotFound},
		"another log":   {log: oneEvent{event: other}, payload: payload, want: domain.ErrNotFound, permanent: true},
		"not one of us": {payload: []byte(`{"specversion":"1.0","dataref":"/x"}`), want: domain.ErrInvalid, permanent: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := messaging.ReadEvent(t.Context(), c.log, c.payload)
			if !errors.Is(err, c.want) || messaging.IsPermanent(err) != c.permanent || (c.want == nil && got != long) {
				t.Errorf("got %.80v, %v, permanent %t", got, err, messaging.IsPermanent(err))
			}
		})
	}
}
