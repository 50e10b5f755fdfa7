package ffmpeg_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/domain"
)

// inside changes the body of the first box at a path, and the sizes above it.
func inside(t testing.TB, boxes []byte, path string, change func([]byte) []byte) []byte {
	t.Helper()
	kind, rest, _ := strings.Cut(path, "/")
	for at := 0; at+8 <= len(boxes); {
		end := at + int(binary.BigEndian.Uint32(boxes[at:]))
		if string(boxes[at+4:at+8]) != kind {
			at = end
			continue
		}
		body := boxes[at+8 : end]
		if rest == "" {
			body = change(bytes.Clone(body))
		} else {
			body = inside(t, body, rest, change)
		}
		return slices.Concat(boxes[:at], mp4Box(kind, body), boxes[end:])
	}
	t.Fatalf("there is no %s", kind)
	return nil
}

func bytesOf(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// references are files that are good but for naming others.
func references(t *testing.T, w *tripwire) []attack {
	t.Helper()
	x264 := []string{"-t", "1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"}
	good := bytesOf(t, clip(t, "a.mov", "testsrc2=s=64x64:r=25:d=1", x264...)) // its header is its end
	dref := func(kind string, body ...[]byte) []byte {
		return inside(t, good, "moov/trak/mdia/minf/dinf/dref", func([]byte) []byte {
			return slices.Concat(numbers(0, 1), mp4Box(kind, slices.Concat(append([][]byte{numbers(0)}, body...)...)))
		})
	}
	alias := func(path string) []byte {
		b := slices.Concat(make([]byte, 10), []byte{1}, make([]byte, 27+12), []byte{1, 'x'}, make([]byte, 62+16), []byte{0, 1, 0, 4}, make([]byte, 16))
		b = binary.BigEndian.AppendUint16(append(b, 0, 2), uint16(len(path)))
		return append(append(b, path...), 0xff, 0xff, 0, 0)
	}
	rmra := func(kind, url string) []byte {
		return slices.Concat(mp4Box("ftyp", []byte("qt  "), numbers(0)), mp4Box("moov", mp4Box("rmra", mp4Box("rmda",
			mp4Box("rdrf", numbers(0), []byte(kind), numbers(uint32(len(url)+1)), []byte(url), []byte{0})))))
	}
	perhaps := []domain.FailureCode{domain.Malformed, domain.NoVideoTrack, either}
	attacks := []attack{
		{name: "dref url file.mov", content: dref("url ", []byte("file://"+w.file+"\x00")), codes: perhaps},
		{name: "dref url http.mov", content: dref("url ", []byte(w.url+"\x00")), codes: perhaps},
		{name: "dref urn.mov", content: dref("urn ", []byte("a\x00"+w.url+"\x00")), codes: perhaps},
		{name: "dref alis.mov", content: dref("alis", alias(w.file)), codes: perhaps},
		{name: "rmra url.mov", content: rmra("url ", w.url), codes: []domain.FailureCode{domain.Malformed, domain.NoVideoTrack}},
		{name: "rmra alis.mov", content: rmra("alis", w.file), codes: []domain.FailureCode{domain.Malformed, domain.NoVideoTrack}},
		{name: "html in a free box.mp4", content: slices.Concat(good[:20], mp4Box("free", []byte("<script src="+w.url+"></script>")), good[20:]), codes: perhaps},
		{name: "zip behind.mov", content: slices.Concat(good, []byte("PK\x03\x04 and so on "), bytes.Repeat([]byte{'z'}, 500))},
	}
	dir := t.TempDir()
	for file, text := range map[string]string{
		"a.ass": "[Script Info]\nScriptType: v4.00+\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default," + w.file + ",20\n[Fonts]\nfontname: " + w.file +
			"\n[Events]\nFormat: Start, End, Style, Text\nDialogue: 0:00:00.00,0:00:01.00,Default,{\\fn" + w.file + "\\p1}hello\n",
		"a.srt": "1\n00:00:00,000 --> 00:00:01,000\n<img src=\"" + w.url + "\"><font face=\"" + w.file + "\">hello</font>\n",
		"a.vtt": "WEBVTT\n\nSTYLE\n::cue { background: url(" + w.url + ") }\n\n00:00.000 --> 00:01.000\n<c.a>" + w.url + "</c>\n",
	} {
		text := []byte(text)
		path, out := filepath.Join(dir, file), filepath.Join(dir, file+".mkv")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		font := filepath.Join(dir, "font.ttf")
		if err := os.WriteFile(font, []byte(w.url), 0o600); err != nil {
			t.Fatal(err)
		}
		runFFmpeg(t, slices.Concat([]string{"-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=1", "-i", path}, x264,
			[]string{"-c:s", "copy", "-attach", font, "-metadata:s:t", "mimetype=application/x-truetype-font", "-metadata:s:t", "filename=" + w.file, out})...)
		attacks = append(attacks, attack{name: file + " in.mkv", content: bytesOf(t, out)})
	}
	// Chapters that go on in another file of the folder, behind a segment of unknown length.
	linked := append(bytesOf(t, clip(t, "a.webm", "testsrc2=s=64x64:r=25:d=1", "-t", "1", "-c:v", "libvpx", "-deadline", "realtime", "-an", "-live", "1")),
		ebml(0x1043A770, ebml(0x45B9, ebml(0x45DD, []byte{1}), ebml(0xB6, ebml(0x73C4, []byte{1}), ebml(0x91, []byte{0}),
			ebml(0x6E67, make([]byte, 16)))))...)
	return append(attacks, attack{name: "linked chapters.webm", content: linked})
}

// ebml is an element of Matroska (RFC 8794).
func ebml(id uint32, body ...[]byte) []byte {
	b := slices.Concat(body...)
	return slices.Concat(bytes.TrimLeft(numbers(id), "\x00"), []byte{0x40 | byte(len(b)>>8), byte(len(b))}, b)
}

// bombs are small files that want to become much.
func bombs(t *testing.T) []attack {
	t.Helper()
	vp8 := func(name, source string, args ...string) []byte {
		return bytesOf(t, clip(t, name, source, append([]string{"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "10", "-an"}, args...)...))
	}
	small := vp8("a.webm", "testsrc2=s=64x64:r=25:d=2")
	// sized gives the keyframes from the nth on another size (RFC 6386, 9.1).
	sized := func(n int, width, height uint16) []byte {
		b := bytes.Clone(small)
		for from, i := 0, 0; ; i++ {
			at := bytes.Index(b[from:], []byte{0x9d, 0x01, 0x2a, 64, 0, 64, 0})
			if at < 0 {
				return b
			}
			if from += at + 3; i >= n {
				binary.LittleEndian.PutUint16(b[from:], width)
				binary.LittleEndian.PutUint16(b[from+2:], height)
			}
		}
	}
	x264 := []string{"-t", "1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "2"}
	good := bytesOf(t, clip(t, "a.mp4", "testsrc2=s=64x64:r=25:d=1", x264...))
	moov := func(path string, change func([]byte) []byte) []byte { return inside(t, good, "moov/"+path, change) }
	count := func(at int, n uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], n); return b }
	}
	edits := func(n uint32) func([]byte) []byte {
		return func([]byte) []byte { return append(numbers(0, n), bytes.Repeat(numbers(1, 0, 1<<16), int(n))...) }
	}
	nested := numbers(8, 0x75647461) // "udta"
	for range 3000 {
		nested = mp4Box("udta", nested)
	}
	broken := []domain.FailureCode{domain.Malformed, domain.NoVideoTrack, either}
	large := []domain.FailureCode{domain.ResolutionTooHigh, domain.Malformed}
	const stbl = "trak/mdia/minf/stbl/"
	return []attack{
		{name: "all of 16383x16383.webm", content: sized(0, 16383, 16383), codes: large},
		{name: "later 16383x16383.webm", content: sized(2, 16383, 16383), codes: append(large, either)},
		{name: "later 4096x2160.webm", content: sized(2, 4096, 2160), codes: append(large, either)},
		{name: "the header says 65535x65535.webm", content: bytes.Replace(bytes.Replace(small, []byte{0xb0, 0x81, 64}, []byte{0xb0, 0x82, 0xff, 0xff}, 1),
			[]byte{0xba, 0x81, 64}, []byte{0xba, 0x82, 0xff, 0xff}, 1), codes: broken},
		{name: "raw 16384x16384.avi", content: bytes.ReplaceAll(bytesOf(t, clip(t, "r.avi", "testsrc2=s=64x64:r=25:d=0.2", "-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-an")),
			[]byte{64, 0, 0, 0, 64, 0, 0, 0}, []byte{0, 64, 0, 0, 0, 64, 0, 0}), codes: large},
		{name: "a picture a day.mkv", content: vp8("b.mkv", "testsrc2=s=64x64:r=25:d=2", "-bsf:v", "setts=ts=N*86400000"), codes: []domain.FailureCode{domain.TooLong}},
		{name: "a picture in 30 years.mkv", content: vp8("c.mkv", "testsrc2=s=64x64:r=25:d=2", "-bsf:v", "setts=ts=if(gt(N\\,48)\\,1000000000000\\,N*40)"), codes: []domain.FailureCode{domain.TooLong, either}},
		{name: "pictures of no length.mkv", content: vp8("d.mkv", "testsrc2=s=16x16:r=1000:d=5", "-bsf:v", "setts=ts=0"), codes: broken},
		{name: "stts of no length.mp4", content: moov(stbl+"stts", func(b []byte) []byte { return numbers(0, 1, 25, 0) }), codes: broken},
		{name: "stts of a century.mp4", content: moov(stbl+"stts", func(b []byte) []byte { return numbers(0, 1, 25, 1<<31-1) }), codes: append(broken, domain.TooLong)},
		{name: "stsz of 4 billion.mp4", content: moov(stbl+"stsz", count(8, 1<<32-1)), codes: broken},
		{name: "stsz of 10 million, fixed.mp4", content: inside(t, moov(stbl+"stsz", func([]byte) []byte { return numbers(0, 1, 10_000_000) }), "moov/"+stbl+"stts",
			func([]byte) []byte { return numbers(0, 1, 10_000_000, 512) }), codes: append(broken, domain.TooLong)},
		{name: "stsd of 4 billion.mp4", content: moov(stbl+"stsd", count(4, 1<<32-1)), codes: broken},
		{name: "stsc of 4 billion.mp4", content: moov(stbl+"stsc", count(4, 1<<32-1)), codes: broken},
		{name: "stsc with all samples in a chunk.mp4", content: moov(stbl+"stsc", func([]byte) []byte { return numbers(0, 1, 1, 1<<32-1, 1) }), codes: broken},
		{name: "a thousand edits.mp4", content: moov("trak/edts/elst", edits(1000)), codes: append(broken, domain.TooLong)},
		{name: "a million edits.mp4", content: moov("trak/edts/elst", edits(1_000_000)), codes: []domain.FailureCode{domain.Malformed}, says: "1000000 edits"},
		{name: "a thousand times the track.mp4", content: inside(t, good, "moov", func(b []byte) []byte {
			at := bytes.Index(b, []byte("trak")) - 4
			return append(b, bytes.Repeat(b[at:at+int(binary.BigEndian.Uint32(b[at:]))], 999)...)
		}), codes: broken},
		{name: "deep boxes.mp4", content: inside(t, good, "moov", func(b []byte) []byte { return append(b, nested...) }), codes: broken},
		{name: "64 MiB of nothing in moov.mp4", content: inside(t, good, "moov", func(b []byte) []byte { return append(b, make([]byte, 64<<20)...) }), codes: broken},
		{name: "4 million boxes in moov.mp4", content: inside(t, good, "moov", func(b []byte) []byte {
			return append(b, bytes.Repeat(mp4Box("free"), 4<<20)...)
		}), codes: []domain.FailureCode{domain.Malformed}, says: "boxes"},
		{name: "10 MiB of title.mkv", content: bytesOf(t, titled(t))},
	}
}

// titled is a good file with a title of 10 MiB.
func titled(t *testing.T) string {
	t.Helper()
	meta := filepath.Join(t.TempDir(), "meta.txt")
	if err := os.WriteFile(meta, []byte(";FFMETADATA1\ntitle="+strings.Repeat("a", 10<<20)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.mkv")
	runFFmpeg(t, "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=1", "-f", "ffmetadata", "-i", meta, "-map_metadata", "1",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", path)
	return path
}

// strangers are formats that are not taken, under the name of one that is: pictures, and codecs that hardly anybody uses.
func strangers(t *testing.T) (attacks []attack) {
	t.Helper()
	for _, format := range []string{"jpg", "png", "gif", "webp", "bmp", "tiff", "wav", "mp3", "roq", "nut"} {
		path := filepath.Join(t.TempDir(), "a."+format)
		args := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=30", "-frames:v", "1", "-an"}
		switch format {
		case "wav", "mp3":
			args = []string{"-v", "error", "-f", "lavfi", "-i", "sine=d=1"}
		case "roq":
			args = append(args, "-c:v", "roqvideo")
		}
		runFFmpeg(t, append(args, "-strict", "-2", path)...)
		attacks = append(attacks, attack{name: format + ".mp4", content: bytesOf(t, path), codes: []domain.FailureCode{domain.NotAVideo}})
	}
	for _, brand := range []string{"heic", "heix", "mif1", "avif"} {
		content := slices.Concat(mp4Box("ftyp", []byte(brand), numbers(0)), mp4Box("meta", numbers(0)), mp4Box("mdat", make([]byte, 500)))
		attacks = append(attacks, attack{name: brand + ".mp4", content: content, codes: []domain.FailureCode{domain.NotAVideo}})
	}
	attacks = append(attacks, attack{
		name: "one jpeg in.mov", content: bytesOf(t, clip(t, "a.mov", "testsrc2=s=64x64:r=25", "-frames:v", "1", "-c:v", "mjpeg", "-an")),
		codes: []domain.FailureCode{domain.NotAVideo},
	})
	for _, codec := range []string{"cinepak", "png", "huffyuv", "utvideo", "zmbv", "snow", "msvideo1", "ffvhuff", "asv1", "jpeg2000", "svq1", "rpza", "smc", "cljr"} {
		path := filepath.Join(t.TempDir(), "a.mov")
		runFFmpeg(t, "-v", "fatal", "-strict", "-2", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=0.2", "-c:v", codec, path)
		attacks = append(attacks, attack{name: codec + ".mov", content: bytesOf(t, path), codes: []domain.FailureCode{domain.UnsupportedCodec}, says: fmt.Sprintf("%q", codec)})
	}
	return attacks
}
