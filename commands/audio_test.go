package commands_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// inThree is a source of 100 s with three tracks of sound.
func inThree() domain.SourceInfo {
	return domain.SourceInfo{
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 98, Frames: 2450,
		Audio:     &domain.AudioInfo{Channels: 2, Language: "en"},
		MoreAudio: []domain.AudioInfo{{Track: 2, Channels: 2, Language: "de"}, {Track: 3, Channels: 1, Kind: domain.Commentary}},
	}
}

// parts counts the parts of each track in the log, and fails where one is out of turn.
func parts(t *testing.T, events []domain.Recorded) []int {
	t.Helper()
	counts := make([]int, 3)
	for _, r := range events {
		if e, ok := r.Event.(domain.AudioTranscoded); ok {
			if e.Part != counts[e.Track] {
				t.Errorf("track %d: part %d comes after %d", e.Track, e.Part, counts[e.Track])
			}
			counts[e.Track]++
		}
	}
	return counts
}

func TestEachTrackOfSoundIsATask(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = inThree()
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	var priorities []int
	for _, task := range p.planned() {
		if task.Kind == commands.TaskAudio {
			if task.Track != len(priorities) {
				t.Errorf("track %d is task %d", task.Track, len(priorities))
			}
			priorities = append(priorities, task.Priority)
		}
		p.work(task)
	}
	if want := []int{commands.PriorityFirst, commands.PriorityRest, commands.PriorityRest}; !equal(priorities, want) {
		t.Errorf("priorities %v, want %v", priorities, want)
	}
	p.settle()
	if v := p.video(id); v.Status() != domain.StatusReady {
		t.Errorf("status %s", v.Status())
	}
	if diff := cmp.Diff([]int{4, 4, 4}, parts(t, p.history(id))); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	p.onlyLive(id)
}

func (p *pipeline) work(task commands.Task) {
	p.t.Helper()
	if err := p.worker.Handle(p.t.Context(), task); err != nil {
		p.t.Errorf("%+v: %v", task, err)
	}
}

// Tasks come twice, in any order and beside each other, and some workers die: in the log each part of each track is there
// once and in its turn, and storage has nothing else.
func TestTracksOfSoundInAnyOrder(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = inThree()
	died := map[int]bool{}
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, track, segment int) error {
		if kind == commands.TaskAudio && segment == 12+track && !died[track] {
			died[track] = true
			return errors.New("the encoder died")
		}
		return nil
	}
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	tasks := p.planned()
	tasks = append(tasks, tasks...)
	slices.Reverse(tasks)
	for _, task := range tasks {
		if err := p.worker.Handle(t.Context(), task); err != nil && len(died) == 0 {
			t.Errorf("%+v: %v", task, err)
		}
	}
	before := p.history(id)
	if v := p.video(id); v.Status() != domain.StatusReady {
		t.Errorf("status %s, %+v", v.Status(), v.Run.Audio)
	}
	if diff := cmp.Diff([]int{4, 4, 4}, parts(t, before)); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	for _, task := range tasks { // once more, when all is done
		p.work(task)
	}
	if after := p.history(id); len(after) != len(before) {
		t.Errorf("%d events were added by tasks that came again", len(after)-len(before))
	}
	p.settle()
	p.onlyLive(id)
}

// A zombie of the second track comes back when another worker has done it: nothing of it stays, and the first is as it was.
func TestAZombieOfOneTrackChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = inThree()
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	var second commands.Task
	for _, task := range p.planned() {
		if task.Kind == commands.TaskAudio && task.Track == 1 {
			second = task
		}
	}
	taken := false
	encoder := &memory.Encoder{Source: inThree(), Before: func(_ context.Context, _ commands.TaskKind, _, segment int) error {
		if segment == 3 && !taken { // while it is away
			taken = true
			p.work(second)
		}
		return nil
	}}
	zombie := &commands.Worker{Service: p.service, Encoder: encoder, Log: p.worker.Log, Poll: p.worker.Poll}
	if err := zombie.Handle(t.Context(), second); err != nil {
		t.Errorf("the zombie: %v", err)
	}
	if diff := cmp.Diff([]int{0, 4, 0}, parts(t, p.history(id))); diff != "" || !taken {
		t.Errorf("taken over: %t, parts (-want +got):\n%s", taken, diff)
	}
	if run := p.video(id).Run.Audio; !run[1].Done || run[0].Done || run[0].Parts > 0 {
		t.Errorf("%+v", run)
	}
}

func TestAVideoDoesWithoutATrackThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broken  []int
		failure error
		leftOut int
		status  domain.Status
	}{
		"one of them":                     {[]int{1}, &domain.Failure{Code: domain.Malformed, Detail: "noise"}, 1, domain.StatusReady},
		"the first":                       {[]int{0}, &domain.Failure{Code: domain.Malformed, Detail: "noise"}, 1, domain.StatusReady},
		"all but one":                     {[]int{0, 2}, &domain.Failure{Code: domain.Malformed, Detail: "noise"}, 2, domain.StatusReady},
		"all":                             {[]int{0, 1, 2}, &domain.Failure{Code: domain.Malformed, Detail: "noise"}, 2, domain.StatusFailed},
		"one, and nobody knows why":       {[]int{2}, errors.New("the machine is full"), 1, domain.StatusReady},
		"the first, and nobody knows why": {[]int{0}, errors.New("the machine is full"), 0, domain.StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			p.encoder.Source = inThree()
			p.encoder.Before = func(_ context.Context, kind commands.TaskKind, track, segment int) error {
				if kind == commands.TaskAudio && slices.Contains(c.broken, track) && segment == 2 {
					return c.failure
				}
				return nil
			}
			id := p.create(domain.PublishAuto)
			p.upload(id, "a source")
			p.settle()
			if v := p.video(id); v.Status() != c.status {
				t.Errorf("status %s, want %s: %v", v.Status(), c.status, v.Run.Failure)
			}
			var left []string
			for _, r := range p.history(id) {
				if e, ok := r.Event.(domain.AudioLeftOut); ok {
					left = append(left, e.Failure.Error())
				}
			}
			if len(left) != c.leftOut || slices.Contains(left, "") {
				t.Errorf("left out, because of %q; want %d", left, c.leftOut)
			}
			p.onlyLive(id)
		})
	}
}
