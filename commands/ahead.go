package commands

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// Ahead works on sources while they are still being sent, as far as they can be read from their beginning on: what it has
// made by then is recorded in the one commit that records the upload. Until then there is no trace of it, and none if the
// upload fails or is not what its digest says. Use it by pointer.
type Ahead struct {
	Worker   *Worker
	Encoder  FollowingEncoder
	Encoding domain.Encoding // for videos that ask for no other
	// Spool is a directory for copies of what is being sent, where storage has no file of it on this machine.
	Spool string
	After time.Duration // how long an upload takes before anything is done; 1 s when 0
	Most  int           // uploads that are worked on at once; 2 when 0

	mu      sync.Mutex
	base    context.Context //nolint:containedctx // of all work, from Run on
	working int
	running sync.WaitGroup
}

// FollowingEncoder is an Encoder that also works on files that still grow.
type FollowingEncoder interface {
	Encoder
	// Follow says that the file at path is still arriving: all work on it, until done is called, waits for what it needs
	// of it. Inspect says ErrNotAhead of sources that cannot be understood before they are whole.
	Follow(path string, a Arriving) (done func())
	// Foresee says what the first seconds of a source let expect that Inspect needs all of: enough for its first chunk, if
	// it goes on like that. ErrNotAhead where Inspect needs no more.
	Foresee(ctx context.Context, path string) (domain.SourceInfo, error)
	// Needed returns how many bytes, from the beginning, of a source that is followed it takes to encode a chunk.
	Needed(ctx context.Context, job ChunkJob) (int64, error)
}

// ErrNotAhead says that nothing can be done with a source before it is whole.
var ErrNotAhead = errors.New("the source cannot be worked on before it is whole")

// Run lets work begin, and ends it all when ctx ends.
func (a *Ahead) Run(ctx context.Context) error {
	a.mu.Lock()
	a.base = ctx
	a.mu.Unlock()
	<-ctx.Done()
	a.mu.Lock()
	a.base = nil
	a.mu.Unlock()
	a.running.Wait()
	return nil
}

// Running says whether work may begin.
func (a *Ahead) Running() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.base != nil
}

// begin returns the work on one upload; nil where there is none to be done.
func (a *Ahead) begin(s *Service, u UploadSource, attempt int, key string) *foresight {
	if a == nil || u.Bytes <= 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.base == nil || a.working >= cmp.Or(a.Most, 2) {
		return nil
	}
	ctx, cancel := context.WithCancelCause(a.base)
	f := &foresight{
		EventLog: s.Log, Blobs: s.Blobs, ahead: a, service: s, video: u.Video, attempt: attempt, source: key, cancel: cancel,
		arrival: newArrival(u.Bytes), ended: make(chan struct{}), settled: make(chan struct{}), planned: make(chan struct{}),
	}
	f.events = []domain.Event{domain.VideoUploaded{
		Attempt: attempt, Filename: domain.CleanFilename(u.Filename), Source: domain.Blob{Key: key, Bytes: u.Bytes},
	}}
	a.working++
	a.running.Go(func() {
		defer func() {
			a.mu.Lock()
			a.working--
			a.mu.Unlock()
		}()
		f.run(ctx)
	})
	return f
}

// foresight is a video as it will be when the upload that is under way has ended well. It is an EventLog and storage for
// a Worker: what that records is kept here until the upload is recorded, and goes to the log from then on.
type foresight struct {
	EventLog
	Blobs

	ahead   *Ahead
	service *Service
	video   domain.VideoID
	attempt int
	source  string // the key that the source will have
	arrival *arrival
	copied  *copiedBody
	cancel  context.CancelCauseFunc
	ended   chan struct{} // closed when no work is under way any more
	settled chan struct{} // closed when the upload is recorded
	planned chan struct{} // closed when there is a plan before

	mu      sync.Mutex // held from take to done, so that nothing comes between
	taken   bool
	known   int // events that the log has of the video
	events  []domain.Event
	keys    []string
	outcome outcome
}

type outcome int

const (
	pending outcome = iota
	recorded
	dropped
)

