package commands_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// slowly is a pipeline with an upload of 100 bytes under way, 40 s of video without sound.
type slowly struct {
	*pipeline

	ahead     *commands.Ahead
	following *memory.FollowingEncoder

	video domain.VideoID
	body  *io.PipeWriter
	done  chan error

	mu   sync.Mutex
	work map[commands.Task]int // how often each piece was begun
	met  chan commands.Task    // each piece that begins, if somebody listens
}

func newSlowly(t *testing.T) *slowly {
	t.Helper()
	s := &slowly{pipeline: newPipeline(t), work: map[commands.Task]int{}, met: make(chan commands.Task, 1000)}
	s.encoder.Source = domain.SourceInfo{
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 40, Frames: 1000,
	}
	s.encoder.Before = func(_ context.Context, kind commands.TaskKind, chunk, segment int) error {
		if segment == 0 {
			s.mu.Lock()
			task := commands.Task{Kind: kind, Chunk: chunk}
			s.work[task]++
			s.mu.Unlock()
			s.met <- task
		}
		return nil
	}
	encoder := &memory.FollowingEncoder{Encoder: s.encoder}
	s.worker.Encoder, s.following = encoder, encoder
	s.ahead = &commands.Ahead{Worker: s.worker, Encoder: encoder, Spool: t.TempDir(), After: time.Millisecond}
	s.service.Ahead = s.ahead
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.ahead.Run(ctx) // nil
	}()
	t.Cleanup(func() { cancel(); <-ended })
	s.video = s.create(domain.PublishAuto)
	return s
}

const slowBody = "0123456789"

// begin starts an upload; what the rest says is up to the test.
func (s *slowly) begin(sum []byte) {
	s.t.Helper()
	s.started()
	r, w := io.Pipe()
	s.body, s.done = w, make(chan error, 1)
	go func() {
		_, err := s.service.UploadSource(s.t.Context(), commands.UploadSource{
			Video: s.video, Body: r, Bytes: int64(10 * len(slowBody)), SHA256: sum,
		})
		_ = r.CloseWithError(err)
		s.done <- err
	}()
}

// started returns when the work ahead may begin.
func (s *slowly) started() {
	s.t.Helper()
	for !s.ahead.Running() {
		time.Sleep(time.Millisecond)
	}
}

