package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// What a group is not sent it must have no use for, and what it has a use for it must be sent.
func TestGroupsGetTheEventsThatTheyReactTo(t *testing.T) {
	t.Parallel()
	for _, eventType := range domain.EventTypes() {
		sample, err := os.ReadFile(filepath.Join("..", "..", "domain", "testdata", "events", eventType+".json"))
		if err != nil {
			t.Fatal(err)
		}
		e, err := domain.DecodeEvent(eventType, sample)
		if err != nil {
			t.Fatal(err)
		}
		r := domain.Recorded{Position: 1, Version: 1, Stream: "01902d5e-7c00-7000-8000-000000000000", Event: e}
		_, counts := projections.FactOf(r)
		if sent := slices.Contains(wantedTypes(messaging.TopicEvents, groupAnalytics), eventType); sent != counts {
			t.Errorf("analytics: %s is sent: %v, counts: %v", eventType, sent, counts)
		}
		if sent, reacts := slices.Contains(wantedTypes(messaging.TopicEvents, groupTranscoding), eventType), transcodingReacts(t.Context(), r); sent != reacts {
			t.Errorf("transcoding: %s is sent: %v, has a reaction: %v", eventType, sent, reacts)
		}
	}
}

// transcodingReacts hands an event to a policy that has nothing to react with.
func transcodingReacts(ctx context.Context, r domain.Recorded) (reacts bool) {
	defer func() { reacts = reacts || recover() != nil }()
	return (&commands.Transcoding{}).Handle(ctx, r) != nil
}

// target answers as it is told.
type target struct{ err error }

func (t target) Checkpoint(context.Context) (domain.Position, error) { return 0, nil }
func (t target) Apply(_ context.Context, _ []domain.Recorded) error  { return t.err }

func TestASlowerRelayStandsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for err, pause := range map[error]time.Duration{nil: 0, domain.ErrConflict: tick, messaging.ErrPublished: 0, domain.ErrUnavailable: 0} {
			began := time.Now()
			if got := (standby{target{err}}).Apply(t.Context(), nil); !errors.Is(got, err) || time.Since(began) != pause {
				t.Errorf("%v: %v after %s", err, got, time.Since(began))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), tick/2)
		defer cancel()
		began := time.Now()
		if _ = (standby{target{domain.ErrConflict}}).Apply(ctx, nil); time.Since(began) != tick/2 {
			t.Errorf("it ends %s after it began, when it was asked to after %s", time.Since(began), tick/2)
		}
	})
}
