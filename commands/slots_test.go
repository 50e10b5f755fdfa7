package commands_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// atWork keeps every encode at its first piece until it is let go, and says which are there.
type atWork struct {
	mu    sync.Mutex
	there map[commands.TaskKind][]int // chunks; 0 stands for the audio
	gates map[commands.TaskKind]chan struct{}
}

func (w *atWork) before(_ context.Context, kind commands.TaskKind, chunk, segment int) error {
	if kind == commands.TaskInspect || segment > 0 {
		return nil
	}
	w.mu.Lock()
	w.there[kind] = append(w.there[kind], chunk)
	gate := w.gates[kind]
	w.mu.Unlock()
	<-gate
	return nil
}

// take says what has begun since the last call.
func (w *atWork) take() (chunks, audio []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	chunks, audio = w.there[commands.TaskChunk], w.there[commands.TaskAudio]
	w.there = map[commands.TaskKind][]int{}
	slices.Sort(chunks)
	return chunks, audio
}

func TestTheFirstChunkRunsAloneWithTheSound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline(t)
		p.encoder.Source = domain.SourceInfo{
			Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 60, Frames: 1500,
			Audio: &domain.AudioInfo{Codec: "aac", Channels: 2, SampleRate: 48_000},
		}
		w := &atWork{there: map[commands.TaskKind][]int{}, gates: map[commands.TaskKind]chan struct{}{
			commands.TaskChunk: make(chan struct{}), commands.TaskAudio: make(chan struct{}),
		}}
		p.encoder.Before = w.before
		p.upload(p.create(domain.PublishAuto), "a source")
		tasks := p.planned()
		var done sync.WaitGroup
		for _, task := range tasks {
			done.Go(func() {
				if err := p.worker.Handle(t.Context(), task); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // each waits where it will before the next comes
		}
		if chunks, audio := w.take(); !slices.Equal(chunks, []int{0}) || len(audio) != 1 {
			t.Errorf("chunks %d and %d audio tracks are at work, want chunk 0 and the audio", chunks, len(audio))
		}
		w.gates[commands.TaskChunk] <- struct{}{}
		synctest.Wait()
		if chunks, _ := w.take(); !slices.Equal(chunks, []int{1, 2}) {
			t.Errorf("after chunk 0 the chunks %d are at work, want as many as there are places: 1 and 2", chunks)
		}
		close(w.gates[commands.TaskChunk])
		close(w.gates[commands.TaskAudio])
		done.Wait()
	})
}

// Whoever waits for a first chunk does not wait for later ones of another video to end, nor do these wait for ever.
func TestAFirstChunkBeginsBesideLaterOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline(t)
		p.encoder.Source = domain.SourceInfo{Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 60, Frames: 1500}
		w := &atWork{there: map[commands.TaskKind][]int{}, gates: map[commands.TaskKind]chan struct{}{commands.TaskChunk: make(chan struct{})}}
		p.encoder.Before = w.before
		p.upload(p.create(domain.PublishAuto), "a long one")
		tasks := p.planned()
		slices.SortFunc(tasks, func(a, b commands.Task) int { return b.Chunk - a.Chunk }) // the first chunk last
		var done sync.WaitGroup
		begin := func(task commands.Task) {
			done.Go(func() {
				if err := p.worker.Handle(t.Context(), task); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		for _, task := range tasks {
			begin(task)
		}
		last := tasks[0].Chunk
		if chunks, _ := w.take(); !slices.Equal(chunks, []int{0, last - 1, last}) {
			t.Errorf("chunks %d are at work, want the two that were there and the first one", chunks)
		}
		p.upload(p.create(domain.PublishAuto), "another")
		p.upload(p.create(domain.PublishAuto), "and another")
		for _, task := range p.planned() {
			if task.Chunk == 0 {
				begin(task)
			}
		}
		if chunks, _ := w.take(); !slices.Equal(chunks, []int{0}) {
			t.Errorf("chunks %d have begun, want one more first one, as there are two places", chunks)
		}
		close(w.gates[commands.TaskChunk])
		done.Wait()
	})
}