// send gives so many tenths of the body.
func (s *slowly) send(tenths int) {
	s.t.Helper()
	for range tenths {
		if _, err := s.body.Write([]byte(slowBody)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// finish gives the last tenths of the body, and returns when the video is ready.
func (s *slowly) finish(tenths int) {
	s.t.Helper()
	s.send(tenths)
	if err := errors.Join(s.body.Close(), <-s.done); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	if v := s.pipeline.video(s.video); v.Status() != domain.StatusReady {
		s.t.Errorf("it is %s", v.Status())
	}
	s.onlyLive(s.video)
}

// await returns when a piece has begun.
func (s *slowly) await(kind commands.TaskKind, chunk int) {
	s.t.Helper()
	for {
		select {
		case task := <-s.met:
			if task.Kind == kind && task.Chunk == chunk {
				return
			}
		case <-time.After(20 * time.Second):
			s.t.Fatalf("%s %d never began", kind, chunk)
		}
	}
}

// begun says how often a piece that has no number was begun.
func (s *slowly) begun(kind commands.TaskKind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.work[commands.Task{Kind: kind}]
}

func (s *slowly) types() (types []string) {
	for _, r := range s.history(s.video) {
		types = append(types, domain.EventType(r.Event))
	}
	return types
}

// nothing fails when there is a trace of an upload that came to nothing.
func (s *slowly) nothing() {
	s.t.Helper()
	if left := s.stored(""); len(left) > 0 {
		s.t.Errorf("stored: %v", left)
	}
	files, err := os.ReadDir(s.ahead.Spool)
	if err != nil || len(files) > 0 {
		s.t.Errorf("in the spool: %v, %v", files, err)
	}
}

func TestWorkAheadIsRecordedWithTheUpload(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	s.begin(nil)
	s.send(5)
	s.await(commands.TaskChunk, 1) // 4 s to 20 s
	if types := s.types(); len(types) != 1 {
		t.Fatalf("before the last byte: %v", types)
	}
	title := "Changed meanwhile"
	changed, err := s.service.ChangeDetails(t.Context(), commands.ChangeVideo{Video: s.video, Title: &title})
	if err != nil {
		t.Fatal(err)
	}
	s.send(5)
	s.await(commands.TaskChunk, 2)
	if err := errors.Join(s.body.Close(), <-s.done); err != nil {
		t.Fatal(err)
	}
	events := s.history(s.video)[changed.Version:]
	var first []string
	for _, e := range events {
		if e.Time.Equal(events[0].Time) && e.Meta == events[0].Meta {
			first = append(first, domain.EventType(e.Event))
		}
	}
	want := []string{"video.uploaded.v1", "video.source_inspected.v1", "video.transcode_planned.v1", "video.chunk_transcoded.v1", "video.chunk_transcoded.v1"}
	if len(first) < len(want) || !slices.Equal(first[:len(want)-1], want[:len(want)-1]) {
		t.Errorf("with the upload: %v", first)
	}
	s.settle()
	v := s.pipeline.video(s.video)
	if v.Status() != domain.StatusReady || v.Details.Title != "Changed meanwhile" {
		t.Errorf("it is %s, %q", v.Status(), v.Details.Title)
	}
	s.onlyLive(s.video)
	s.mu.Lock()
	defer s.mu.Unlock()
	for task, n := range s.work {
		if task.Kind == commands.TaskChunk && n != 1 {
			t.Errorf("chunk %d was encoded %d times", task.Chunk, n)
		}
	}
}

func TestAnUploadThatFailsLeavesNoTrace(t *testing.T) {
	t.Parallel()
	wrong := sha256.Sum256([]byte("something else"))
	for name, end := range map[string]struct {
		sum []byte
		end func(*slowly) error // ends the upload; its own error
		err error
	}{
		"cut off": {
			end: func(s *slowly) error { return s.body.CloseWithError(io.ErrUnexpectedEOF) },
			err: io.ErrUnexpectedEOF,
		},
		"another digest": {
			sum: wrong[:],
			end: func(s *slowly) error { s.send(5); return s.body.Close() },
			err: domain.ErrInvalid,
		},
		"deleted": {
			end: func(s *slowly) error {
				_, err := s.service.Delete(t.Context(), s.video)
				s.send(5)
				return errors.Join(err, s.body.Close())
			},
			err: domain.ErrNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlowly(t)
			s.begin(end.sum)
			s.send(5)
			s.await(commands.TaskChunk, 1)
			if err := end.end(s); err != nil {
				t.Fatal(err)
			}
			if err := <-s.done; !errors.Is(err, end.err) {
				t.Errorf("the upload ended with %v", err)
			}
			for _, e := range s.types() {
				if e != "video.created.v1" && e != "video.deleted.v1" {
					t.Errorf("recorded: %s", e)
				}
			}
			s.nothing()
		})
	}
}

func TestAnotherUploadWinsAgainstWorkAhead(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	s.begin(nil)
	s.send(5)
	s.await(commands.TaskChunk, 1)
	s.upload(s.video, "another source")
	s.send(5)
	if err := errors.Join(s.body.Close(), <-s.done); !errors.Is(err, domain.ErrNotAllowed) {
		t.Errorf("the slower upload ended with %v", err)
	}
	s.settle()
	if v := s.pipeline.video(s.video); v.Status() != domain.StatusReady || v.Source.Source.Bytes != int64(len("another source")) {
		t.Errorf("it is %s, of %d bytes", v.Status(), v.Source.Source.Bytes)
	}
	s.onlyLive(s.video)
}

// What is at work ahead of an upload ends when nobody can record it any more, and not only with the upload, which may take hours.
func TestWorkAheadEndsWhenTheUploadIsOfNoUse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(*slowly)
		want      error // of the upload
	}{
		"deleted": {func(s *slowly) {
			if _, err := s.service.Delete(s.t.Context(), s.video); err != nil {
				s.t.Fatal(err)
			}
		}, domain.ErrNotFound},
		"another upload": {func(s *slowly) { s.upload(s.video, "another source") }, domain.ErrNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlowly(t)
			s.worker.Poll = time.Millisecond
			before := s.encoder.Before
			ended := make(chan error, 1)
			s.encoder.Before = func(ctx context.Context, kind commands.TaskKind, chunk, segment int) error {
				err := before(ctx, kind, chunk, segment)
				if kind == commands.TaskChunk && chunk == 1 {
					<-ctx.Done()
					ended <- context.Cause(ctx)
					return context.Cause(ctx)
				}
				return err
			}
			s.begin(nil)
			s.send(5)
			s.await(commands.TaskChunk, 1)
			c.meanwhile(s)
			select {
			case err := <-ended:
				if !errors.Is(err, domain.ErrSuperseded) {
					t.Errorf("it ended because of %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("it went on")
			}
			s.encoder.Before = before
			s.send(5)
			if err := errors.Join(s.body.Close(), <-s.done); !errors.Is(err, c.want) {
				t.Errorf("the upload ended with %v", err)
			}
			s.settle()
			s.onlyLive(s.video)
		})
	}
}

func TestWhatIsAtWorkAtTheLastByteIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	before := s.encoder.Before
	inside, goOn := make(chan struct{}), make(chan struct{})
	s.encoder.Before = func(ctx context.Context, kind commands.TaskKind, chunk, segment int) error {
		err := before(ctx, kind, chunk, segment)
		if kind == commands.TaskChunk && chunk == 1 && segment == 0 {
			close(inside)
			<-goOn
		}
		return err
	}
	s.begin(nil)
	s.send(10)
	<-inside
	if err := errors.Join(s.body.Close(), <-s.done); err != nil {
		t.Fatal(err)
	}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		for _, task := range s.planned() { // the same chunk among them
			if err := s.worker.Handle(t.Context(), task); err != nil {
				t.Error(err)
			}
		}
	}()
	close(goOn)
	<-settled
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.work[commands.Task{Kind: commands.TaskChunk, Chunk: 1}]; n != 1 {
		t.Errorf("chunk 1 was encoded %d times", n)
	}
	if v := s.pipeline.video(s.video); v.Status() != domain.StatusReady {
		t.Errorf("it is %s", v.Status())
	}
}

