package commands_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// pipeline is the whole write side in memory: events go to the policy, its tasks to the worker, until nothing is left.
type pipeline struct {
	t       *testing.T
	log     *memory.Log
	blobs   *memory.Blobs
	tasks   *memory.Tasks
	encoder *memory.Encoder
	service *commands.Service
	policy  *commands.Transcoding
	worker  *commands.Worker
	now     time.Time
	seen    domain.Position
	later   []commands.Task
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	p := &pipeline{
		t: t, log: memory.NewLog(), tasks: &memory.Tasks{}, encoder: &memory.Encoder{},
		now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
	}
	clock := func() time.Time { return p.now }
	p.blobs = memory.NewBlobs(clock)
	p.service = &commands.Service{Log: p.log, Blobs: p.blobs, Now: clock}
	p.policy = &commands.Transcoding{Service: p.service, Tasks: p.tasks}
	p.worker = &commands.Worker{
		Service: p.service, Encoder: p.encoder, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Slots: 2,
		Poll: time.Millisecond,
	}
	return p
}

func (p *pipeline) create(mode domain.PublishMode) domain.VideoID {
	p.t.Helper()
	r, err := p.service.Create(p.t.Context(), commands.CreateVideo{
		Event: domain.VideoCreated{Details: domain.Details{Title: "A title"}, Publish: mode},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Video
}

func (p *pipeline) upload(id domain.VideoID, body string) {
	p.t.Helper()
	_, err := p.service.UploadSource(p.t.Context(), commands.UploadSource{
		Video: id, Filename: "a.mp4", Body: strings.NewReader(body),
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// react hands new events to the policy, each of them twice, as a bus may.
func (p *pipeline) react() {
	p.t.Helper()
	for {
		events, err := p.log.ReadAfter(p.t.Context(), p.seen, 1000)
		if err != nil {
			p.t.Fatal(err)
		}
		if len(events) == 0 {
			return
		}
		for range 2 {
			for _, e := range events {
				if err := p.policy.Handle(p.t.Context(), e); err != nil {
					p.t.Fatal(err)
				}
			}
		}
		p.seen = events[len(events)-1].Position
	}
}

// settle works until there is neither an event nor a task.
func (p *pipeline) settle() {
	p.t.Helper()
	for {
		p.react()
		tasks := p.tasks.Take()
		if len(tasks) == 0 {
			return
		}
		for _, task := range tasks {
			for try := 1; ; try++ {
				err := p.worker.Handle(p.t.Context(), task)
				if _, later := errors.AsType[*commands.PostponedError](err); later {
					p.later = append(p.later, task)
					break
				}
				if err != nil && try == 3 {
					err = errors.Join(p.worker.GiveUp(p.t.Context(), task, try), p.worker.GiveUp(p.t.Context(), task, try))
					if err != nil {
						p.t.Fatalf("give up %+v: %v", task, err)
					}
				}
				if err == nil {
					break
				}
			}
		}
	}
}

// planned carries an uploaded video to the tasks of its plan, each of them once.
func (p *pipeline) planned() []commands.Task {
	p.t.Helper()
	p.react()
	for _, task := range p.tasks.Take() {
		if err := p.worker.Handle(p.t.Context(), task); err != nil {
			p.t.Fatal(err)
		}
	}
	p.react()
	var tasks []commands.Task
	for _, task := range p.tasks.Take() {
		if !slices.Contains(tasks, task) {
			tasks = append(tasks, task)
		}
	}
	return tasks
}

func (p *pipeline) history(id domain.VideoID) []domain.Recorded {
	p.t.Helper()
	events, err := p.service.History(p.t.Context(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	return events
}

func (p *pipeline) video(id domain.VideoID) domain.Video { return domain.LoadVideo(p.history(id)) }

func (p *pipeline) stored(prefix string) map[string]int64 {
	p.t.Helper()
	found := map[string]int64{}
	err := p.blobs.List(p.t.Context(), prefix, func(b commands.StoredBlob) error {
		found[b.Key] = b.Bytes
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// onlyLive checks that storage holds exactly what the log names.
func (p *pipeline) onlyLive(ids ...domain.VideoID) {
	p.t.Helper()
	stored := p.stored("")
	for _, id := range ids {
		for _, b := range commands.LiveBlobs(p.history(id), p.now) {
			if stored[b.Key] != b.Bytes {
				p.t.Errorf("%s has %d bytes in storage, %d in the log", b.Key, stored[b.Key], b.Bytes)
			}
			delete(stored, b.Key)
		}
	}
	for key := range stored {
		p.t.Errorf("%s is stored and not named", key)
	}
}

func count[E domain.Event](events []domain.Recorded) int {
	n := 0
	for _, r := range events {
		if _, ok := r.Event.(E); ok {
			n++
		}
	}
	return n
}

func TestPipelineCarriesAVideoToItsPublication(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	v := p.video(id)
	if v.Status() != domain.StatusReady || !v.Published || v.InWork() {
		t.Errorf("status %s, published %t", v.Status(), v.Published)
	}
	events := p.history(id)
	if n := count[domain.PosterProduced](events); n != 1 {
		t.Errorf("%d posters", n)
	}
	if n, want := count[domain.RenditionProduced](events), len(v.Run.Plan.Rungs); n != want {
		t.Errorf("%d renditions, want %d", n, want)
	}
	p.onlyLive(id)
}

func TestAudioIsReportedInParts(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = domain.SourceInfo{
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 98, Frames: 2450,
		Audio: &domain.AudioInfo{Channels: 2},
	}
	failed := errors.New("the encoder died")
	broken := true
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, _, segment int) error {
		if kind == commands.TaskAudio && segment == 12 && broken { // after two parts, with segments not reported
			broken = false
			return failed
		}
		return nil
	}
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	var sizes []int
	for _, r := range p.history(id) {
		if e, ok := r.Event.(domain.AudioTranscoded); ok {
			if e.Part != len(sizes) {
				t.Errorf("part %d, want %d", e.Part, len(sizes))
			}
			sizes = append(sizes, len(e.Segments))
			if e.Final != (len(sizes) == 4) {
				t.Errorf("part %d: final %t", e.Part, e.Final)
			}
		}
	}
	// 25 segments: the first at once, then by eight; the second run begins after the nine recorded ones.
	if want := []int{1, 8, 8, 8}; !equal(sizes, want) {
		t.Errorf("parts of %v segments, want %v", sizes, want)
	}
	if p.video(id).Status() != domain.StatusReady {
		t.Error("the video is not ready")
	}
	p.onlyLive(id)
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestAnotherAttemptReplacesTheMedia(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishManual)
	p.upload(id, "a source")
	p.settle()
	before := p.stored("media/")
	if _, err := p.service.Transcode(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	p.settle()
	v := p.video(id)
	if v.Serving != 2 || v.Published {
		t.Errorf("serving %d, published %t", v.Serving, v.Published)
	}
	// Whoever watches has the playlists of the first attempt, and plays on.
	after := p.stored("media/")
	for key := range before {
		if _, ok := after[key]; !ok {
			t.Errorf("%s of the first attempt is gone at once", key)
		}
	}
	p.onlyLive(id)
	if len(p.later) == 0 {
		t.Fatal("nobody will remove it")
	}
	p.now = p.now.Add(commands.RetireAfter)
	if err := p.worker.Handle(t.Context(), p.later[0]); err != nil {
		t.Fatal(err)
	}
	after = p.stored("media/")
	for key := range before {
		if _, ok := after[key]; ok {
			t.Errorf("%s of the first attempt is still there", key)
		}
	}
	p.onlyLive(id)
}

func TestDeletedVideosLeaveNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id, other := p.create(domain.PublishAuto), p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.upload(other, "another source")
	p.settle()
	if _, err := p.service.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	p.settle()
	p.onlyLive(other)
	if err := p.worker.Handle(t.Context(), commands.Task{Kind: commands.TaskChunk, Video: id, Attempt: 1}); err != nil {
		t.Error("a late task:", err)
	}
}

func TestARefusedSourceFailsTheVideo(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, _, _ int) error {
		return &domain.Failure{Code: domain.Encrypted, Detail: "the video track is encrypted"}
	}
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	v := p.video(id)
	if v.Status() != domain.StatusFailed || v.Run.Failure.Code != domain.Encrypted {
		t.Errorf("status %s, %+v", v.Status(), v.Run.Failure)
	}
	if count[domain.SourceRejected](p.history(id)) != 1 {
		t.Error("no SourceRejected")
	}
	p.encoder.Before = nil
	p.upload(id, "a better source") // and the first one goes after an hour
	p.now = p.now.Add(2 * time.Hour)
	p.settle()
	if v := p.video(id); v.Status() != domain.StatusReady {
		t.Errorf("after a better source: %s", v.Status())
	}
	p.onlyLive(id)
}

func TestWorkThatNeverSucceedsEndsTheAttempt(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = domain.SourceInfo{ // its third chunk has two segments
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 20, Frames: 500,
	}
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, chunk, segment int) error {
		if kind == commands.TaskChunk && chunk == 2 && segment == 1 {
			return errors.New("open /secret/place: password hunter2 is wrong")
		}
		return nil
	}
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	v := p.video(id)
	want := domain.Failure{Code: domain.Internal, Detail: "encoding chunk 2 failed 3 times"}
	if v.Status() != domain.StatusFailed || *v.Run.Failure != want {
		t.Errorf("status %s, %+v", v.Status(), v.Run.Failure)
	}
	p.onlyLive(id)
}

func TestAnEventThatIsNeverHandledEndsTheAttempt(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	events := p.history(id)
	for range 2 { // as after every start
		for _, e := range events {
			if err := p.policy.GiveUp(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	v := p.video(id)
	want := domain.Failure{Code: domain.Internal, Detail: "reacting to video.uploaded.v1 failed too often"}
	if v.Status() != domain.StatusFailed || *v.Run.Failure != want || count[domain.TranscodeFailed](p.history(id)) != 1 {
		t.Errorf("status %s, %+v", v.Status(), v.Run.Failure)
	}
	if _, err := p.service.Transcode(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.policy.GiveUp(t.Context(), events[1]); err != nil {
		t.Fatal(err)
	}
	p.settle()
	if v := p.video(id); v.Status() != domain.StatusReady {
		t.Errorf("the next attempt: %s", v.Status())
	}
}

func TestWorkEndsWhenTheVideoIsDeleted(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	p.encoder.Before = func(ctx context.Context, kind commands.TaskKind, _, segment int) error {
		if kind == commands.TaskChunk && segment == 0 {
			if _, err := p.service.Delete(context.WithoutCancel(ctx), id); err != nil && !errors.Is(err, domain.ErrNotFound) {
				t.Error(err)
			}
			<-ctx.Done() // an encode that would take for ever
			return ctx.Err()
		}
		return nil
	}
	p.upload(id, "a source")
	p.settle()
	p.onlyLive()
}

func TestAZombieChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	another := &commands.Worker{Service: p.service, Encoder: p.encoder, Log: p.worker.Log}
	first := true
	p.encoder.Before = func(ctx context.Context, kind commands.TaskKind, chunk, segment int) error {
		if kind != commands.TaskChunk || chunk != 0 || !first {
			return nil
		}
		first = false // the lease is lost here: another worker does the same chunk meanwhile
		return another.Handle(context.WithoutCancel(ctx), commands.Task{Kind: commands.TaskChunk, Video: id, Attempt: 1})
	}
	p.upload(id, "a source")
	p.settle()
	events := p.history(id)
	if n, want := count[domain.ChunkTranscoded](events), len(p.video(id).Run.Plan.Chunks); n != want {
		t.Errorf("%d chunks recorded, want %d", n, want)
	}
	p.onlyLive(id)
}

func TestOneChunkAtATimePerSlot(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.worker.Slots = 1
	id := p.create(domain.PublishAuto)
	inside := make(chan struct{}, 1)
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, _, segment int) error {
		if kind != commands.TaskChunk {
			return nil
		}
		select {
		case inside <- struct{}{}:
			<-inside
		default:
			t.Error("two chunks in one slot")
		}
		return nil
	}
	p.upload(id, "a source")
	done := make(chan error)
	tasks := p.planned()
	for _, task := range tasks {
		go func() { done <- p.worker.Handle(t.Context(), task) }()
	}
	for range tasks {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestTheWholePipelineIsDurableInOrder(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	sum := sha256.Sum256([]byte("a source"))
	e, ok := p.history(id)[1].Event.(domain.VideoUploaded)
	if !ok {
		t.Fatal("no VideoUploaded")
	}
	path, release, err := p.blobs.Local(t.Context(), e.Source.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	data, err := os.ReadFile(path)
	if err != nil || sha256.Sum256(data) != sum {
		t.Errorf("the source named by the event is not what was sent: %q, %v", data, err)
	}
}
