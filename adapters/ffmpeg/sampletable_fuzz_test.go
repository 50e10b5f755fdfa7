package ffmpeg_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
)

// tables makes a small MP4 file with B-frames, composition offsets, an edit list and, if asked, sound.
func tables(t testing.TB, args ...string) []byte {
	t.Helper()
	path := t.TempDir() + "/t.mp4"
	runFFmpeg(t, slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=32x32:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1"},
		[]string{"-c:v", "libx264", "-crf", "51", "-g", "10", "-bf", "2", "-pix_fmt", "yuv420p", "-map_metadata", "-1"}, args, []string{path})...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mp4Box(kind string, body ...[]byte) []byte {
	b := slices.Concat(body...)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(b))), kind...), b...)
}

func numbers(n ...uint32) (b []byte) {
	for _, v := range n {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// movie is a file of nothing but headers, which say that track 1 has these tables.
func movie(tables ...[]byte) []byte {
	return slices.Concat(mp4Box("ftyp", []byte("isom"), numbers(0)), mp4Box("moov", mp4Box("mvhd", numbers(0, 0, 0, 1000, 1000)), track(tables...)))
}

func track(tables ...[]byte) []byte {
	return mp4Box("trak", mp4Box("tkhd", numbers(0, 0, 0, 1)), mp4Box("mdia", mp4Box("mdhd", numbers(0, 0, 0, 25, 25)),
		mp4Box("minf", mp4Box("stbl", tables...))))
}

// What stands in the headers of a file is a claim: none may make the server end or take more memory than the file has
// bytes, some times over. The test is not parallel, because it looks at the memory of the whole process.
func TestSampleTablesThatLieAreLeftToThePackets(t *testing.T) { //nolint:paralleltest // see above
	one := [][]byte{mp4Box("stsd", numbers(0, 1)), mp4Box("stts", numbers(0, 1, 3, 1)), mp4Box("stsz", numbers(0, 0, 3, 8, 8, 8))}
	if pictures, _, _, _, ok := ffmpeg.Tables(movie(one...), false); !ok || pictures != 3 {
		t.Fatalf("the good one: %d pictures, %t", pictures, ok)
	}
	many := uint32(10_000_000)
	bomb := track(mp4Box("stsd", numbers(0, 1)), mp4Box("stts", numbers(0, 1, many, 1)), mp4Box("stsz", numbers(0, 1, many)))
	for name, file := range map[string][]byte{
		"two size tables, the longer without sizes": movie(mp4Box("stsz", numbers(0, 0, 1, 8)), mp4Box("stsz", numbers(0, 7, 9)),
			mp4Box("stsd", numbers(0, 1)), mp4Box("stts", numbers(0, 1, 9, 1))),
		"ten million pictures of one byte": slices.Concat(mp4Box("moov", mp4Box("mvhd", numbers(0, 0, 0, 1000, 1000)), bomb)),
		"one track a thousand times": slices.Concat(mp4Box("moov", mp4Box("mvhd", numbers(0, 0, 0, 1000, 1000)),
			bytes.Repeat(track(one[0], mp4Box("stts", numbers(0, 1, 100_000, 1)), mp4Box("stsz", numbers(0, 1, 100_000))), 1000))),
		"more bytes than there are":    movie(one[0], one[1], mp4Box("stsz", numbers(0, 0, 3, 8, 1<<31, 8))),
		"times for fewer":              movie(one[0], mp4Box("stts", numbers(0, 1, 2, 1)), one[2]),
		"times for more":               movie(one[0], mp4Box("stts", numbers(0, 2, 2, 1, 1<<32-1, 1)), one[2]),
		"a century of twenty pictures": movie(one[0], mp4Box("stts", numbers(0, 1, 20, 1<<31-1)), mp4Box("stsz", numbers(0, 1, 20))),
		"offsets for none":             movie(slices.Concat(one, [][]byte{mp4Box("ctts", numbers(0, 0))})...),
		"an edit list of a million": slices.Concat(mp4Box("moov", mp4Box("mvhd", numbers(0, 0, 0, 1000, 1000)),
			mp4Box("trak", mp4Box("tkhd", numbers(0, 0, 0, 1)), mp4Box("edts", mp4Box("elst", numbers(0, 1_000_000), make([]byte, 12_000_000))),
				mp4Box("mdia", mp4Box("mdhd", numbers(0, 0, 0, 25, 25)), mp4Box("minf", mp4Box("stbl", one...)))))),
		"no ticks a second": bytes.ReplaceAll(movie(one...), numbers(25, 25), numbers(0, 25)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		pictures, _, measured, _, ok := ffmpeg.Tables(file, false)
		runtime.ReadMemStats(&after)
		if ok {
			t.Errorf("%s: taken for %d pictures, %s", name, pictures, measured)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 100*uint64(len(file))+1<<16 {
			t.Errorf("%s: it took %d bytes of memory, the file has %d", name, took, len(file))
		}
	}
}

func FuzzSampleTables(f *testing.F) {
	f.Add(tables(f, "-c:a", "aac"), true)
	f.Add(tables(f, "-c:a", "pcm_s16le", "-f", "mov", "-movflags", "+faststart"), true)
	f.Add(tables(f, "-an"), false)
	f.Add(movie(mp4Box("stsd", numbers(0, 1)), mp4Box("stts", numbers(0, 1, 3, 1)), mp4Box("stsz", numbers(0, 0, 3, 8, 8, 8))), false)
	f.Fuzz(func(t *testing.T, b []byte, audio bool) {
		pictures, sounds, measured, sane, ok := ffmpeg.Tables(b, audio)
		if max(pictures, sounds) > len(b) {
			t.Errorf("%d samples in %d bytes", pictures+sounds, len(b))
		}
		if ok && !sane {
			t.Errorf("measured %s", measured)
		}
	})
}
