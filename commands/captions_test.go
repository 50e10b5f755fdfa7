package commands_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

func TestCaptionsOfTheSourceAreTakenOut(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = domain.SourceInfo{
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 10, Frames: 250,
		Captions: []domain.CaptionInfo{{Track: 1, Language: "en"}, {Track: 2, Language: "en", Title: "More"}, {Track: 3}},
	}
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	var got []string
	for _, r := range p.history(id) {
		if e, ok := r.Event.(domain.CaptionAdded); ok {
			got = append(got, e.Name+" "+e.Language+" "+e.Label)
		}
	}
	if diff := cmp.Diff([]string{"en en ", "en-2 en More", "und und "}, got); diff != "" {
		t.Errorf("captions (-want +got):\n%s", diff)
	}
	p.onlyLive(id)
	if _, err := p.service.Transcode(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	p.settle()
	if n := count[domain.CaptionAdded](p.history(id)); n != 6 {
		t.Errorf("%d captions after another encode", n)
	}
	p.onlyLive(id)
	p.now = p.now.Add(commands.RetireAfter)
	if err := p.worker.Handle(t.Context(), p.later[len(p.later)-1]); err != nil {
		t.Fatal(err)
	}
	p.onlyLive(id)
}

func TestCaptionsThatCannotBeReadFailNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = domain.SourceInfo{
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 10, Frames: 250,
		Captions: []domain.CaptionInfo{{Track: 1}},
	}
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, _, _ int) error {
		if kind == commands.TaskCaptions {
			return &domain.Failure{Code: domain.Malformed, Detail: "no text"}
		}
		return nil
	}
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	if v := p.video(id); v.Status() != domain.StatusReady || v.Run.Failure != nil {
		t.Errorf("status %s, failure %v", v.Status(), v.Run.Failure)
	}
	p.onlyLive(id)
}
