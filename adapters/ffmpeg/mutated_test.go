package ffmpeg_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// TestMutatedFilesGetAnAnswer breaks good files in all ways that transfers, disks and people break them. Each is
// accepted or refused with a reason in bounded time, whatever part of the work finds out; the same ones every time.
func TestMutatedFilesGetAnAnswer(t *testing.T) {
	t.Parallel()
	const answer = 30 * time.Second
	each := 5
	if os.Getenv("CINELOG_LONG") != "" {
		each = 200
	}
	e := newEncoder(t, ffmpeg.Options{})
	x264 := []string{"-t", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac"}
	const picture = "testsrc2=s=96x54:r=25:d=2"
	for name, path := range map[string]string{
		"a.mp4":          clip(t, "a.mp4", picture, append(x264, "-movflags", "+faststart")...),
		"fragmented.mp4": clip(t, "fragmented.mp4", picture, append(x264, "-movflags", "+frag_keyframe+empty_moov+default_base_moof")...),
		"a.mkv":          clip(t, "a.mkv", picture, x264...),
		"a.webm":         clip(t, "a.webm", picture, "-t", "2", "-c:v", "libvpx", "-cpu-used", "8", "-deadline", "realtime", "-c:a", "libopus"),
		"a.ts":           clip(t, "a.ts", picture, x264...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			outcomes := map[string]int{}
			dir := t.TempDir()
			for i := range each {
				// #nosec G404 // the same every time
				how, broken := mutate(rand.New(rand.NewPCG(uint64(i), uint64(len(name)))), good)
				file := filepath.Join(dir, fmt.Sprintf("%d-%s", i, name))
				if err := os.WriteFile(file, broken, 0o600); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				outcome, err := answered(t, e, file, answer)
				outcomes[outcome]++
				var failure *domain.Failure
				if took := time.Since(began); err != nil && !errors.As(err, &failure) {
					t.Errorf("%d (%s): %s: no answer after %s: %v", i, how, outcome, took, err)
				}
				if os.Remove(file) != nil {
					t.Error("it is gone")
				}
			}
			t.Logf("%d files: %v", each, outcomes)
			if left := processesWith(t, dir); len(left) > 0 {
				t.Errorf("still running: %q", left)
			}
		})
	}
}

// mostOutput is how much may be made of a small file that is broken: those here are clips of 2 s and of 100 pixels.
const mostOutput = 16 << 20

// answered takes a file as far as it goes, all within that time, and says how far that was. An error that is no *domain.Failure
// says that there was no answer in time, or one that is too large.
func answered(t *testing.T, e *ffmpeg.Encoder, file string, within time.Duration) (outcome string, err error) {
	t.Helper()
	out := newRecorder()
	defer func() {
		if n := out.bytes(); n > mostOutput {
			outcome, err = "too much", fmt.Errorf("%d bytes were made of it", n)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	info, err := e.Inspect(ctx, file)
	if err != nil {
		return "refused", err
	}
	if info.Frames < 1 || info.Frames > 1_000_000 || info.Duration <= 0 || info.Width < 1 || info.Height < 1 {
		return "accepted", fmt.Errorf("measured nonsense: %+v", info)
	}
	plan, remuxed := domain.PlanTranscode(info), ""
	if plan.Remuxed() != nil {
		err := e.Remux(ctx, commands.RemuxJob{Path: file, Source: info, Plan: plan}, out)
		if _, refused := errors.AsType[*domain.Failure](err); err != nil && !refused {
			return "not remuxed", err
		}
		if err != nil {
			info.Remux, remuxed = nil, ", not remuxed"
			plan = domain.PlanTranscode(info)
		}
	}
	ladder := domain.Ladder(info.Width, info.Height)
	plan.Rungs = ladder[len(ladder)-1:]
	if err := e.EncodeChunk(ctx, commands.ChunkJob{Path: file, Source: info, Plan: plan, Chunk: 0, Poster: true}, out); err != nil {
		return "not encoded" + remuxed, err
	}
	if plan.Audio != nil {
		if err := e.EncodeAudio(ctx, commands.AudioJob{Path: file, Source: info, Plan: plan}, out); err != nil {
			return "without its sound" + remuxed, err
		}
	}
	return "made" + remuxed, nil
}

// mutate breaks a file in one of the ways, and says in which.
func mutate(r *rand.Rand, good []byte) (how string, b []byte) {
	b = bytes.Clone(good)
	at := func(room int) int { return r.IntN(max(1, len(b)-room)) }
	if r.IntN(2) == 0 { // the headers, mostly
		at = func(room int) int { return r.IntN(max(1, min(len(b)-room, 2048))) }
	}
	switch r.IntN(6) {
	case 0:
		n := 1 + r.IntN(20)
		for range n {
			b[at(1)] ^= 1 << r.IntN(8)
		}
		return fmt.Sprintf("%d bits", n), b
	case 1:
		size := min(512, len(b)/4)
		x, y := at(size), at(size)
		block := bytes.Clone(b[x : x+size])
		copy(b[x:x+size], b[y:y+size])
		copy(b[y:y+size], block)
		return fmt.Sprintf("blocks at %d and %d", x, y), b
	case 2:
		n := 1 + at(1)
		return fmt.Sprintf("cut at %d", n), b[:n]
	case 3:
		x, n := at(1), 1+r.IntN(len(b)/4)
		return fmt.Sprintf("%d bytes out at %d", n, x), slices.Delete(b, x, min(len(b), x+n))
	case 4:
		x, y, n := at(1), at(1), 1+r.IntN(len(b)/4)
		return fmt.Sprintf("%d bytes of %d again at %d", n, y, x), slices.Insert(b, x, good[y:min(len(good), y+n)]...)
	default:
		n := []uint32{0, 1, 7, 0x7fffffff, 0x80000000, 0xffffffff, uint32(len(b)), r.Uint32()}[r.IntN(8)]
		x := at(4)
		if kinds := boxNames(b); len(kinds) > 0 && r.IntN(3) > 0 {
			x = kinds[r.IntN(len(kinds))] + []int{-4, 4, 8, 12}[r.IntN(4)] // the size, the version, the first fields
		}
		binary.BigEndian.PutUint32(b[min(x, len(b)-4):], n)
		return fmt.Sprintf("the number %d at %d", n, x), b
	}
}

// boxNames finds where names of MP4 boxes stand.
func boxNames(b []byte) (at []int) {
	for _, kind := range []string{
		"moov", "mvhd", "trak", "tkhd", "elst", "mdhd", "stsd", "avc1", "avcC", "esds", "stts", "ctts", "stss", "stsz", "stsc", "stco",
		"mvex", "trex", "moof", "mfhd", "tfhd", "tfdt", "trun", "mdat",
	} {
		for from := 4; ; {
			i := bytes.Index(b[from:], []byte(kind))
			if i < 0 {
				break
			}
			at = append(at, from+i)
			from += i + 4
		}
	}
	return at
}

// processesWith lists the processes that have this text in their command lines.
func processesWith(t *testing.T, text string) (lines []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(text)) {
			lines = append(lines, string(line))
		}
	}
	return lines
}
