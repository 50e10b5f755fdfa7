package ffmpeg_test

import (
	"bufio"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/output"
)

func newEncoder(t *testing.T, opts ffmpeg.Options) *ffmpeg.Encoder {
	t.Helper()
	e, err := ffmpeg.New(t.Context(), opts)
	if err != nil {
		t.Fatalf("FFmpeg is needed for these tests: %v", err)
	}
	return e
}

// mediaFile is one line of the manifest of the real files.
type mediaFile struct {
	path, name, expectation string
	seconds                 float64 // as its header tells
}

func mediaFiles(t *testing.T) []mediaFile {
	t.Helper()
	dir := os.Getenv("CINELOG_TEST_MEDIA")
	if dir == "" {
		t.Log("CINELOG_TEST_MEDIA is not set: no real files to test with")
		t.Skip("CINELOG_TEST_MEDIA is not set")
	}
	f, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var files []mediaFile
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var columns []string
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		if columns == nil {
			columns = cells
			continue
		}
		cell := func(column string) string {
			i := slices.Index(columns, column)
			if i < 0 {
				t.Fatalf("the manifest has no column named %s", column)
			}
			return cells[i]
		}
		f := mediaFile{path: filepath.Join(dir, cells[0]), name: cells[0], expectation: cell("expectation")}
		f.seconds, _ = strconv.ParseFloat(cell("duration_s"), 64) // some have none
		files = append(files, f)
	}
	if len(files) == 0 {
		t.Fatal("the manifest names no files")
	}
	return files
}

// shortFiles are the real files but those that play long, which only CINELOG_LONG=1 takes.
func shortFiles(t *testing.T) []mediaFile {
	t.Helper()
	const most = 25
	return slices.DeleteFunc(mediaFiles(t), func(f mediaFile) bool {
		long := f.seconds > most && f.seconds < 1000 && os.Getenv("CINELOG_LONG") == "" // what claims more, lies
		if long {
			t.Logf("left out, because it plays for %.0f s (CINELOG_LONG=1 takes it too): %s", f.seconds, f.name)
		}
		return long
	})
}

func TestInspectJudgesRealFiles(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for _, f := range mediaFiles(t) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			info, err := e.Inspect(ctx, f.path)
			var failure *domain.Failure
			refused := errors.As(err, &failure)
			if err != nil && !refused {
				t.Fatalf("neither accepted nor refused: %v", err)
			}
			t.Logf("%+v %v", info, err)
			switch {
			case f.expectation == "accept" && refused:
				t.Errorf("refused: %v", failure)
			case f.expectation == "refuse" && !refused:
				t.Errorf("accepted: %+v", info)
			}
			if !refused && (info.Frames < 1 || info.Duration <= 0 || info.Width < 1 || info.FrameRate.Float() > 60 || info.Duration > 400) {
				t.Errorf("measured nonsense: %+v", info)
			}
		})
	}
}

func TestContainersAreNamedAsPeopleKnowThem(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for file, want := range map[string]string{
		"a.mp4": "mp4", "a.mov": "mov", "a.3gp": "3gp", "a.mkv": "mkv", "a.webm": "webm", "a.ts": "mpegts", "a.avi": "avi",
	} {
		codec := "mpeg4"
		if want == "webm" {
			codec = "libvpx"
		}
		path := filepath.Join(t.TempDir(), file)
		runFFmpeg(t, "-v", "error", "-f", "lavfi", "-i", "testsrc=s=176x144:r=10:d=1", "-c:v", codec, path)
		info, err := e.Inspect(t.Context(), path)
		if err != nil || info.Container != want {
			t.Errorf("%s: %q, %v", file, info.Container, err)
		}
	}
}

// Of files that were joined, or a program that goes on under other numbers as a new table says, the pictures and the sound are
// one track each, to the end.
func TestTracksGoOn(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	video := []string{"-c:v", "mpeg2video", "-q:v", "3", "-c:a", "mp2"}
	for name, c := range map[string]struct {
		file    string
		then    []string
		allowed output.Allowed
	}{
		// What it is compared with ends with the first numbers.
		"under other numbers": {"a.ts", []string{"-mpegts_start_pid", "512", "-output_ts_offset", "1"}, output.Allowed{Tainted: true, Seconds: 2.1}},
		"from 0, ts":          {"a.ts", nil, output.Allowed{}},
		"from 0, mpg":         {"a.mpg", nil, output.Allowed{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := clip(t, c.file, "testsrc2=s=160x90:r=25:d=1", slices.Concat([]string{"-t", "1"}, video)...)
			then := clip(t, c.file, "testsrc2=s=160x90:r=25:d=2,hue=h=90", slices.Concat([]string{"-t", "2"}, video, c.then)...)
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, slices.Concat(bytesOf(t, first), bytesOf(t, then)), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := e.Inspect(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(s.Duration-3) > 0.1 || s.Frames < 74 || len(s.AudioTracks()) != 1 {
				t.Errorf("%.3f s, %d pictures, %d tracks of sound", s.Duration, s.Frames, len(s.AudioTracks()))
			}
			checked(t, e, path, s, cheaper(domain.PlanTranscode(s)), c.allowed)
		})
	}
}
