package commands_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// easy is what is measured of a 720p source whose lower rungs nobody needs.
func easy() domain.Complexity {
	return domain.Complexity{Seconds: 2, Rungs: []domain.RungForecast{
		{Name: "720p", Likeness: 1, BitRate: 900_000},
		{Name: "480p", Likeness: 0.98, BitRate: 380_000},
		{Name: "360p", Likeness: 0.97, BitRate: 300_000},
		{Name: "240p", Likeness: 0.9, BitRate: 150_000},
	}}
}

func TestRungsAreChosenBeforeChunksAreEncoded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails   error
		measure domain.Complexity
		want    []string
	}{
		"easy":                      {nil, easy(), []string{"720p", "480p"}},
		"nothing measured":          {nil, domain.Complexity{}, []string{"720p", "480p", "360p", "240p"}},
		"it cannot be measured":     {errors.New("a reason"), easy(), []string{"720p", "480p", "360p", "240p"}},
		"its pictures are not good": {&domain.Failure{Code: domain.Malformed}, easy(), []string{"720p", "480p", "360p", "240p"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			p.policy.Encoding.Ladder = domain.LadderMeasured
			p.encoder.Complexity = c.measure
			var order []commands.TaskKind
			p.encoder.Before = func(_ context.Context, kind commands.TaskKind, _, _ int) error {
				order = append(order, kind)
				if kind == commands.TaskMeasure {
					return c.fails
				}
				return nil
			}
			id := p.create(domain.PublishAuto)
			p.upload(id, "a film")
			p.settle()
			v := p.video(id)
			if v.Status() != domain.StatusReady {
				t.Fatalf("the video is %s", v.Status())
			}
			var got []string
			for _, r := range v.Run.Plan.Rungs {
				got = append(got, r.Name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if m, first := slices.Index(order, commands.TaskMeasure), slices.Index(order, commands.TaskChunk); m < 0 || m > first {
				t.Errorf("measured at %d, encoded from %d on", m, first)
			}
			if n := len(order) - len(slices.DeleteFunc(slices.Clone(order), func(k commands.TaskKind) bool { return k == commands.TaskMeasure })); n != 1 {
				t.Errorf("measured %d times", n)
			}
		})
	}
}

// A measure that takes its process down each time comes to an end too, and the video is made with every rung.
func TestAMeasureThatIsGivenUpOnCostsNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.policy.Encoding.Ladder = domain.LadderMeasured
	id := p.create(domain.PublishAuto)
	p.upload(id, "a film")
	for p.video(id).Run.Plan == nil {
		p.react()
		for _, task := range p.tasks.Take() {
			if err := p.worker.Handle(t.Context(), task); err != nil {
				t.Fatal(err)
			}
		}
		p.react()
	}
	if err := p.worker.GiveUp(t.Context(), commands.Task{Kind: commands.TaskMeasure, Video: id, Attempt: 1}, 10); err != nil {
		t.Fatal(err)
	}
	p.settle()
	if v := p.video(id); v.Status() != domain.StatusReady || len(v.Run.Plan.Rungs) != 4 {
		t.Errorf("the video is %s with %d rungs", v.Status(), len(v.Run.Plan.Rungs))
	}
}

// What is encoded while it is still being sent is not measured where somebody waits for it: it gets every rung, and its chunks do
// not wait.
func TestWorkAheadDoesNotWaitForAMeasure(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	s.policy.Encoding.Ladder, s.ahead.Encoding.Ladder = domain.LadderMeasured, domain.LadderMeasured
	s.encoder.Complexity = easy()
	s.begin(nil)
	s.send(8)
	s.await(commands.TaskChunk, 0)
	s.finish(2)
	if rungs := s.pipeline.video(s.video).Run.Plan.Rungs; len(rungs) != 2 {
		t.Errorf("%d rungs: %+v", len(rungs), rungs)
	}
}

// Where the source's own pictures are served, half of it is measured while the other half is being sent, and chunks are encoded
// ahead too.
func TestRungsAreChosenAhead(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	s.policy.Encoding.Ladder, s.ahead.Encoding.Ladder = domain.LadderAuto, domain.LadderAuto
	s.encoder.Source.Width, s.encoder.Source.Height = 1280, 720
	s.encoder.Source.Remux = &domain.RemuxInfo{BitRate: 5_000_000}
	for joint := 0; joint < s.encoder.Source.Frames; joint += 100 {
		s.encoder.Source.Remux.Joints = append(s.encoder.Source.Remux.Joints, joint)
	}
	s.encoder.Complexity = easy()
	s.begin(nil)
	s.send(4)
	s.await(commands.TaskRemux, 0)
	if s.begun(commands.TaskMeasure) != 0 {
		t.Error("measured before half of it was there")
	}
	s.send(3)
	s.await(commands.TaskMeasure, 0)
	s.await(commands.TaskChunk, 1)
	s.finish(3)
	if plan := s.pipeline.video(s.video).Run.Plan; plan.Open || len(plan.Rungs) != 3 {
		t.Errorf("the plan is %+v", plan)
	}
	if n := s.begun(commands.TaskMeasure); n != 1 {
		t.Errorf("measured %d times", n)
	}
}

// An upload that ends while its pictures are waited for leaves nothing behind.
func TestAnUploadThatEndsBeforeItIsMeasuredLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	s.policy.Encoding.Ladder, s.ahead.Encoding.Ladder = domain.LadderAuto, domain.LadderAuto
	s.encoder.Source.Width, s.encoder.Source.Height = 1280, 720
	s.encoder.Source.Remux = &domain.RemuxInfo{BitRate: 5_000_000, Joints: []int{0, 200, 400, 600, 800}}
	s.begin(nil)
	s.send(4)
	s.await(commands.TaskRemux, 0)
	if err := s.body.CloseWithError(errors.New("the sender is gone")); err != nil {
		t.Fatal(err)
	}
	if err := <-s.done; err == nil {
		t.Error("it was taken")
	}
	s.nothing()
	if types := s.types(); len(types) != 1 || s.begun(commands.TaskMeasure) != 0 {
		t.Errorf("in the log: %v", types)
	}
}
