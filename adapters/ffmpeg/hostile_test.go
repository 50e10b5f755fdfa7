package ffmpeg_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
)

// Files that are not what their name says must be refused before FFmpeg sees them, and must make nobody open anything.
func TestDisguisedFilesOpenNothing(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	canary, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var hits atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := canary.Accept()
			if err != nil {
				return
			}
			hits.Add(1)
			_ = c.Close()
		}
	}()
	url := "http://" + canary.Addr().String() + "/"
	dir := t.TempDir()
	for name, content := range map[string]string{
		"hls.mp4":      "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n" + url + "a.ts\n#EXT-X-ENDLIST\n",
		"hls-file.mp4": "#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n",
		"concat.mp4":   "ffconcat version 1.0\nfile " + url + "a.mp4\n",
		"dash.mp4":     `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>` + url + `</BaseURL></MPD>`,
		"svg.mp4":      `<svg xmlns="http://www.w3.org/2000/svg"><image href="` + url + `"/></svg>`,
		"jpeg.mp4":     "\xff\xd8\xff\xe0\x00\x10JFIF\x00" + strings.Repeat("\x00", 400),
		"png.mp4":      "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 400),
		"zip.mp4":      "PK\x03\x04" + strings.Repeat("\x00", 400),
		"text.mp4":     strings.Repeat("Hello. ", 100),
		"one.mp4":      "x",
		"empty.mp4":    "",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := e.Inspect(t.Context(), path)
		var failure *domain.Failure
		if !errors.As(err, &failure) || failure.Code != domain.NotAVideo {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = canary.Close()
	<-done
	if hits.Load() > 0 {
		t.Errorf("%d connections were made", hits.Load())
	}
}

// A playlist in the clothes of a container gets as far as FFmpeg; the forced demuxer stops it there.
func TestAPolyglotIsRefused(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := filepath.Join(t.TempDir(), "a.mp4")
	content := "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x08moov#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := e.Inspect(t.Context(), path)
	var failure *domain.Failure
	if !errors.As(err, &failure) || strings.Contains(err.Error(), "root:") {
		t.Fatalf("got %v", err)
	}
}

// The reason of a refusal is told to clients, so it must not tell where the server keeps its files.
func TestReasonsDoNotTellThePlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.webm")
	if err := os.WriteFile(path, []byte("\x1a\x45\xdf\xa3 and nothing of what must follow"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cage := range []string{"", "-"} {
		e := newEncoder(t, ffmpeg.Options{Bubblewrap: cage})
		_, err := e.Inspect(t.Context(), path)
		var failure *domain.Failure
		if !errors.As(err, &failure) || !strings.Contains(failure.Detail, "the file: Invalid data") ||
			strings.Contains(failure.Detail, filepath.Dir(path)) || strings.Contains(failure.Detail, "/input") {
			t.Errorf("cage %q: got %v", cage, err)
		}
	}
}

// Where the header is cut off nobody can say that there is no video track.
func TestACutHeaderIsMalformed(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := filepath.Join(t.TempDir(), "a.mp4")
	content := "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + // then a moov of 646 bytes, of which the file has 20
		"\x00\x00\x02\x86moov\x00\x00\x00\x6cmvhd\x00\x00\x00\x00"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := e.Inspect(t.Context(), path)
	var failure *domain.Failure
	if !errors.As(err, &failure) || failure.Code != domain.Malformed {
		t.Fatalf("got %v", err)
	}
}

// sleeper stands for a program that hangs: it answers -version for the cage's trial and then shows nothing.
func sleeper(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffprobe")
	script := "#!/bin/sh\ncase \"$*\" in *-version*) exit 0;; esac\ntrap '' TERM INT\nwhile :; do sleep 1000; done\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAHangingProcessIsKilled(t *testing.T) {
	t.Parallel()
	path := clip(t, "a.mp4", "testsrc2=s=64x64:r=25:d=1", "-c:v", "libx264", "-an")
	for _, cage := range []string{"", "-"} {
		e := newEncoder(t, ffmpeg.Options{FFprobe: sleeper(t), Bubblewrap: cage, Stall: 300 * time.Millisecond})
		began := time.Now()
		_, err := e.Inspect(t.Context(), path)
		var failure *domain.Failure
		if err == nil || errors.As(err, &failure) || !strings.Contains(err.Error(), "no progress") {
			t.Errorf("cage %q: got %v, wanted an error that may be tried again", cage, err)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("cage %q: it took %s", cage, took)
		}
	}
}

func TestAnEndedContextKillsTheProcess(t *testing.T) {
	t.Parallel()
	path := clip(t, "a.mp4", "testsrc2=s=64x64:r=25:d=1", "-c:v", "libx264", "-an")
	e := newEncoder(t, ffmpeg.Options{FFprobe: sleeper(t)})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := e.Inspect(ctx, path)
	var failure *domain.Failure
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
}

func TestAFifoAndAMissingFileAreNoVerdict(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	fifo := filepath.Join(t.TempDir(), "fifo.mp4")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, filepath.Join(t.TempDir(), "missing.mp4")} {
		_, err := e.Inspect(t.Context(), path)
		var failure *domain.Failure
		if err == nil || errors.As(err, &failure) {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}

func TestForeignTextIsMadePrintable(t *testing.T) {
	t.Parallel()
	got := ffmpeg.Clean([]byte("[h264 @ 0x55aa] bad\x1b[31m\r\nnext \xff line\x00\n"))
	if got != "[h264] bad [31m | next ? line" {
		t.Errorf("%q", got)
	}
}

func TestDoctorAndSample(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for _, c := range e.Doctor(t.Context()) {
		t.Logf("%+v", c)
		if !c.OK && c.Name != "cage" {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	path := filepath.Join(t.TempDir(), "sample.mp4")
	if err := e.MakeSample(t.Context(), path, 3); err != nil {
		t.Fatal(err)
	}
	info, err := e.Inspect(t.Context(), path)
	if err != nil || info.Width != 1280 || info.Frames != 90 || info.Audio == nil || info.NoSeek != "" {
		t.Fatalf("%+v, %v", info, err)
	}
}
