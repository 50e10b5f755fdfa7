package mongo_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	contract.Places(t, func(t *testing.T) func() messaging.Places {
		t.Helper()
		uri := newDatabase(t)
		return func() messaging.Places { return mongo.NewPlaces(connect(t, uri)) }
	})
}

// Who holds a video and says no more that it lives loses it, and is told when it would move on.
func TestAPlaceOutlivesItsHolder(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	dying, living := mongo.NewPlaces(connect(t, uri)), mongo.NewPlaces(connect(t, uri))
	ctx, die := context.WithCancel(t.Context())
	if _, _, err := dying.Hold(ctx, "a", "video"); err != nil { // and never released
		t.Fatal(err)
	}
	if _, _, err := living.Hold(t.Context(), "a", "video"); !errors.Is(err, domain.ErrConflict) {
		t.Fatalf("it is alive, but the other gets: %v", err)
	}
	die()
	held, release, err := living.Hold(t.Context(), "a", "video")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := living.Move(held, "a", "video", messaging.Place{}, messaging.Place{Version: 1}); err != nil {
		t.Error(err)
	}
	if err := dying.Move(t.Context(), "a", "video", messaging.Place{}, messaging.Place{Version: 1}); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("the zombie moves on: %v", err)
	}
}
