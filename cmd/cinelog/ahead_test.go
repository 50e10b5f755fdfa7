package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// heldBack gives the last tenth of a file when ready says so.
type heldBack struct {
	file  *os.File
	ctx   context.Context //nolint:containedctx // of one test
	left  int64           // until it waits
	ready func() bool
}

func (h *heldBack) Read(p []byte) (int, error) {
	if h.left == 0 {
		for !h.ready() {
			select {
			case <-h.ctx.Done():
				return 0, h.ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
		h.left = 1 << 40
	}
	n, err := h.file.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	return n, err
}

// sendHeldBack uploads a file whose end waits until the second chunk is being encoded, and the second segment of sound is
// there, and says what came with the upload.
func sendHeldBack(t *testing.T, a *app, media, path string) (answer, map[string]int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	cl := &client{server: a.url()}
	var v answer
	if err := cl.call(ctx, "POST", "/v1/videos", map[string]any{"title": "A slow link"}, &v); err != nil {
		t.Fatal(err)
	}
	body := &heldBack{file: file, ctx: ctx, left: info.Size() * 9 / 10, ready: func() bool {
		chunk, _ := filepath.Glob(filepath.Join(media, "media", v.ID, "a1", "1-*"))
		sound, _ := filepath.Glob(filepath.Join(media, "media", v.ID, "a1", "audio-*", "audio", "00001.m4s"))
		return len(chunk) > 0 && len(sound) > 0
	}}
	err = cl.put(ctx, v.ID, "clip.mp4", io.NopCloser(body), info.Size())
	if err == nil {
		err = cl.call(ctx, "GET", "/v1/videos/"+v.ID, nil, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	events, err := a.service.History(ctx, domain.VideoID(v.ID))
	if err != nil {
		t.Fatal(err)
	}
	with := map[string]int{}
	for _, r := range events {
		if r.Time.Equal(events[1].Time) {
			with[domain.EventType(r.Event)]++
		}
	}
	return v, with
}

func TestAVideoCanBeWatchedWhenItsLastByteIsThere(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string][]string{
		"remuxed": {"-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-g", "50"},
		"encoded": {"-c:v", "mpeg4", "-q:v", "5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			clip := filepath.Join(dir, "clip.mp4")
			ffmpegRun(t, append(append([]string{"-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=40", "-f", "lavfi", "-i", "sine=d=40"}, codec...),
				"-c:a", "aac", "-movflags", "+faststart", clip)...)
			a := serveForTest(t, filepath.Join(dir, "data"))
			v, with := sendHeldBack(t, a, filepath.Join(dir, "data", "blobs"), clip)
			if !v.Playable {
				t.Errorf("it cannot be watched: %+v", v)
			}
			for _, want := range []string{"video.uploaded.v1", "video.source_inspected.v1", "video.transcode_planned.v1", "video.audio_transcoded.v1", "video.chunk_transcoded.v1"} {
				if with[want] == 0 {
					t.Errorf("%s is not there with the upload: %v", want, with)
				}
			}
			if (with["video.source_remuxed.v1"] > 0) != (name == "remuxed") {
				t.Errorf("with the upload: %v", with)
			}
			if _, err := (&client{server: a.url()}).wait(t.Context(), v.ID, true, func(float64) {}); err != nil {
				t.Fatal(err)
			}
			left, err := os.ReadDir(filepath.Join(dir, "data", "blobs", ".tmp"))
			if err != nil || len(left) > 1 { // the lock
				t.Errorf("left over: %v, %v", left, err)
			}
		})
	}
}

func TestAnUploadThatIsCutOffLeavesNothingOfWhatWasMadeAhead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clip := filepath.Join(dir, "clip.mp4")
	ffmpegRun(t, "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=40", "-c:v", "mpeg4", "-q:v", "5", "-movflags", "+faststart", clip)
	data := filepath.Join(dir, "data")
	a := serveForTest(t, data)
	cl := &client{server: a.url()}
	var v answer
	if err := cl.call(t.Context(), "POST", "/v1/videos", map[string]any{"title": "Cut off"}, &v); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(clip)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	made := func() []string {
		files, err := filepath.Glob(filepath.Join(data, "blobs", "media", v.ID, "*", "*", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	body := &heldBack{file: file, ctx: ctx, left: info.Size() * 9 / 10, ready: func() bool {
		if len(made()) > 0 {
			cancel()
		}
		return false
	}}
	if err := cl.put(ctx, v.ID, "clip.mp4", io.NopCloser(body), info.Size()); !errors.Is(err, context.Canceled) {
		t.Fatalf("the upload ended with %v", err)
	}
	deadline := time.After(time.Minute)
	for {
		left, err := os.ReadDir(filepath.Join(data, "blobs", ".tmp"))
		if err != nil {
			t.Fatal(err)
		}
		if len(made()) == 0 && len(left) <= 1 {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("left over: %v, %v", made(), left)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if events, err := a.service.History(t.Context(), domain.VideoID(v.ID)); err != nil || len(events) != 1 {
		t.Errorf("recorded: %v, %v", events, err)
	}
}
