package commands_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

func TestPreviewsFollowACompleteAttempt(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = domain.SourceInfo{
		Width: 1280, Height: 720, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 1000, Frames: 25_000,
	}
	tiles := 0
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, _, segment int) error {
		if kind == commands.TaskPreview {
			tiles = max(tiles, segment+1)
		}
		return nil
	}
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	events := p.history(id)
	if s, m := count[domain.StoryboardProduced](events), count[domain.PreviewProduced](events); s != 1 || m != 1 {
		t.Fatalf("%d storyboards and %d previews", s, m)
	}
	for _, r := range events {
		if e, ok := r.Event.(domain.StoryboardProduced); ok && (e.Interval != 10 || tiles != 100 || e.Image.Bytes == 0) {
			t.Errorf("%d tiles, one each %g s, image %+v", tiles, e.Interval, e.Image)
		}
	}
	p.onlyLive(id)
	if _, err := p.service.Transcode(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	p.settle()
	if n := count[domain.StoryboardProduced](p.history(id)); n != 2 {
		t.Errorf("%d storyboards after another encode", n)
	}
	p.onlyLive(id)
}

func TestAVideoIsNothingLessWithoutPreviews(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]error{
		"an error":  errors.New("the encoder died"),
		"a failure": &domain.Failure{Code: domain.Malformed, Detail: "nothing decodes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			p.encoder.Before = func(_ context.Context, kind commands.TaskKind, _, _ int) error {
				if kind == commands.TaskPreview {
					return reason
				}
				return nil
			}
			id := p.create(domain.PublishAuto)
			p.upload(id, "a source")
			p.settle()
			if v := p.video(id); v.Status() != domain.StatusReady || !v.Published {
				t.Errorf("status %s, published %t", v.Status(), v.Published)
			}
			if n := count[domain.TranscodeFailed](p.history(id)); n != 0 {
				t.Error("the attempt failed")
			}
			p.onlyLive(id)
		})
	}
}

// Two workers make the same previews; a sweep comes between what they store and what they record.
func TestTheSlowerPreviewLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	task := commands.Task{Kind: commands.TaskPreview, Video: id, Attempt: 1}
	inside := false
	p.encoder.Before = func(ctx context.Context, kind commands.TaskKind, _, _ int) error {
		if kind != commands.TaskPreview || inside {
			return nil
		}
		inside = true
		return p.worker.Handle(ctx, task)
	}
	p.settle()
	if n := count[domain.StoryboardProduced](p.history(id)); n != 1 || !inside {
		t.Errorf("%d storyboards, raced %t", n, inside)
	}
	p.onlyLive(id)
}

func TestASweepLeavesPreviewsThatWillBeRecorded(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	broken := true
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, _, _ int) error {
		if kind == commands.TaskPreview && broken {
			return &domain.Failure{Code: domain.Internal, Detail: "not yet"}
		}
		return nil
	}
	p.settle()
	v := p.video(id)
	young := "media/" + string(id) + "/a1/previews-x/storyboard.jpg"
	if _, err := p.blobs.Put(t.Context(), young, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	sweep := commands.Task{Kind: commands.TaskSweep, Video: id, Attempt: 1}
	if err := p.worker.Handle(t.Context(), sweep); err != nil {
		t.Fatal(err)
	}
	if _, kept := p.stored(young)[young]; !kept || !commands.ToBeNamed(v, young) {
		t.Error("the sweep took what a worker is about to record")
	}
	broken = false
	if err := p.worker.Handle(t.Context(), commands.Task{Kind: commands.TaskPreview, Video: id, Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	p.settle()
	if _, kept := p.stored(young)[young]; kept || commands.ToBeNamed(p.video(id), young) {
		t.Error("what no event names stays after the previews are recorded")
	}
	p.onlyLive(id)
}

func TestADarkPosterIsReplaced(t *testing.T) {
	t.Parallel()
	for dark, want := range map[int]int{0: 1, 4: 2} { // the poster is taken at 4 s; a tile each 2 s
		p := newPipeline(t)
		p.encoder.Dark = dark
		id := p.create(domain.PublishAuto)
		p.upload(id, "a source")
		p.settle()
		if n := count[domain.PosterProduced](p.history(id)); n != want {
			t.Errorf("%d posters where %d tiles are dark", n, dark)
		}
		p.onlyLive(id)
	}
}
