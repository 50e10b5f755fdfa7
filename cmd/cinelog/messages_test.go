package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

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
		if sent := slices.Contains(wantedTypes(groupAnalytics), eventType); sent != counts {
			t.Errorf("analytics: %s is sent: %v, counts: %v", eventType, sent, counts)
		}
		if sent, reacts := slices.Contains(wantedTypes(groupTranscoding), eventType), transcodingReacts(t.Context(), r); sent != reacts {
			t.Errorf("transcoding: %s is sent: %v, has a reaction: %v", eventType, sent, reacts)
		}
	}
}

// transcodingReacts hands an event to a policy that has nothing to react with.
func transcodingReacts(ctx context.Context, r domain.Recorded) (reacts bool) {
	defer func() { reacts = reacts || recover() != nil }()
	return (&commands.Transcoding{}).Handle(ctx, r) != nil
}
