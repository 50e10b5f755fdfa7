package commands_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

func (p *pipeline) put(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		if _, err := p.blobs.Put(p.t.Context(), key, strings.NewReader("left over")); err != nil {
			p.t.Fatal(err)
		}
	}
}

func TestSweepAllRemovesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	ready, waiting, deleted := p.create(domain.PublishAuto), p.create(domain.PublishAuto), p.create(domain.PublishAuto)
	p.upload(ready, "a source")
	p.upload(deleted, "a source")
	p.settle()
	if _, err := p.service.Delete(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	p.settle()
	p.put("sources/"+string(ready)+"/late", "media/"+string(ready)+"/a1/0-late/240p/init.mp4",
		"sources/"+string(waiting)+"/late", "sources/"+string(deleted)+"/late", "media/"+string(deleted)+"/a1/0-late/240p/init.mp4")
	if err := p.worker.SweepAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.onlyLive(ready, waiting)
	p.upload(waiting, "a source at last")
	p.settle()
	if v := p.video(waiting); v.Status() != domain.StatusReady {
		t.Errorf("after the sweep a video became %s", v.Status())
	}
}

// What is still in work is no leftover: an upload that is stored and not recorded yet, and the segments of a chunk.
func TestSweepAllLeavesWhatIsInWork(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Source = domain.SourceInfo{ // its third chunk has two segments
		Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Duration: 20, Frames: 500,
	}
	swept := 0
	sweep := func() {
		swept++
		if err := p.worker.SweepAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	uploading, sweptInUpload := false, false
	p.service.Now = func() time.Time { // asked for between the storing of a source and its recording
		if uploading && !sweptInUpload {
			sweptInUpload = true
			sweep()
		}
		return p.now
	}
	p.encoder.Before = func(_ context.Context, kind commands.TaskKind, chunk, segment int) error {
		if kind == commands.TaskChunk && segment == 1 {
			for !strings.Contains(fmt.Sprint(p.stored("media/")), fmt.Sprintf("/a1/%d-", chunk)) {
				runtime.Gosched() // the segment before is stored in the background
			}
			sweep()
		}
		return nil
	}
	id := p.create(domain.PublishAuto)
	uploading = true
	p.upload(id, "a source")
	p.settle()
	if !sweptInUpload || swept < 2 {
		t.Fatalf("swept %d times, in an upload: %t", swept, sweptInUpload)
	}
	p.onlyLive(id)
}

func TestAReplacedSourceGoesWithTheNextSweep(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.encoder.Before = func(context.Context, commands.TaskKind, int, int) error {
		return &domain.Failure{Code: domain.Malformed, Detail: "no frame can be decoded"}
	}
	id := p.create(domain.PublishAuto)
	p.upload(id, "a bad source")
	p.settle()
	p.encoder.Before = nil
	p.upload(id, "a better source")
	p.put("sources/" + string(id) + "/fresh") // maybe an upload that is about to be recorded
	p.settle()
	stored := p.stored("sources/")
	if _, fresh := stored["sources/"+string(id)+"/fresh"]; !fresh || len(stored) != 2 {
		t.Errorf("stored: %v; want the better source, and the one that may be about to be recorded", stored)
	}
	p.now = p.now.Add(2 * time.Hour)
	if err := p.worker.Handle(t.Context(), commands.Task{Kind: commands.TaskSweep, Video: id, Attempt: 2}); err != nil {
		t.Fatal(err)
	}
	p.onlyLive(id)
}
