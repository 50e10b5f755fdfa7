package commands_test

import (
	"testing"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

func TestTheFirstMinuteOfAVideoGoesBeforeTheRestOfAny(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = domain.SourceInfo{
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 600, Frames: 15_000,
		Audio: &domain.AudioInfo{Channels: 2},
	}
	p.upload(p.create(domain.PublishAuto), "a source")
	var last, soon int
	for _, task := range p.planned() {
		switch {
		case task.Kind != commands.TaskChunk || task.Chunk == 0:
			if task.Priority != commands.PriorityFirst {
				t.Errorf("%s has priority %d: somebody waits for it", task.Kind, task.Priority)
			}
			continue
		case last != 0 && task.Priority > last:
			t.Errorf("chunk %d has priority %d, after %d", task.Chunk, task.Priority, last)
		case task.Priority > commands.PriorityRest:
			soon = task.Chunk
		}
		last = task.Priority
	}
	if last >= commands.PriorityRest || soon != 3 {
		t.Errorf("chunks up to %d go before, and the last one has priority %d", soon, last)
	}
}
