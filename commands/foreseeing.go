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
	chunk, sound := f.guess(ctx, w, path, f.task(TaskChunk), f.firstChunk), f.guess(ctx, w, path, f.task(TaskAudio), f.firstSound)
	defer chunk.end()
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
	var chunks []Task
	for _, t := range pieces(v, domain.TranscodePlanned{Attempt: f.attempt, Plan: *v.Run.Plan}) {
		awaited := t.Priority == PriorityFirst
		t.Priority = 0
		switch t.Kind { //nolint:exhaustive // the others need all of the source
		case TaskAudio, TaskRemux:
			if !awaited {
				continue // a further track of sound
			}
			begun := map[TaskKind]*guess{TaskAudio: sound}[t.Kind]
			tracks.Go(func() { _ = f.piece(ctx, w, t, begun) }) // whatever it was: it is done again when the source is there
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
		begun := map[int]*guess{0: chunk}[t.Chunk]
		if err := f.piece(ctx, w, t, begun); err != nil && !errors.Is(err, domain.ErrSuperseded) {
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
