package domain_test

import (
	"testing"

	"github.com/cinelog/cinelog/domain"
)

func TestTransitions(t *testing.T) {
	t.Parallel()
	ready := []domain.Event{created, uploaded, inspected, planned, audio, chunk(0, 4), chunk(1, 2), produced(), domain.VideoPublished{}}
	life := append(append([]domain.Event{}, ready...),
		domain.StoryboardProduced{Attempt: 1}, domain.PreviewProduced{Attempt: 1}, domain.PosterProduced{Attempt: 1}, domain.VideoUnpublished{},
		domain.VideoPublished{}, domain.TranscodeRequested{Attempt: 2}, domain.TranscodeFailed{Attempt: 2}, domain.VideoDeleted{},
		domain.VideoErased{}, domain.VideoErased{})
	for i, e := range life {
		if err := given(life[:i]...).Admits(e); err != nil {
			t.Errorf("event %d, %T: %v", i+1, e, err)
		}
	}
	deleted := append(append([]domain.Event{}, ready...), domain.VideoDeleted{})
	for name, c := range map[string]struct {
		given []domain.Event
		event domain.Event
	}{
		"created twice":             {ready, created},
		"not created":               {nil, uploaded},
		"published twice":           {ready, domain.VideoPublished{}},
		"published before ready":    {ready[:4], domain.VideoPublished{}},
		"published after deletion":  {deleted, domain.VideoPublished{}},
		"deleted twice":             {deleted, domain.VideoDeleted{}},
		"unpublished, never public": {ready[:8], domain.VideoUnpublished{}},
		"erased, not deleted":       {ready, domain.VideoErased{}},
		"a second source":           {ready, domain.VideoUploaded{Attempt: 2}},
		"an attempt left out":       {ready[:1], domain.VideoUploaded{Attempt: 2}},
		"inspected twice":           {ready[:3], inspected},
		"planned twice":             {ready[:4], planned},
		"planned uninspected":       {ready[:2], planned},
		"a chunk twice":             {ready[:6], chunk(0, 4)},
		"a chunk that is not there": {ready[:4], chunk(7, 4)},
		"a chunk of a zombie":       {append(append([]domain.Event{}, ready...), domain.TranscodeRequested{Attempt: 2}), chunk(0, 4)},
		"sound twice":               {ready[:5], audio},
		"sound with a gap":          {ready[:4], domain.AudioTranscoded{Attempt: 1, Part: 1}},
		"a track that is not there": {ready[:4], domain.AudioTranscoded{Attempt: 1, Track: 1}},
		"remuxed without a plan":    {ready[:3], domain.SourceRemuxed{Attempt: 1}},
		"produced incomplete":       {ready[:6], produced()},
		"failed when ready":         {ready, failed},
		"rejected when failed":      {[]domain.Event{created, uploaded, failed}, rejected},
		"previews twice":            {append(append([]domain.Event{}, ready...), domain.StoryboardProduced{Attempt: 1}), domain.StoryboardProduced{Attempt: 1}},
		"a poster of no attempt":    {ready, domain.PosterProduced{Attempt: 3}},
		"again without a source":    {ready[:1], domain.TranscodeRequested{Attempt: 1}},
		"again while in work":       {ready[:3], domain.TranscodeRequested{Attempt: 2}},
	} {
		if err := given(c.given...).Admits(c.event); err == nil {
			t.Errorf("%s: admitted", name)
		}
	}
}
