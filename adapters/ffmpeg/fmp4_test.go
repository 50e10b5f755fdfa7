package ffmpeg_test

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
)

// fragmented makes a small fragmented MP4: 50 frames of H.264 with B-frames, or a second of AAC.
func fragmented(t testing.TB, audio bool) []byte {
	t.Helper()
	path := t.TempDir() + "/f.mp4"
	args := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=32x32:r=25:d=2", "-c:v", "libx264", "-crf", "45", "-g", "20", "-pix_fmt", "yuv420p", "-video_track_timescale", "25"}
	if audio {
		args = []string{"-v", "error", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", "-ar", "48000", "-frag_duration", "200000"}
	}
	runFFmpeg(t, append(args, "-movflags", "+frag_keyframe+empty_moov+default_base_moof", path)...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFragmentsOfBothKindsAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, codecs string
		audio        bool
		scale        uint32
		samples      int
	}{{"video", "avc1.64000a", false, 25, 50}, {"audio", "mp4a.40.2", true, 48000, 48}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := fragmented(t, c.audio)
			init, samples, err := ffmpeg.SplitFragments(bytes.NewReader(file))
			if err != nil || samples != c.samples {
				t.Fatalf("%d samples, %v", samples, err)
			}
			if got, err := ffmpeg.CodecString(init); err != nil || got != c.codecs {
				t.Errorf("codecs %q, %v", got, err)
			}
			if got, err := ffmpeg.Timescale(init); err != nil || got != c.scale {
				t.Errorf("timescale %d, %v", got, err)
			}
			// Cut anywhere, it is an error or fewer samples, never more and never a panic.
			for n := 0; n < len(file); n += 97 {
				if _, got, err := ffmpeg.SplitFragments(bytes.NewReader(file[:n])); err == nil && got >= samples {
					t.Fatalf("cut at %d of %d bytes it still has %d samples", n, len(file), got)
				}
			}
		})
	}
}

// A run of samples need not say anything of each one, so that a few bytes could promise any number. The test is not
// parallel, because it looks at the memory of the whole process.
func TestARunWithoutEndIsRefused(t *testing.T) { //nolint:paralleltest // see above
	const follow = 20
	runs := func(size, offset uint32) []byte {
		run := mp4Box("trun", numbers(trunWithOffset, 2_000_000, offset))
		moof := mp4Box("moof", mp4Box("mfhd", numbers(0, 1)), mp4Box("traf", mp4Box("tfhd", numbers(tfhdWithSize, 1, size)),
			mp4Box("tfdt", numbers(1<<24, 0, 0)), run,
			bytes.Repeat(mp4Box("trun", numbers(0, 2_000_000)), follow)))
		return slices.Concat(mp4Box("ftyp"), mp4Box("moov"), moof, mp4Box("mdat", make([]byte, 1000)))
	}
	const mdat = 8 + 16 + 8 + 16 + 20 + 20 + follow*16 + 8 // where its first byte is, counted from moof
	for name, file := range map[string][]byte{
		"samples of no bytes":       runs(0, mdat),
		"samples before the file":   runs(1, 1<<31),
		"more than the bytes there": runs(1, mdat),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, samples, err := ffmpeg.SplitFragments(bytes.NewReader(file))
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: taken for %d samples", name, samples)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
			t.Errorf("%s: it took %d bytes of memory, the file has %d", name, took, len(file))
		}
	}
}

const tfhdWithSize, trunWithOffset = 0x10, 0x1

func FuzzFragments(f *testing.F) {
	f.Add(fragmented(f, false)) // B-frames: composition offsets, several fragments
	f.Add(fragmented(f, true))  // no composition offsets, constant durations
	f.Add([]byte("\x00\x00\x00\x08ftyp\x00\x00\x00\x08moov\x00\x00\x00\x08moof\x00\x00\x00\x08mdat"))
	f.Fuzz(func(t *testing.T, b []byte) {
		init, samples, err := ffmpeg.SplitFragments(bytes.NewReader(b))
		if err == nil && samples > len(b) {
			t.Errorf("%d samples in %d bytes", samples, len(b))
		}
		_, _ = ffmpeg.CodecString(init) // must not panic
		_, _ = ffmpeg.Timescale(init)
		_, _ = ffmpeg.CodecString(b)
	})
}
