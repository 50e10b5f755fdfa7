package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// run does what can be done, until the upload is recorded; what is at work then is brought to its end.
func (f *foresight) run(ctx context.Context) {
	defer f.arrival.remove()
	defer func() {
		f.cancel(nil)
		close(f.ended)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.outcome == recorded {
			f.forget()
		}
	}()
	timer := time.NewTimer(cmp.Or(f.ahead.After, time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.settled:
		return
	case <-ctx.Done():
		return
	}
	path, err := f.arrival.file(ctx)
	if err != nil {
		return
	}
	defer f.ahead.Encoder.Follow(path, f.arrival)()
	service := &Service{Log: f, Blobs: f, Now: f.service.Now, Appended: f.appended}
	worker := f.ahead.Worker.on(service)
	if err := f.work(ctx, worker, path); err != nil && ctx.Err() == nil {
		worker.Log.DebugContext(ctx, "no more is done ahead of an upload", "video", string(f.video), "reason", err)
	}
}

// appended passes on what the log got.
func (f *foresight) appended(p domain.Position) {
	if p > 0 && f.service.Appended != nil {
		f.service.Appended(p)
	}
}

func (f *foresight) work(ctx context.Context, w *Worker, path string) error {
	var guess sync.WaitGroup
	defer guess.Wait()
	guess.Go(func() {
		if err := f.firstChunk(ctx, w, path); err != nil && !errors.Is(err, ErrNotAhead) && ctx.Err() == nil {
			w.Log.DebugContext(ctx, "the first chunk is not made ahead of an upload", "video", string(f.video), "reason", err)
		}
	})
	if err := f.piece(ctx, w, Task{Kind: TaskInspect, Video: f.video, Attempt: f.attempt}); err != nil {
		return err
	}
	if f.over() {
		return nil
	}
	commit, err := uuid.NewV7()
	if err != nil {
		return err //nolint:wrapcheck // it says enough
	}
	_, err = w.Service.decide(ctx, f.video, domain.Meta{Actor: "policy"}, commit.String(), func(v domain.Video) ([]domain.Event, error) {
		events, err := v.PlanTranscode(f.attempt, f.ahead.Encoding)
		return unmeasured(events), err
	})
	if err != nil {
		return err
	}
	close(f.planned)
	v, err := w.Service.load(ctx, f.video)
	if err != nil {
		return err
	}
	var tracks sync.WaitGroup
	defer tracks.Wait()
	var chunks []Task
	for _, t := range pieces(v, domain.TranscodePlanned{Attempt: f.attempt, Plan: *v.Run.Plan}) {
		awaited := t.Priority == PriorityFirst
		t.Priority = 0
		switch t.Kind { //nolint:exhaustive // the others need all of the source
		case TaskAudio, TaskRemux:
			if !awaited {
				continue // a further track of sound
			}
			tracks.Go(func() { _ = f.piece(ctx, w, t) }) // whatever it was: it is done again when the source is there
		case TaskChunk:
			chunks = append(chunks, t)
		}
	}
	slices.SortFunc(chunks, func(a, b Task) int { return a.Chunk - b.Chunk })
	for _, t := range chunks {
		needed, err := f.ahead.Encoder.Needed(ctx, ChunkJob{Path: path, Source: *v.Run.Source, Plan: *v.Run.Plan, Chunk: t.Chunk})
		if err == nil {
			_, err = f.arrival.Wait(ctx, needed)
		}
		if err != nil || f.over() { // the workers take over, all of them
			return err
		}
		if t.Chunk == 0 {
			guess.Wait()
		}
		if err := f.piece(ctx, w, t); err != nil && !errors.Is(err, domain.ErrSuperseded) {
			return err
		}
	}
	return nil
}

// unmeasured closes a plan with all of its rungs where chunks can be made ahead: what is to come cannot be measured yet.
// Where the source's own pictures are served, nobody waits for chunks, and the rungs are chosen when all of it is there.
func unmeasured(events []domain.Event) []domain.Event {
	for i, e := range events {
		if planned, ok := e.(domain.TranscodePlanned); ok && planned.Plan.Remuxed() == nil {
			planned.Plan.Open = false
			events[i] = planned
		}
	}
	return events
}

// firstChunk encodes the first chunk of a source of which the rest is not known, and records it if the plan turns out to
// be what its first seconds let expect.
func (f *foresight) firstChunk(ctx context.Context, w *Worker, path string) error {
	source, err := f.ahead.Encoder.Foresee(ctx, path)
	if err != nil {
		return err
	}
	v, err := w.Service.load(ctx, f.video)
	if err != nil {
		return err
	}
	plan := v.Encoding.Or(f.ahead.Encoding).Plan(source)
	if plan.Remuxed() != nil || len(plan.Chunks) < 2 || f.over() {
		return nil
	}
	t := Task{Kind: TaskChunk, Video: f.video, Attempt: f.attempt}
	defer f.mark(t)()
	release, err := w.slot(ctx, true)
	if err != nil {
		return err
	}
	out, err := newStoring(f, t, "0")
	if err == nil {
		job := ChunkJob{Path: path, Source: source, Plan: plan}
		err = errors.Join(f.ahead.Encoder.EncodeChunk(ctx, job, out), out.wait())
	}
	release()
	if err != nil {
		return err
	}
	event, _, err := out.chunk(t, plan)
	if err == nil {
		err = f.awaitPlan(ctx, w, func(v domain.Video) error {
			if !v.Run.Source.BeginsLike(source) || !v.Run.Plan.BeginsLike(plan) {
				return errors.New("the source did not go on as it began")
			}
			return nil
		})
	}
	if err == nil {
		err = w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordChunk(event, nil) })
	}
	if err != nil && f.over() { // else all goes
		f.service.discard(ctx, out.stored()...)
	}
	return err
}

// awaitPlan returns when there is a plan, with what check says of it.
func (f *foresight) awaitPlan(ctx context.Context, w *Worker, check func(domain.Video) error) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.planned:
	case <-f.settled: // then somebody else may be the first
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		v, err := w.Service.load(ctx, f.video)
		switch {
		case err != nil:
			return err
		case !v.InWork() || v.Attempt != f.attempt:
			return domain.ErrSuperseded
		case v.Run.Plan != nil:
			return check(v)
		}
	}
}

// piece does one task.
func (f *foresight) piece(ctx context.Context, w *Worker, t Task) error {
	defer f.mark(t)()
	return w.do(ctx, t)
}

// mark lets workers wait where they come to a task, until it is done.
func (f *foresight) mark(t Task) (done func()) {
	working := make(chan struct{})
	f.ahead.Worker.ahead.Store(t, working)
	return func() {
		f.ahead.Worker.ahead.Delete(t)
		close(working)
	}
}

// over says that the upload has come to its end, one way or the other.
func (f *foresight) over() bool {
	select {
	case <-f.settled:
		return true
	default:
		return false
	}
}
