package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestManyTracksOfSoundFollowTheRules: languages, a commentary, a track that is short, titles that would break a playlist,
// and a track that nobody can decode, which the video does without.
func TestManyTracksOfSoundFollowTheRules(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	clip := filepath.Join(dir, "clip.mkv")
	convert(t, "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=12", "-f", "lavfi", "-i", "sine=d=12:r=44100", "-f", "lavfi", "-i", "sine=f=600:d=5",
		"-map", "0", "-map", "1", "-map", "1", "-map", "1", "-map", "1", "-map", "2",
		"-c:v", "mpeg4", "-c:a", "aac", "-c:a:1", "pcm_s16le", "-filter:a:1", "volume=0", "-ac:a:3", "1",
		"-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fre", "-metadata:s:a:2", "language=eng", "-disposition:a:2", "comment",
		"-metadata:s:a:3", "title=a\"\n#EXT-X-ENDLIST", "-metadata:s:a:3", "language=e\"g", "-metadata:s:a:4", "language=ger", "file:"+clip)
	file, err := os.ReadFile(clip)
	if err != nil {
		t.Fatal(err)
	}
	file = bytes.Replace(file, []byte("A_PCM/INT/LIT"), []byte("A_AC3\x00\x00\x00\x00\x00\x00\x00\x00"), 1) // which never is all zeros
	if err := os.WriteFile(clip, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cl := &client{server: serveForTest(t, filepath.Join(dir, "data")).url()}
	v, err := cl.upload(ctx, &console{out: io.Discard, err: io.Discard}, clip, "Languages", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	type track struct {
		Name, Language, Label, Kind, Status string

		Channels int
		Default  bool
	}
	var full struct{ Audio []track }
	if err := cl.call(ctx, http.MethodGet, "/v1/videos/"+v.ID, nil, &full); err != nil {
		t.Fatal(err)
	}
	want := []track{
		{"audio", "en", "", "", "encoded", 1, true},
		{"audio-2", "fr", "", "", "failed", 1, false},
		{"audio-3", "en", "", "commentary", "encoded", 1, false},
		{"audio-4", "und", `a" #EXT-X-ENDLIST`, "", "encoded", 1, false},
		{"audio-5", "de", "", "", "encoded", 1, false},
	}
	if diff := cmp.Diff(want, full.Audio); diff != "" {
		t.Errorf("tracks (-want +got):\n%s", diff)
	}
	var history struct {
		Items []struct {
			Type string
			Data struct{ Failure struct{ Code, Detail string } }
		}
	}
	if err := cl.call(ctx, http.MethodGet, "/v1/videos/"+v.ID+"/events", nil, &history); err != nil {
		t.Fatal(err)
	}
	var why []string
	for _, e := range history.Items {
		if e.Type == "video.audio_left_out.v1" {
			why = append(why, e.Data.Failure.Code+": "+e.Data.Failure.Detail)
		}
	}
	if len(why) != 1 || !strings.HasPrefix(why[0], "malformed: ") {
		t.Errorf("left out because of %q", why)
	}
}
