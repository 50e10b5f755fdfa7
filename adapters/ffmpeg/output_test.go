package ffmpeg_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cinelog/cinelog/commands"
)

// recorder is an Output that keeps everything and checks the order it is promised.
type recorder struct {
	mu       sync.Mutex
	inits    map[string][]byte
	codecs   map[string]string
	segments map[string][]commands.MediaSegment
	poster   *commands.PosterImage
	fail     error
}

func newRecorder() *recorder {
	return &recorder{inits: map[string][]byte{}, codecs: map[string]string{}, segments: map[string][]commands.MediaSegment{}}
}

func (r *recorder) Init(_ context.Context, rendition, codecs string, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inits[rendition] != nil {
		return fmt.Errorf("two inits for %s", rendition)
	}
	r.inits[rendition], r.codecs[rendition] = data, codecs
	return r.fail
}

func (r *recorder) Segment(_ context.Context, rendition string, s commands.MediaSegment) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inits[rendition] == nil || s.Index != len(r.segments[rendition]) {
		return fmt.Errorf("%s: segment %d after %d", rendition, s.Index, len(r.segments[rendition]))
	}
	r.segments[rendition] = append(r.segments[rendition], s)
	return r.fail
}

func (r *recorder) Poster(_ context.Context, p commands.PosterImage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.poster = &p
	return nil
}

// bytes is how much came.
func (r *recorder) bytes() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, segments := range r.segments {
		for _, s := range segments {
			n += len(s.Data)
		}
	}
	if r.poster != nil {
		n += len(r.poster.Data)
	}
	return n
}

// file writes the init of a rendition and all of its segments one after the other.
func (r *recorder) file(t *testing.T, rendition string) string {
	t.Helper()
	var b bytes.Buffer
	b.Write(r.inits[rendition])
	for _, s := range r.segments[rendition] {
		b.Write(s.Data)
	}
	path := filepath.Join(t.TempDir(), rendition+".mp4")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runFFmpeg runs FFmpeg itself and returns the lines it prints.
func runFFmpeg(t testing.TB, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' })
}

// clip makes a test source; args stand between the inputs and the output.
func clip(t *testing.T, name, video string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	all := append([]string{"-v", "error", "-y", "-f", "lavfi", "-i", video, "-f", "lavfi", "-i", "sine=duration=10:sample_rate=44100"}, args...)
	runFFmpeg(t, append(all, path)...)
	return path
}