// maxForeseen leaves room in the commit for the last events of a run.
const maxForeseen = MaxCommitEvents - 40

var errForeseen = errors.New("as much is done ahead of an upload as goes into its commit")

// body lets the work see what of the body is stored.
func (f *foresight) body(r io.Reader) io.Reader {
	if f == nil {
		return r
	}
	if f.ahead.Spool == "" {
		return watchedBody{r, f.arrival}
	}
	file, err := os.CreateTemp(f.ahead.Spool, "upload-")
	if err != nil {
		f.arrival.end()
		return r
	}
	f.copied = &copiedBody{Reader: r, arrival: f.arrival, file: file}
	return f.copied
}

// stored says that storage has taken all of the body, or no more of it.
func (f *foresight) stored() {
	if f != nil {
		f.arrival.end()
		if f.copied != nil {
			f.copied.close()
		}
	}
}

// take returns what follows from the upload by now, if that is the one that was foreseen. Nothing is added until done.
func (f *foresight) take(upload []domain.Event) []domain.Event {
	if f == nil || len(upload) != 1 {
		return upload
	}
	if e, ok := upload[0].(domain.VideoUploaded); !ok || e.Attempt != f.attempt {
		return upload
	}
	if !f.taken {
		f.taken = true
		f.mu.Lock()
	}
	return append(upload, f.events[1:]...)
}

// done says what has become of the upload. Blobs that no commit can name are removed.
func (f *foresight) done(ctx context.Context, ok, unsure bool) {
	if f == nil {
		return
	}
	if !f.taken {
		f.mu.Lock()
	}
	f.outcome = dropped
	if ok && f.taken {
		f.outcome = recorded
		close(f.settled)
	}
	ok = f.outcome == recorded
	f.mu.Unlock()
	if ok {
		select {
		case <-f.ended:
			f.forget()
		default: // what is at work goes on
		}
		return
	}
	f.cancel(errNotSent)
	<-f.ended
	if !unsure {
		f.service.discard(ctx, f.keys...)
	}
	f.forget()
}

// forget takes the keys from those that a sweep may not touch: by now the log names them, or nobody does.
func (f *foresight) forget() {
	for _, key := range f.keys {
		f.service.uploads.Delete(key)
	}
}

// ReadStream implements EventLog.
func (f *foresight) ReadStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcome != pending || stream != string(f.video) {
		return f.EventLog.ReadStream(ctx, stream, after) //nolint:wrapcheck // it is that log
	}
	events, err := f.EventLog.ReadStream(ctx, stream, 0)
	if err != nil {
		return nil, err //nolint:wrapcheck // it is that log
	}
	f.known = len(events)
	for i, e := range f.events {
		events = append(events, domain.Recorded{Stream: stream, Version: f.known + i + 1, Time: f.service.Now(), Event: e})
	}
	return events[min(after, len(events)):], nil
}

// Append implements EventLog.
func (f *foresight) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.outcome == recorded:
		return f.EventLog.Append(ctx, c) //nolint:wrapcheck // it is that log
	case f.outcome == dropped:
		return domain.Appended{}, domain.ErrSuperseded
	case c.Expected != f.known+len(f.events):
		return domain.Appended{}, domain.ErrConflict
	case len(f.events)+len(c.Events) > maxForeseen:
		return domain.Appended{}, errForeseen
	}
	f.events = append(f.events, c.Events...)
	return domain.Appended{Version: c.Expected + len(c.Events)}, nil
}

// Local implements Blobs: the source is where it is being written.
func (f *foresight) Local(ctx context.Context, key string) (string, func(), error) {
	if key != f.source {
		return f.Blobs.Local(ctx, key) //nolint:wrapcheck // it is that storage
	}
	path, err := f.arrival.file(ctx)
	return path, func() {}, err
}

// Put implements Blobs.
func (f *foresight) Put(ctx context.Context, key string, r io.Reader) (domain.Blob, error) {
	f.mu.Lock()
	f.keys = append(f.keys, key)
	f.service.uploads.Store(key, true)
	f.mu.Unlock()
	return f.Blobs.Put(ctx, key, r) //nolint:wrapcheck // it is that storage
}

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
