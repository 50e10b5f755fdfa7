package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// Worker does tasks. Any number of them, in any number of processes, may work on one video: the log decides whose
// result counts. Use it by pointer.
type Worker struct {
	Service *Service
	Encoder Encoder
	Log     *slog.Logger
	Slots   int           // chunks encoded at once, and as many first ones beside them; 0 means one for each CPU
	CPUs    int           // that are there for these; 0 means all of the machine
	Poll    time.Duration // how often a task in work asks whether it is still wanted; 0 means 2 s
	// Strained says why no encode should begin now, such as memory or disk space that runs short; empty when one may. What
	// is at work goes on. May be nil.
	Strained func() string

	once   sync.Once
	slots  chan struct{} // one for each chunk at work
	quick  chan struct{} // one for each that somebody waits for
	sounds chan struct{} // one for each video of which all of the sound is at work
	ahead  sync.Map      // tasks that are at work ahead of an upload, with a channel each that is closed at their end
}

// on returns a worker on another service. Together they take no more places than this one.
func (w *Worker) on(s *Service) *Worker {
	w.once.Do(w.makeSlots)
	other := &Worker{
		Service: s, Encoder: w.Encoder, Log: w.Log, Slots: w.Slots, CPUs: w.CPUs, Poll: w.Poll, Strained: w.Strained, slots: w.slots, quick: w.quick,
		sounds: w.sounds,
	}
	other.once.Do(func() {})
	return other
}

// Handle does one task. An error means that the task should come again, or be given up on.
func (w *Worker) Handle(ctx context.Context, t Task) error {
	err := w.do(ctx, t)
	if errors.Is(err, domain.ErrSuperseded) {
		return nil
	}
	if f, ok := errors.AsType[*domain.Failure](err); ok {
		return w.fail(ctx, t, *f)
	}
	return err
}

// GiveUp ends the attempt that a task belongs to, so that no video stays in work for ever: the task will not come
// again, whether it failed too often or took its process down with it each time. It may be told so more than once.
// The error that the task ended with is not for the video's history: it may hold paths, addresses and keys.
func (w *Worker) GiveUp(ctx context.Context, t Task, tries int) error {
	if t.Kind == TaskSweep {
		return nil
	}
	return w.fail(ctx, t, domain.Failure{
		Code: domain.Internal, Detail: fmt.Sprintf("%s failed %d times", describe(t), tries),
	})
}

// pollEvery is how often work asks whether it is still wanted: it ends within 5 s, with what it takes to kill a process.
const pollEvery = 2 * time.Second

// strainedWait is how long a task waits where the machine has no room for it; another machine may take it then.
const strainedWait = 15 * time.Second

func (w *Worker) do(ctx context.Context, t Task) error {
	if err := w.hasRoom(ctx, t); err != nil {
		return err
	}
	if err := w.awaitAhead(ctx, t); err != nil {
		return err
	}
	switch t.Kind {
	case TaskInspect:
		return w.inspect(ctx, t)
	case TaskMeasure:
		return w.measure(ctx, t)
	case TaskChunk:
		return w.chunk(ctx, t)
	case TaskRemux:
		return w.remux(ctx, t)
	case TaskAudio:
		return w.audio(ctx, t)
	case TaskCaptions:
		return w.captions(ctx, t)
	case TaskPreview:
		return w.previews(ctx, t)
	case TaskSweep:
		return w.sweep(ctx, t)
	}
	return fmt.Errorf("%w: a task of kind %q", domain.ErrInvalid, t.Kind)
}

// hasRoom gives a PostponedError where the machine has no room for a task.
func (w *Worker) hasRoom(ctx context.Context, t Task) error {
	if w.Strained == nil || t.Kind == TaskSweep { // which makes room
		return nil
	}
	why := w.Strained()
	if why == "" {
		return nil
	}
	w.Log.WarnContext(ctx, "work waits for room on this machine", "reason", why, "video", string(t.Video), "task", describe(t))
	return &PostponedError{After: strainedWait}
}