// The sound of long videos lasts, and takes no place from what is soon done: the sound of a short one, and the first seconds of
// another long one, so that it can be watched. Its rest is made when there is a place.
func TestTheSoundOfLongVideosLetsOthersBegin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline(t)
		lasts := func(seconds int) {
			p.encoder.Source = domain.SourceInfo{
				Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: float64(seconds), Frames: 25 * seconds,
				Audio: &domain.AudioInfo{Codec: "aac", Channels: 2, SampleRate: 48_000},
			}
		}
		sound := func() []commands.Task {
			return slices.DeleteFunc(p.planned(), func(task commands.Task) bool { return task.Kind != commands.TaskAudio })
		}
		parts := func(id domain.VideoID) (n []int) {
			for _, r := range p.history(id) {
				if e, ok := r.Event.(domain.AudioTranscoded); ok {
					n = append(n, len(e.Segments))
				}
			}
			return n
		}
		w := &atWork{there: map[commands.TaskKind][]int{}, gates: map[commands.TaskKind]chan struct{}{
			commands.TaskAudio: make(chan struct{}),
		}}
		p.encoder.Before = w.before
		lasts(90)
		for range commands.SoundsAtOnce {
			p.upload(p.create(domain.PublishAuto), "a long video")
		}
		var done sync.WaitGroup
		for _, task := range sound() {
			done.Go(func() {
				if err := p.worker.Handle(t.Context(), task); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		p.encoder.Before = nil
		other, short := p.create(domain.PublishAuto), p.create(domain.PublishAuto)
		p.upload(other, "another long video")
		rest := sound()[0]
		for range 2 { // it may come again too soon
			err := p.worker.Handle(t.Context(), rest)
			if later, ok := errors.AsType[*commands.PostponedError](err); !ok || later.After <= 0 {
				t.Errorf("%v, where there is no place for all of it", err)
			}
			if n := parts(other); !slices.Equal(n, []int{2}) {
				t.Errorf("segments were recorded by %v, want the first two", n)
			}
		}
		lasts(3)
		p.upload(short, "a short video")
		if err := p.worker.Handle(t.Context(), sound()[0]); err != nil || p.video(short).NeedsAudio(1, 0) == nil {
			t.Errorf("the sound of a short one: %v, %v", parts(short), err)
		}
		close(w.gates[commands.TaskAudio])
		done.Wait()
		if err := p.worker.Handle(t.Context(), rest); err != nil {
			t.Error(err)
		}
		if n := parts(other); len(n) < 2 || n[0] != 2 || p.video(other).NeedsAudio(1, 0) == nil {
			t.Errorf("segments were recorded by %v, and not all", n)
		}
	})
}

// An only chunk has nobody who waits for it more than for another: it leaves room.
func TestAnOnlyChunkLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline(t)
		p.encoder.Source = domain.SourceInfo{
			Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 4, Frames: 100, NoSeek: "no index",
		}
		w := &atWork{there: map[commands.TaskKind][]int{}, gates: map[commands.TaskKind]chan struct{}{
			commands.TaskChunk: make(chan struct{}),
		}}
		p.encoder.Before = w.before
		p.upload(p.create(domain.PublishAuto), "a source")
		p.upload(p.create(domain.PublishAuto), "another source")
		var done sync.WaitGroup
		for _, task := range p.planned() {
			done.Go(func() {
				if err := p.worker.Handle(t.Context(), task); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if chunks, _ := w.take(); !slices.Equal(chunks, []int{0, 0}) {
			t.Errorf("chunks %d are at work, want the only one of each video", chunks)
		}
		close(w.gates[commands.TaskChunk])
		done.Wait()
	})
}

// threadsOf notes what each chunk was told about threads.
type threadsOf struct {
	*memory.Encoder

	told map[int]int
}

func (e *threadsOf) EncodeChunk(ctx context.Context, job commands.ChunkJob, out commands.Output) error {
	e.told[job.Chunk] = job.Threads
	return e.Encoder.EncodeChunk(ctx, job, out)
}

func TestChunksThatShareTheMachineKeepToTheirPart(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = domain.SourceInfo{
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 84, Frames: 2100,
	}
	encoder := &threadsOf{Encoder: p.encoder, told: map[int]int{}}
	p.worker.Encoder = encoder // and two slots
	p.upload(p.create(domain.PublishAuto), "a source")
	p.settle()
	part := max(1, runtime.NumCPU()/2)
	for chunk := range encoder.told {
		want := part
		if chunk == 0 || chunk >= len(encoder.told)-2 {
			want = 0
		}
		if encoder.told[chunk] != want {
			t.Errorf("chunk %d of %d was told %d threads, want %d", chunk, len(encoder.told), encoder.told[chunk], want)
		}
	}
	if len(encoder.told) < 4 {
		t.Errorf("only %d chunks: too few to show anything", len(encoder.told))
	}
}

// A machine that has no room begins nothing, says when to come again, and still sweeps.
func TestNothingBeginsWhereThereIsNoRoom(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.upload(p.create(domain.PublishAuto), "a source")
	tasks := p.planned()
	why := "no memory"
	p.worker.Strained = func() string { return why }
	for _, task := range tasks {
		err := p.worker.Handle(t.Context(), task)
		if later, ok := errors.AsType[*commands.PostponedError](err); !ok || later.After <= 0 {
			t.Fatalf("%+v: %v", task, err)
		}
	}
	if err := p.worker.Handle(t.Context(), commands.Task{Kind: commands.TaskSweep, Video: tasks[0].Video, Attempt: 1}); err != nil {
		t.Error("a sweep:", err)
	}
	why = ""
	for _, task := range tasks {
		if err := p.worker.Handle(t.Context(), task); err != nil {
			t.Error(err)
		}
	}
	if v := p.video(tasks[0].Video); v.Status() != domain.StatusReady {
		t.Errorf("the video is %s in the end", v.Status())
	}
}
