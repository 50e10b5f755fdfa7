package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// TestEveryCodecFollowsTheRules: AVC, HEVC, AV1 and the sound alone, of a source that is encoded for all of them.
func TestEveryCodecFollowsTheRules(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	clip := filepath.Join(dir, "clip.mp4")
	convert(t, "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=12", "-f", "lavfi", "-i", "sine=d=12:r=44100", "-c:v", "mpeg4", "-c:a", "aac", "file:"+clip)
	a := serveForTest(t, filepath.Join(dir, "data"))
	cl := &client{server: a.url()}
	var v answer
	encoding := map[string]any{"codecs": []string{"avc", "hevc", "av1"}, "audio_only": true}
	if err := cl.call(ctx, http.MethodPost, "/v1/videos", map[string]any{"title": "Codecs", "encoding": encoding}, &v); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(clip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.put(ctx, v.ID, "clip.mp4", f, info.Size()); err != nil {
		t.Fatal(err)
	}
	if v, err = cl.wait(ctx, v.ID, false, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	for _, w := range brokenRules(ctx, cl.server, v.Playback.HLS, "", chosen, ofTheSource, ofGrowth) {
		t.Errorf("while it may still grow: %s", w)
	}
	if v, err = cl.wait(ctx, v.ID, true, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	codecs := map[string]int{}
	for _, r := range v.Renditions {
		codecs[r.Codecs[:4]]++
	}
	if codecs["avc1"] != 2 || codecs["hvc1"] != 2 || codecs["av01"] != 2 {
		t.Errorf("renditions by codec: %v, want two of each", codecs)
	}
	followsTheRules(t, cl.server, v)

	// Without one of them it is another presentation, of which nothing has to be encoded.
	encoding = map[string]any{"codecs": []string{"avc", "hevc"}, "audio_only": false}
	if err := cl.call(ctx, http.MethodPost, "/v1/videos/"+v.ID+"/transcode", encoding, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string {
		if v, err = cl.wait(ctx, v.ID, true, func(float64) {}); err != nil || len(v.Renditions) != 4 {
			return fmt.Sprintf("%d renditions, %v", len(v.Renditions), err)
		}
		return ""
	})
	events, err := a.service.History(ctx, domain.VideoID(v.ID))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range events {
		if e, ok := r.Event.(domain.ChunkTranscoded); ok && e.Attempt == 2 && len(e.Kept) != 4 {
			t.Errorf("of chunk %d only %v was kept", e.Chunk, e.Kept)
		}
	}
}