// The first seconds of a source that must be whole to be inspected may let expect something else than what it becomes.
func TestWhatIsWatchedFirstIsMadeOfWhatIsExpected(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begins       func(*domain.SourceInfo)
		chunk, sound bool // are as expected
	}{
		"as expected":    {begins: func(*domain.SourceInfo) {}, chunk: true, sound: true},
		"other pictures": {begins: func(s *domain.SourceInfo) { s.FrameRate.Num = 30 }},
		"other sound":    {begins: func(s *domain.SourceInfo) { s.Audio.Track = 2 }, chunk: true},
		"more sound":     {begins: func(s *domain.SourceInfo) { s.Audio = nil }, chunk: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlowly(t)
			s.encoder.Source.Audio = &domain.AudioInfo{Track: 1, Codec: "opus", Channels: 2, SampleRate: 48000}
			begins, sound := s.encoder.Source, *s.encoder.Source.Audio
			begins.Audio = &sound
			begins.Frames, begins.Duration = 250, 10
			c.begins(&begins)
			s.following.Whole, s.following.Begins = true, begins
			s.begin(nil)
			s.send(5)
			begun := map[commands.TaskKind]bool{commands.TaskAudio: begins.Audio == nil}
			for !begun[commands.TaskChunk] || !begun[commands.TaskAudio] {
				begun[(<-s.met).Kind] = true
			}
			s.finish(5)
			var parts []int
			for _, r := range s.history(s.video) {
				if e, ok := r.Event.(domain.AudioTranscoded); ok {
					parts = append(parts, len(e.Segments))
				}
			}
			if (parts[0] == 2) != c.sound { // else it is reported with its first segment
				t.Errorf("segments of sound were recorded by %v", parts)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			want := 1
			if !c.chunk {
				want = 2
			}
			if n := s.work[commands.Task{Kind: commands.TaskChunk}]; n != want {
				t.Errorf("the first chunk was encoded %d times, not %d", n, want)
			}
			if n := s.work[commands.Task{Kind: commands.TaskInspect}]; n != 1 {
				t.Errorf("it was inspected %d times", n)
			}
		})
	}
}

