package commands

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// What the inspection needs all of a source for, its first seconds let expect: enough to make what is watched first of it. That is
// recorded if the plan turns out to be what was expected.

// segmentsExpected is how many segments of the source's own pictures are made at most of what is expected.
const segmentsExpected = 2

// expectation is what a source becomes, and the plan for it, if it goes on as it begins.
type expectation struct {
	path   string
	source domain.SourceInfo
	plan   domain.Plan
}

var errOtherwise = errors.New("the source did not go on as it began")

// guess is the work on what is expected. Its task is marked until it ends, so that no worker comes between it and whoever
// goes on with it.
type guess struct {
	sync.WaitGroup

	unmark func()
}

// end returns when the work is done. It may be called more than once.
func (g *guess) end() {
	g.Wait()
	g.unmark()
}

func (f *foresight) guess(ctx context.Context, w *Worker, path string, t Task, first func(context.Context, *Worker, Task, expectation) error) *guess {
	g := &guess{unmark: f.mark(t)}
	g.Go(func() {
		err := f.expect(ctx, w, path, t, first)
		if err != nil && !errors.Is(err, ErrNotAhead) && ctx.Err() == nil {
			w.Log.DebugContext(ctx, "what was expected of an upload is of no use", "video", string(f.video), "reason", err)
		}
	})
	return g
}

func (f *foresight) expect(ctx context.Context, w *Worker, path string, t Task, first func(context.Context, *Worker, Task, expectation) error) error {
	source, err := f.ahead.Encoder.Foresee(ctx, path)
	if err != nil {
		return err
	}
	v, err := w.Service.load(ctx, f.video)
	if err != nil {
		return err
	}
	plan := v.Encoding.Or(f.ahead.Encoding).Plan(source)
	if plan.Remuxed() != nil {
		plan.Starts = plan.Starts[:min(len(plan.Starts), 1+segmentsExpected)]
	}
	if !plan.BeginsLike(plan) || f.over() { // it has no more than what would be its beginning
		return nil
	}
	if err := w.hasRoom(ctx, t); err != nil {
		return err
	}
	return first(ctx, w, t, expectation{path, source, plan})
}

// meets says whether the video became what was expected, as far as what was made of it goes.
func (x expectation) meets(v domain.Video) bool {
	return v.Run.Source.BeginsLike(x.source) && v.Run.Plan.BeginsLike(x.plan)
}

// firstChunk encodes the first chunk, for which nobody waits where the source's own pictures are served.
func (f *foresight) firstChunk(ctx context.Context, w *Worker, t Task, x expectation) error {
	if x.plan.Remuxed() != nil {
		return nil
	}
	release, err := w.slot(ctx, true)
	if err != nil {
		return err
	}
	out, err := newStoring(f, t, "0")
	if err == nil {
		err = errors.Join(f.ahead.Encoder.EncodeChunk(ctx, ChunkJob{Path: x.path, Source: x.source, Plan: x.plan}, out), out.wait())
	}
	release()
	if err != nil {
		return err
	}
	event, _, err := out.chunk(t, x.plan)
	if err != nil {
		return err
	}
	return f.came(ctx, w, t, x, out, func(v domain.Video) ([]domain.Event, error) { return v.RecordChunk(event, nil) })
}

// firstPictures takes the first segments of the source's own pictures. The remux of all of it leaves them out then.
func (f *foresight) firstPictures(ctx context.Context, w *Worker, t Task, x expectation) error {
	if x.plan.Remuxed() == nil {
		return nil
	}
	out, err := newStoring(f, t, domain.RemuxName)
	if err != nil {
		return err
	}
	first := firstSegments{storing: out, most: len(x.plan.Starts) - 1}
	err = f.ahead.Encoder.Remux(ctx, RemuxJob{Path: x.path, Source: x.source, Plan: x.plan}, &first)
	if first.n == first.most { // then we have ended it
		err = nil
	}
	if err = errors.Join(err, out.wait()); err != nil || first.n == 0 {
		return err
	}
	e := out.part(0, first.n)
	event := domain.SourceRemuxed{Attempt: t.Attempt, Init: e.Init, Codecs: e.Codecs, Segments: e.Segments}
	return f.came(ctx, w, t, x, out, func(v domain.Video) ([]domain.Event, error) { return v.RecordRemux(event) })
}

// firstSound encodes the first segments of the sound that players begin with. The encode of all of it leaves them out then.
func (f *foresight) firstSound(ctx context.Context, w *Worker, t Task, x expectation) error {
	if x.plan.Audio == nil {
		return nil
	}
	out, err := newStoring(f, t, domain.AudioName(0))
	if err != nil {
		return err
	}
	first := firstSegments{storing: out}
	err = errors.Join(f.ahead.Encoder.EncodeAudio(ctx, AudioJob{Path: x.path, Source: x.source, Plan: twoSegments(x.plan)}, &first), out.wait())
	if err != nil || first.n == 0 {
		return err
	}
	event := out.part(0, first.n)
	event.Attempt = t.Attempt
	return f.came(ctx, w, t, x, out, func(v domain.Video) ([]domain.Event, error) {
		if sound := v.Run.Source.Audio; sound == nil || !sound.Equal(*x.source.Audio) || v.Run.Plan.Frames < x.plan.Frames {
			return nil, errOtherwise
		}
		return v.RecordAudio(event)
	})
}

// twoSegments ends a plan a little after its second segment: the encoder looks ahead.
func twoSegments(p domain.Plan) domain.Plan {
	p.Frames = min(p.Frames, p.SegmentEnd(p.SegmentEnd(0))+p.SegmentFrames/4)
	return p
}

// firstSegments is an Output without the last segment, which would not be the last.
type firstSegments struct {
	*storing

	n    int
	most int // after so many it takes no more; 0 for any number
}

var errEnough = errors.New("there are as many segments as were asked for")

func (s *firstSegments) Segment(ctx context.Context, rendition string, m MediaSegment) error {
	if m.Last {
		return nil
	}
	if err := s.storing.Segment(ctx, rendition, m); err != nil {
		return err
	}
	if s.n++; s.n == s.most {
		return errEnough
	}
	return nil
}

// came records what was made, if what was expected has come.
func (f *foresight) came(
	ctx context.Context, w *Worker, t Task, x expectation, out *storing, record func(domain.Video) ([]domain.Event, error),
) error {
	err := f.awaitPlan(ctx, w, x)
	if err == nil {
		err = w.decide(ctx, t, record)
	}
	if err != nil && f.over() { // else all goes
		f.service.discard(ctx, out.stored()...)
	}
	return err
}

// awaitPlan returns when there is a plan, errOtherwise when it does not begin as expected.
func (f *foresight) awaitPlan(ctx context.Context, w *Worker, x expectation) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.planned:
	case <-f.settled: // then somebody else may be the first
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := w.Service.load(ctx, f.video)
		switch {
		case err != nil:
			return err
		case !v.InWork() || v.Attempt != f.attempt:
			return domain.ErrSuperseded
		case v.Run.Plan == nil:
		case x.meets(v):
			return nil
		default:
			return errOtherwise
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
