package messaging_test

import (
	"errors"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// TestRelayLooksBeforeItPublishes gives a relay events that another one has published since it was asked where it stands.
func TestRelayLooksBeforeItPublishes(t *testing.T) {
	t.Parallel()
	pub, checkpoints, log := &transport{}, &contract.Checkpoints{}, contract.EventsTo(10)
	one, two := messaging.NewRelay("relay", pub, checkpoints), messaging.NewRelay("relay", pub, checkpoints)
	if _, err := projections.CatchUp(t.Context(), log, one, projections.CatchUpOptions{}); err != nil {
		t.Fatal(err)
	}
	events, err := log.ReadAfter(t.Context(), 5, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := two.Apply(t.Context(), events); !errors.Is(err, messaging.ErrPublished) || !errors.Is(err, domain.ErrConflict) {
		t.Errorf("the same events by another relay: %v", err)
	}
	if len(pub.published) != 10 {
		t.Errorf("%d messages for 10 events", len(pub.published))
	}
}
