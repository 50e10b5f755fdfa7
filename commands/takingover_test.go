package commands_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// counted is a pipeline with a source of four chunks, that counts what is encoded, by kind and chunk.
func counted(t *testing.T) (p *pipeline, encoded map[string]int) {
	t.Helper()
	p, encoded = newPipeline(t), map[string]int{}
	p.encoder.Source = domain.SourceInfo{
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 20, Frames: 500,
		Audio: &domain.AudioInfo{Codec: "aac", Channels: 2, SampleRate: 48_000},
	}
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, chunk, segment int) error {
		if segment == 0 && (kind == commands.TaskChunk || kind == commands.TaskAudio || kind == commands.TaskRemux) {
			encoded[fmt.Sprintf("%s %d", kind, chunk)]++
		}
		return nil
	}
	return p, encoded
}

// lastFails makes the last of four chunks fail until mend is called.
func lastFails(p *pipeline) (mend func()) {
	before := p.encoder.Before
	p.encoder.Before = func(ctx context.Context, kind commands.TaskKind, n, segment int) error {
		if err := before(ctx, kind, n, segment); err != nil {
			return err
		}
		if kind == commands.TaskChunk && n == 3 {
			return errors.New("no space left on device")
		}
		return nil
	}
	return func() { p.encoder.Before = before }
}

func transcode(p *pipeline, id domain.VideoID, to *domain.Encoding) {
	p.t.Helper()
	if _, err := p.service.Transcode(p.t.Context(), id, to); err != nil {
		p.t.Fatal(err)
	}
	p.settle()
	if v := p.video(id); v.Status() != domain.StatusReady || v.Serving != v.Attempt {
		p.t.Fatalf("%s, serving %d of %d: %+v", v.Status(), v.Serving, v.Attempt, v.Run.Failure)
	}
	p.onlyLive(id)
}

// kept lists by attempt what its chunks took over.
func kept(events []domain.Recorded, attempt int) (names []string) {
	for _, r := range events {
		if e, ok := r.Event.(domain.ChunkTranscoded); ok && e.Attempt == attempt {
			names = append(names, fmt.Sprintf("%d %v", e.Chunk, e.Kept))
		}
	}
	slices.Sort(names)
	return names
}

func TestAfterAFailureOnlyTheRestIsMade(t *testing.T) {
	t.Parallel()
	p, encoded := counted(t)
	mend := lastFails(p)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	if v := p.video(id); v.Status() != domain.StatusFailed {
		t.Fatal(v.Status())
	}
	mend()
	clear(encoded)
	transcode(p, id, nil)
	if diff := cmp.Diff(map[string]int{"chunk 3": 1}, encoded); diff != "" {
		t.Errorf("encoded again (-want +got):\n%s", diff)
	}
	events := p.history(id)
	want := []string{"0 [360p 240p]", "1 [360p 240p]", "2 [360p 240p]", "3 []"}
	if diff := cmp.Diff(want, kept(events, 2)); diff != "" {
		t.Errorf("taken over (-want +got):\n%s", diff)
	}
	if n := count[domain.PosterProduced](events); n != 2 { // the second names the same image
		t.Errorf("%d posters", n)
	}
	// What is served now is of both attempts: nothing of it goes when the first one's time is over.
	p.now = p.now.Add(2 * commands.RetireAfter)
	if err := p.worker.Handle(t.Context(), commands.Task{Kind: commands.TaskSweep, Video: id, Attempt: 2}); err != nil {
		t.Fatal(err)
	}
	p.onlyLive(id)
}

