package domain_test

import (
	"testing"

	"github.com/cinelog/cinelog/domain"
)

// Only what would be made in just the same way is taken over.
func TestWhatEarlierAttemptsMadeIsTakenOverWhereItIsTheSame(t *testing.T) {
	t.Parallel()
	other := info
	other.Width, other.Height = 640, 360
	longer := info
	longer.Frames = 175
	stereo := info
	stereo.Audio = &domain.AudioInfo{Channels: 2}
	small := domain.PlanTranscode(info)
	small.Profile = domain.Small
	lower := domain.PlanTranscode(info)
	lower.Rungs = []domain.Rung{lower.Rungs[0]}
	lower.Rungs[0].MaxRate /= 2
	second := func(of domain.SourceInfo, plan domain.Plan, before ...domain.Event) []domain.Event {
		return append(append([]domain.Event{created, uploaded, inspected, planned, audio, chunk(0, 4)}, before...),
			domain.TranscodeRequested{Attempt: 2, TakesOver: true}, domain.SourceInspected{Attempt: 2, Source: of},
			domain.TranscodePlanned{Attempt: 2, Plan: plan})
	}
	unfinished := audio
	unfinished.Final = false
	for name, c := range map[string]struct {
		events []domain.Event
		chunks int // of the first chunk's renditions
		parts  int // of the sound
	}{
		"the same":                      {second(info, domain.PlanTranscode(info), failed), 1, 1},
		"a rung beside it":              {second(info, domain.Encoding{Codecs: []domain.Codec{domain.AVC, domain.HEVC}}.Plan(info), failed), 1, 1},
		"another profile":               {second(info, small, failed), 0, 1},
		"another rate of the same rung": {second(info, lower, failed), 0, 1},
		"the source is seen otherwise":  {second(other, domain.PlanTranscode(other), failed), 0, 0},
		"it is longer than was thought": {second(longer, domain.PlanTranscode(longer), failed), 0, 0},
		"another sound":                 {second(stereo, domain.PlanTranscode(stereo), failed), 1, 0},
		"another source": {
			append([]domain.Event{created, uploaded, inspected, planned, audio, chunk(0, 4), failed},
				domain.VideoUploaded{Attempt: 2, Source: domain.Blob{Key: "sources/b", SHA256: "bb"}}, domain.TranscodeFailed{Attempt: 2},
				domain.TranscodeRequested{Attempt: 3, TakesOver: true}, domain.SourceInspected{Attempt: 3, Source: info},
				domain.TranscodePlanned{Attempt: 3, Plan: planned.Plan}),
			0, 0,
		},
		"not asked for": {
			append([]domain.Event{created, uploaded, inspected, planned, audio, chunk(0, 4), failed},
				domain.TranscodeRequested{Attempt: 2}, domain.SourceInspected{Attempt: 2, Source: info}, domain.TranscodePlanned{Attempt: 2, Plan: planned.Plan}),
			0, 0,
		},
		"sound that is not all there": {
			append([]domain.Event{created, uploaded, inspected, planned, unfinished, chunk(0, 4), failed},
				domain.TranscodeRequested{Attempt: 2, TakesOver: true}, domain.SourceInspected{Attempt: 2, Source: info},
				domain.TranscodePlanned{Attempt: 2, Plan: planned.Plan}),
			1, 0,
		},
		"what may be swept: older than what is served": {
			append(second(info, small, failed), domain.RenditionProduced{Attempt: 2, Name: "240p"},
				domain.TranscodeRequested{Attempt: 3, TakesOver: true}, domain.SourceInspected{Attempt: 3, Source: info},
				domain.TranscodePlanned{Attempt: 3, Plan: planned.Plan}),
			0, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var recorded []domain.Recorded
			for i, e := range c.events {
				recorded = append(recorded, domain.Recorded{Stream: stream, Version: i + 1, Event: e})
			}
			e := domain.FindEarlier(recorded)
			if got := len(e.Chunk(domain.LoadVideo(recorded).Run.Plan.Only(func(domain.Rung) bool { return true }), 0)); got != c.chunks {
				t.Errorf("%d renditions of the first chunk, want %d", got, c.chunks)
			}
			if got := len(e.Audio(0)); got != c.parts {
				t.Errorf("%d parts of the sound, want %d", got, c.parts)
			}
		})
	}
}