// Where the source's own pictures are served, they and the sound are what is watched first.
func TestTheSourcesOwnPicturesAreTakenOfWhatIsExpected(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begins func(*domain.SourceInfo)
		first  int // segments that are recorded first; one, where nothing of it was made before
		taken  int // how often the pictures are begun with
	}{
		"as expected":            {begins: func(*domain.SourceInfo) {}, first: 2, taken: 2},
		"one segment is known":   {begins: func(s *domain.SourceInfo) { s.Remux.Joints = s.Remux.Joints[:2] }, first: 1, taken: 2},
		"no segment is known":    {begins: func(s *domain.SourceInfo) { s.Remux.Joints = s.Remux.Joints[:1] }, first: 1, taken: 1},
		"other segments":         {begins: func(s *domain.SourceInfo) { s.Remux.Joints[1] = 105 }, first: 1, taken: 2},
		"another beginning":      {begins: func(s *domain.SourceInfo) { s.Remux.Start = 0.04 }, first: 1, taken: 2},
		"pictures to be encoded": {begins: func(s *domain.SourceInfo) { s.Remux = nil }, first: 1, taken: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlowly(t)
			s.encoder.Source.Audio = &domain.AudioInfo{Track: 1, Codec: "aac", Channels: 2, SampleRate: 48000}
			s.encoder.Source.Remux = &domain.RemuxInfo{BitRate: 1_000_000}
			for joint := 0; joint < s.encoder.Source.Frames; joint += 100 {
				s.encoder.Source.Remux.Joints = append(s.encoder.Source.Remux.Joints, joint)
			}
			begins := s.encoder.Source
			remux := *begins.Remux
			remux.Joints = slices.Clone(remux.Joints[:3])
			begins.Frames, begins.Duration, begins.Remux = 250, 10, &remux
			c.begins(&begins)
			s.following.Whole, s.following.Begins = true, begins
			s.begin(nil)
			s.send(5)
			for begun := map[commands.TaskKind]bool{}; c.taken > 1 && len(begun) < 2; { // the pictures, and the sound
				begun[(<-s.met).Kind] = true
			}
			s.finish(5)
			var pictures, sound []int
			for _, r := range s.history(s.video) {
				switch e := r.Event.(type) {
				case domain.SourceRemuxed:
					pictures = append(pictures, len(e.Segments))
				case domain.AudioTranscoded:
					sound = append(sound, len(e.Segments))
				}
			}
			if pictures[0] != c.first || sound[0] != c.first {
				t.Errorf("segments were recorded by %v, of the sound by %v, want %d first", pictures, sound, c.first)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if n := s.work[commands.Task{Kind: commands.TaskRemux}]; n != c.taken {
				t.Errorf("the pictures were begun with %d times, not %d", n, c.taken)
			}
		})
	}
}

func TestNothingIsSaidOfASourceThatIsNotWhole(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	before := s.encoder.Before
	s.encoder.Before = func(ctx context.Context, kind commands.TaskKind, chunk, segment int) error {
		err := before(ctx, kind, chunk, segment)
		s.mu.Lock()
		defer s.mu.Unlock()
		if kind == commands.TaskInspect && s.work[commands.Task{Kind: kind}] == 1 {
			return &domain.Failure{Code: domain.Malformed, Detail: "of what there is so far"}
		}
		return err
	}
	s.begin(nil)
	s.send(5)
	s.await(commands.TaskInspect, 0)
	s.send(5)
	if err := errors.Join(s.body.Close(), <-s.done); err != nil {
		t.Fatal(err)
	}
	if types := s.types(); len(types) != 2 {
		t.Errorf("recorded: %v", types)
	}
	s.settle()
	if v := s.pipeline.video(s.video); v.Status() != domain.StatusReady {
		t.Errorf("it is %s", v.Status())
	}
}

func TestWhatACrashLeftOfWorkAheadIsSwept(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	left := "media/" + string(s.video) + "/a1/0-dead/360p/init.mp4"
	if _, err := s.blobs.Put(t.Context(), left, bytes.NewReader([]byte("an earlier process's"))); err != nil {
		t.Fatal(err)
	}
	s.begin(nil)
	s.send(5)
	s.await(commands.TaskChunk, 1)
	if err := s.worker.SweepAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept := s.stored("media/"); len(kept) == 0 || kept[left] > 0 {
		t.Errorf("after the sweep: %v", kept)
	}
	s.send(5)
	if err := errors.Join(s.body.Close(), <-s.done); err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.onlyLive(s.video)
}

func TestBodiesOfUnknownLengthAreNotWorkedOnAhead(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	s.started()
	s.upload(s.video, strings.Repeat(slowBody, 10))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.work) > 0 {
		t.Errorf("begun: %v", s.work)
	}
}

// What is made of what an upload lets expect begins where there is room for it, as all else.
func TestNothingIsExpectedWhereThereIsNoRoom(t *testing.T) {
	t.Parallel()
	s := newSlowly(t)
	begins := s.encoder.Source
	begins.Frames, begins.Duration = 250, 10
	s.following.Whole, s.following.Begins = true, begins
	const beginnings = 3 // the look at it, the first chunk, the first sound
	asked := make(chan bool, 100)
	s.worker.Strained = func() string { asked <- true; return "no memory" }
	s.begin(nil)
	s.send(5)
	for range beginnings {
		select {
		case <-asked:
		case task := <-s.met:
			t.Fatalf("%+v began", task)
		case <-time.After(20 * time.Second):
			t.Fatal("something never asked whether there is room")
		}
	}
	s.send(5)
	if err := errors.Join(s.body.Close(), <-s.done); err != nil {
		t.Fatal(err)
	}
	if len(s.work) != 0 {
		t.Errorf("%v began", s.work)
	}
	s.onlyLive(s.video)
}