func TestAnotherCodecIsEncodedAlone(t *testing.T) {
	t.Parallel()
	p, encoded := counted(t)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	clear(encoded)
	hevc := &domain.Encoding{Codecs: []domain.Codec{domain.AVC, domain.HEVC}}
	transcode(p, id, hevc)
	if encoded["audio 0"] > 0 {
		t.Error("the sound was encoded again")
	}
	for _, r := range p.history(id) {
		e, ok := r.Event.(domain.ChunkTranscoded)
		if !ok || e.Attempt != 2 {
			continue
		}
		for _, c := range e.Renditions {
			first := strings.Contains(c.Segments[0].Key, "/a1/")
			if avc := !strings.HasSuffix(c.Name, "-hevc"); avc != first || avc != slices.Contains(e.Kept, c.Name) {
				t.Errorf("chunk %d, %s: %s, kept %v", e.Chunk, c.Name, c.Segments[0].Key, e.Kept)
			}
		}
	}
	// Back to one codec: that is there already, whoever had encoded it.
	clear(encoded)
	p.now = p.now.Add(2 * commands.RetireAfter)
	transcode(p, id, &domain.Encoding{Codecs: []domain.Codec{domain.AVC}})
	if len(encoded) > 0 {
		t.Errorf("encoded again: %v", encoded)
	}
	// The same once more, when nothing has failed, is made anew.
	transcode(p, id, nil)
	if diff := cmp.Diff(map[string]int{"audio 0": 1, "chunk 0": 1, "chunk 1": 1, "chunk 2": 1, "chunk 3": 1}, encoded); diff != "" {
		t.Errorf("encoded anew (-want +got):\n%s", diff)
	}
}

func TestWhatIsLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	p, encoded := counted(t)
	mend := lastFails(p)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	mend()
	clear(encoded)
	for key := range p.stored("media/") { // one segment of one rendition, and one of the sound
		if strings.Contains(key, "/a1/1-") && strings.HasSuffix(key, "/240p/00000.m4s") || strings.Contains(key, "/a1/audio-") && strings.HasSuffix(key, "/00001.m4s") {
			if err := p.blobs.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	transcode(p, id, nil)
	if diff := cmp.Diff(map[string]int{"audio 0": 1, "chunk 1": 1, "chunk 3": 1}, encoded); diff != "" {
		t.Errorf("encoded again (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"0 [360p 240p]", "1 [360p]", "2 [360p 240p]", "3 []"}, kept(p.history(id), 2)); diff != "" {
		t.Errorf("taken over (-want +got):\n%s", diff)
	}
}

// What is kept is recorded once, whoever comes late or twice, and also when the process died half-way.
func TestTakingOverTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	p, _ := counted(t)
	p.encoder.Source.Frames, p.encoder.Source.Duration = 2450, 98 // four parts of sound
	mend := lastFails(p)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	mend()
	if _, err := p.service.Transcode(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	tasks := p.planned()
	log := p.service.Log
	for _, task := range tasks {
		p.service.Log = &dyingLog{EventLog: log, left: 2}
		_ = p.worker.Handle(t.Context(), task) // dies after two commits, if it has so many
		p.service.Log = log
		for range 2 {
			if err := p.worker.Handle(t.Context(), task); err != nil {
				t.Error(err)
			}
		}
	}
	p.settle()
	if v := p.video(id); v.Serving != 2 {
		t.Fatalf("serving %d: %+v", v.Serving, v.Run.Failure)
	}
	parts := 0
	for _, r := range p.history(id) {
		if e, ok := r.Event.(domain.AudioTranscoded); ok && e.Attempt == 2 {
			if e.Part != parts || !strings.Contains(e.Segments[0].Key, "/a1/") || e.Final != (parts == 3) {
				t.Errorf("part %d: %+v", parts, e)
			}
			parts++
		}
	}
	if parts != 4 {
		t.Errorf("%d parts of sound, want 4", parts)
	}
	p.onlyLive(id)
}

// dyingLog takes so many commits more.
type dyingLog struct {
	commands.EventLog

	left int
}

func (l *dyingLog) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	if l.left--; l.left < 0 {
		return domain.Appended{}, domain.ErrUnavailable
	}
	return l.EventLog.Append(ctx, c) //nolint:wrapcheck // it is that log
}

// Another release may write other initialization segments: then everything is made anew, by itself.
func TestWhatDoesNotGoTogetherIsMadeAnew(t *testing.T) {
	t.Parallel()
	p, encoded := counted(t)
	mend := lastFails(p)
	id := p.create(domain.PublishAuto)
	p.upload(id, "a source")
	p.settle()
	mend()
	clear(encoded)
	p.encoder.Release = "the next"
	transcode(p, id, nil)
	v := p.video(id)
	if v.Attempt != 3 || v.Run.TakesOver {
		t.Errorf("attempt %d, takes over %t", v.Attempt, v.Run.TakesOver)
	}
	if encoded["chunk 0"] != 1 || encoded["chunk 3"] != 2 {
		t.Errorf("encoded: %v", encoded)
	}
}