// awaitAhead returns when nobody of this process is at work on the same task ahead of an upload.
func (w *Worker) awaitAhead(ctx context.Context, t Task) error {
	t.Priority = 0
	done, ok := w.ahead.Load(t)
	if !ok {
		return nil
	}
	select {
	case <-done.(chan struct{}):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func describe(t Task) string {
	switch t.Kind {
	case TaskInspect:
		return "inspecting the source"
	case TaskMeasure:
		return "measuring the pictures"
	case TaskChunk:
		return fmt.Sprintf("encoding chunk %d", t.Chunk)
	case TaskRemux:
		return "remuxing the source"
	case TaskAudio:
		return "encoding " + domain.AudioName(t.Track)
	case TaskCaptions:
		return "taking the captions out"
	case TaskPreview:
		return "making previews"
	case TaskSweep:
		return "sweeping"
	}
	return "a task"
}

// fail ends the attempt that a task belongs to, if the video is nothing without what the task was to make.
func (w *Worker) fail(ctx context.Context, t Task, f domain.Failure) error {
	if t.Kind == TaskPreview || t.Kind == TaskCaptions {
		w.Log.WarnContext(ctx, "the video does without something", "video", string(t.Video), "attempt", t.Attempt, "task", describe(t), "reason", f.Error())
		return nil
	}
	err := w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) {
		switch {
		case t.Kind == TaskInspect && f.Code != domain.Internal:
			return v.RejectSource(t.Attempt, f)
		case t.Kind == TaskRemux: // encoding needs less of a source than serving it as it is
			return v.RefuseRemux(t.Attempt, f.Error())
		case t.Kind == TaskAudio:
			return v.LeaveAudioOut(t.Attempt, t.Track, f)
		case t.Kind == TaskMeasure: // without it every rung is made
			return v.ChooseRungs(t.Attempt, domain.Complexity{})
		}
		return v.FailTranscode(t.Attempt, f)
	})
	if errors.Is(err, domain.ErrSuperseded) {
		return nil
	}
	return err
}

func (w *Worker) decide(ctx context.Context, t Task, d func(domain.Video) ([]domain.Event, error)) error {
	commitID, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a commit id: %w", err)
	}
	_, err = w.Service.decide(ctx, t.Video, domain.Meta{Actor: "worker"}, commitID.String(), d)
	return err
}

func (w *Worker) inspect(ctx context.Context, t Task) error {
	wanted := func(v domain.Video) error {
		_, err := v.RecordInspection(t.Attempt, domain.SourceInfo{})
		return err
	}
	v, path, release, err := w.wantedSource(ctx, t, wanted)
	if err != nil {
		return err
	}
	defer release()
	var info domain.SourceInfo
	err = w.watched(ctx, v, wanted, func(ctx context.Context) (err error) {
		info, err = w.Encoder.Inspect(ctx, path)
		return err
	})
	if err != nil {
		return err
	}
	return w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordInspection(t.Attempt, info) })
}

// measure sees which rungs add something. What cannot be measured gets all of them.
func (w *Worker) measure(ctx context.Context, t Task) (err error) {
	needed := func(v domain.Video) error { return v.NeedsMeasure(t.Attempt) }
	v, path, release, err := w.wantedSource(ctx, t, needed)
	if err != nil {
		return err
	}
	defer release()
	var c domain.Complexity
	err = w.watched(ctx, v, needed, func(ctx context.Context) (err error) {
		c, err = w.Encoder.Measure(ctx, MeasureJob{Path: path, Source: *v.Run.Source, Plan: *v.Run.Plan})
		return err
	})
	switch {
	case errors.Is(err, domain.ErrSuperseded), errors.Is(err, ErrNotAhead), errors.Is(err, errNotSent):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		w.Log.WarnContext(ctx, "every rung is made, because the pictures could not be measured", "video", string(t.Video), "attempt", t.Attempt, "reason", err.Error())
		c = domain.Complexity{}
	}
	return w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.ChooseRungs(t.Attempt, c) })
}

// wanted loads a task's video and says whether the task's work is still wanted.
func (w *Worker) wanted(ctx context.Context, t Task, check func(domain.Video) error) (domain.Video, error) {
	v, err := w.Service.load(ctx, t.Video)
	if err != nil {
		return v, err
	}
	return v, check(v)
}

// wantedSource also gives the video's source as a file, for as long as release is not called.
func (w *Worker) wantedSource(
	ctx context.Context, t Task, check func(domain.Video) error,
) (v domain.Video, path string, release func(), err error) {
	if v, err = w.wanted(ctx, t, check); err == nil {
		path, release, err = w.source(ctx, v)
	}
	return v, path, release, err
}

// source gives a video's source as a file for as long as release is not called.
func (w *Worker) source(ctx context.Context, v domain.Video) (path string, release func(), err error) {
	path, release, err = w.Service.Blobs.Local(ctx, v.Source.Source.Key)
	if err != nil {
		return "", nil, fmt.Errorf("open the source of video %s: %w", v.ID, err)
	}
	return path, release, nil
}

// watched runs work and ends it, with the reason as its error, soon after the log says that it is no longer wanted.
func (w *Worker) watched(
	ctx context.Context, v domain.Video, check func(domain.Video) error, work func(context.Context) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(cmp.Or(w.Poll, pollEvery))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			events, err := w.Service.Log.ReadStream(ctx, string(v.ID), v.Version)
			if err != nil {
				continue // the work's own append will tell whether the log is away
			}
			for _, e := range events {
				v = v.Evolve(e)
			}
			if err := check(v); err != nil {
				cancel(err)
				return
			}
		}
	}()
	err := work(ctx)
	cancel(nil)
	<-done
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, domain.ErrSuperseded) {
		return cause
	}
	return err
}
