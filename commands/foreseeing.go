package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	after := cmp.Or(f.ahead.After, time.Second)
	begin, measure := time.NewTimer(after), time.NewTimer(measureAfter*after)
	defer begin.Stop()
	defer measure.Stop()
	if !f.lasts(ctx, begin) {
		return
	}
	path, err := f.arrival.file(ctx)
	if err != nil {
		return
	}
	defer f.ahead.Encoder.Follow(path, f.arrival)()
	service := &Service{Log: f, Blobs: f, Now: f.service.Now, Appended: f.appended}
	worker := f.ahead.Worker.on(service)
	defer f.watch(ctx, worker.Poll)()
	if err := f.work(ctx, worker, path, measure); err != nil && ctx.Err() == nil {
		worker.Log.DebugContext(ctx, "no more is done ahead of an upload", "video", string(f.video), "reason", err)
	}
}

// watch ends all work soon after the log says that the upload can no longer be recorded, however long it still takes.
func (f *foresight) watch(ctx context.Context, poll time.Duration) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(cmp.Or(poll, pollEvery))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-f.settled:
				return
			case <-tick.C:
			}
			if f.ofNoUse(ctx) {
				f.cancel(fmt.Errorf("%w: the upload cannot be recorded any more", domain.ErrSuperseded))
				return
			}
		}
	})
	return func() { cancel(); watching.Wait() }
}

// ofNoUse says whether the video is deleted, or has got another source meanwhile.
func (f *foresight) ofNoUse(ctx context.Context) bool {
	f.mu.Lock() // so that the upload is not being recorded now
	defer f.mu.Unlock()
	if f.outcome != pending {
		return false
	}
	v, err := f.service.load(ctx, f.video)
	return err == nil && (v.CanUpload() != nil || v.Attempt+1 != f.attempt)
}

// measureAfter is how many times as long an upload lasts before its pictures are measured: all of those of a quick one can be.
const measureAfter = 10

// lasts returns when the upload has lasted that long; false when it has ended before.
func (f *foresight) lasts(ctx context.Context, timer *time.Timer) bool {
	select {
	case <-timer.C:
		return true
	case <-f.settled:
	case <-ctx.Done():
	}
	return false
}

// appended passes on what the log got.
func (f *foresight) appended(p domain.Position) {
	if p > 0 && f.service.Appended != nil {
		f.service.Appended(p)
	}
}

func (f *foresight) work(ctx context.Context, w *Worker, path string, measure *time.Timer) error {
	chunk, pictures := f.guess(ctx, w, path, f.task(TaskChunk), f.firstChunk), f.guess(ctx, w, path, f.task(TaskRemux), f.firstPictures)
	sound := f.guess(ctx, w, path, f.task(TaskAudio), f.firstSound)
	defer chunk.end()
	defer pictures.end()
	defer sound.end()
	if err := f.piece(ctx, w, f.task(TaskInspect), nil); err != nil {
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
	defer chunk.end() // the sound may last
	for _, t := range f.pieces(v, TaskAudio, TaskRemux) {
		if t.Track > 0 {
			continue // nobody waits for it
		}
		begun := map[TaskKind]*guess{TaskAudio: sound, TaskRemux: pictures}[t.Kind]
		tracks.Go(func() { _ = f.piece(ctx, w, t, begun) }) // whatever it was: it is done again when the source is there
	}
	for _, t := range f.pieces(v, TaskMeasure) {
		if !f.lasts(ctx, measure) {
			return context.Cause(ctx)
		}
		err := f.piece(ctx, w, t, nil)
		if err == nil {
			v, err = w.Service.load(ctx, f.video)
		}
		if err != nil {
			return err
		}
	}
	chunks := f.pieces(v, TaskChunk)
	slices.SortFunc(chunks, func(a, b Task) int { return a.Chunk - b.Chunk })
	for _, t := range chunks {
		needed, err := f.ahead.Encoder.Needed(ctx, ChunkJob{Path: path, Source: *v.Run.Source, Plan: *v.Run.Plan, Chunk: t.Chunk})
		if err == nil {
			_, err = f.arrival.Wait(ctx, needed)
		}
		if err != nil || f.over() { // the workers take over, all of them
			return err
		}
		begun := map[int]*guess{0: chunk}[t.Chunk]
		if err := f.piece(ctx, w, t, begun); err != nil && !errors.Is(err, domain.ErrSuperseded) {
			return err
		}
	}
	return nil
}

// pieces lists what is to be done of a plan, of some kinds. The others need all of the source.
func (f *foresight) pieces(v domain.Video, kinds ...TaskKind) []Task {
	tasks := pieces(v, domain.TranscodePlanned{Attempt: f.attempt, Plan: *v.Run.Plan})
	tasks = slices.DeleteFunc(tasks, func(t Task) bool { return !slices.Contains(kinds, t.Kind) })
	for i := range tasks {
		tasks[i].Priority = 0
	}
	return tasks
}

// unmeasured closes a plan with all of its rungs where somebody waits for chunks: they are made from the first on. Where the
// source's own pictures are served, nobody does, and the rungs are chosen when enough of it is there to be measured.
func unmeasured(events []domain.Event) []domain.Event {
	for i, e := range events {
		if planned, ok := e.(domain.TranscodePlanned); ok && planned.Plan.Remuxed() == nil {
			planned.Plan.Open = false
			events[i] = planned
		}
	}
	return events
}

// task is the first of its kind.
func (f *foresight) task(kind TaskKind) Task {
	return Task{Kind: kind, Video: f.video, Attempt: f.attempt}
}

// piece does one task, after what a guess made of it.
func (f *foresight) piece(ctx context.Context, w *Worker, t Task, begun *guess) error {
	if begun == nil {
		defer f.mark(t)()
	} else {
		defer begun.end()
		begun.Wait()
	}
	return w.do(ctx, t)
}

// mark lets workers wait where they come to a task, until it is done.
func (f *foresight) mark(t Task) (done func()) {
	working := make(chan struct{})
	f.ahead.Worker.ahead.Store(t, working)
	return sync.OnceFunc(func() {
		f.ahead.Worker.ahead.Delete(t)
		close(working)
	})
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
