package projections_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// The rungs are chosen while the source's own pictures and the sound are being made: what is there of them stays.
func TestAVideoStaysPlayableWhenItsRungsAreChosen(t *testing.T) {
	t.Parallel()
	open := domain.Plan{
		FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 200, SegmentFrames: 100, GOP: 50, Open: true, Audio: &domain.AudioPlan{},
		Rungs: []domain.Rung{{Name: domain.RemuxName, Remux: true}, {Name: "720p"}, {Name: "480p"}, {Name: "360p"}}, Chunks: []domain.Chunk{{Frames: 200}},
	}
	chosen := open
	chosen.Open, chosen.Complexity, chosen.Rungs = false, &domain.Complexity{}, open.Rungs[:3]
	var events []domain.Recorded
	for i, e := range []domain.Event{
		domain.VideoCreated{},
		domain.VideoUploaded{Attempt: 1},
		domain.SourceInspected{Attempt: 1},
		domain.TranscodePlanned{Attempt: 1, Plan: open},
		domain.SourceRemuxed{Attempt: 1, Segments: make([]domain.Segment, 2)},
		domain.AudioTranscoded{Attempt: 1, Segments: make([]domain.Segment, 2)},
		domain.TranscodePlanned{Attempt: 1, Plan: chosen},
	} {
		events = append(events, domain.Recorded{Stream: "v", Version: i + 1, Time: time.Unix(int64(i), 0), Event: e})
	}
	v := projections.FoldVideo(events)
	if !v.Playable {
		t.Error("it is not playable any longer")
	}
	var got []string
	for _, r := range v.Renditions {
		got = append(got, r.Name+" "+string(r.Status))
	}
	if diff := cmp.Diff([]string{"source encoding", "720p waiting", "480p waiting"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
