package streamcheck_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/streamcheck"
)

func manifestWays() []broken {
	m := func(old, with string) func(*testing.T, clip) { return text("clip.mpd", old, with) }
	iso := func(clause string, change func(*testing.T, clip)) broken {
		return broken{clause: "ISO/IEC 23009-1, " + clause, severity: e, change: change}
	}
	return []broken{
		iso("5.3.1.2", m(` minBufferTime="PT6S"`, "")),
		iso("5.3.1.2", m(` profiles="urn:mpeg:dash:profile:isoff-main:2011"`, "")),
		iso("5.3.1.2", m(` mediaPresentationDuration="PT24S"`, "")),
		iso("5.3.1.2", m(`type="static"`, `type="dynamic"`)),
		iso("5.3.1.2", m("PT24S", "PT30S")),
		iso("5.3.5.2", m(`id="low"`, `id="high"`)),
		iso("5.3.5.2", m(`bandwidth="`, `bandwidth="-`)),
		iso("5.3.5.2", heavySegment),
		iso("5.3.7.2", m(`codecs="avc1.64000c"`, `codecs="avc1.42001e"`)),
		iso("5.3.7.2", m(`video/mp4`, `audio/mp4`)),
		iso("5.3.7.2", m(`width="640"`, `width="1280"`)),
		iso("5.3.7.2", m(`frameRate="25"`, `frameRate="30000/1001"`)),
		{clause: "ISO/IEC 23009-1, 5.3.7.2", severity: e, recipe: func(r *recipe) {
			r.sync = func(_ string, f int) bool { return f != 6*fps && f%gop == 0 }
		}},
		iso("5.3.9.1", m(`<SegmentURL media="low-3.m4s"/>`, "")),
		iso("5.3.9.5", func(_ *testing.T, c clip) { delete(c, "low-2.m4s") }),
		iso("5.3.9.5", m("low-1.m4s", "file:///etc/passwd")),
		iso("5.3.9.6", m(`<S t="76800" d="76800"/>`, `<S t="76800" d="70000"/>`)),
		iso("5.3.9.6", m(`<S t="76800" d="76800"/>`, `<S t="70000" d="76800"/>`)),
		{clause: "ISO/IEC 23009-1, 5.3.3.2", severity: e, recipe: func(r *recipe) { r.segment["high"] = 6*fps + 2 }},
		{clause: "ISO/IEC 23009-1, 5.3.3.2", severity: e, recipe: func(r *recipe) { r.segment["low"] = 6*fps + 2 }},
		{clause: "ISO/IEC 23009-1, 5.3.3.2", severity: e, recipe: func(r *recipe) { r.segment["low"] = 4 * fps }, change: func(t *testing.T, c clip) {
			t.Helper()
			low := strings.Index(string(c["clip.mpd"]), `id="low"`)
			c["clip.mpd"] = []byte(string(c["clip.mpd"][:low]) + strings.ReplaceAll(string(c["clip.mpd"][low:]), `d="76800"`, `d="51200"`))
		}},
	}
}

func TestManifestsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := clip{"clip.mpd": []byte("<MPD><Period>")}
	if r, err := streamcheck.Check(t.Context(), c.store(t), streamcheck.Options{}); err == nil {
		t.Errorf("judged: %+v", r)
	}
}

// TestOtherEncodersAndPackagers reads what FFmpeg makes of HEVC and AV1, with its own manifest beside it. FFmpeg writes
// less than the rules ask for; what it says of the formats must be what we read, and a level that is raised be found.
func TestOtherEncodersAndPackagers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-v", "error",
		"-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=4", "-map", "0:v", "-map", "0:v",
		"-c:v:0", "libx265", "-tag:v:0", "hvc1", "-preset:v:0", "ultrafast", "-x265-params:v:0", "log-level=error:keyint=50:open-gop=0:bframes=0",
		"-c:v:1", "libsvtav1", "-preset:v:1", "12", "-g:v:1", "50",
		"-f", "dash", "-seg_duration", "2", "-hls_playlist", "1", filepath.Join(dir, "clip.mpd"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range check(t, dir+"/clip.mpd").Findings { // FFmpeg names no profile of HEVC
		if f.Measured != `codecs="hvc1"` || !strings.HasPrefix(f.Wanted, "hvc1.1.6.L") {
			t.Errorf("%+v", f)
		}
	}
	master := dir + "/master.m3u8"
	names := map[string]int{"hvc1.1.6.L60.90": 1, "hvc1.1.6.L60": 1, "hvc1": 0, "hvc1.1.6.L60.B0": 0, "hvc1.1.6.L90.90": 0, "hvc1.2.4.L60.90": 0}
	for name, same := range names {
		manifest, err := os.ReadFile(dir + "/clip.mpd")
		must(t, err)
		must(t, os.WriteFile(dir+"/other.mpd", bytes.ReplaceAll(manifest, []byte(`codecs="hvc1"`), []byte(`codecs="`+name+`"`)), 0o600))
		if found := clauses(check(t, dir+"/other.mpd")); found["ISO/IEC 23009-1, 5.3.7.2error"] != 1-same {
			t.Errorf("%s: %v", name, found)
		}
	}
	if found := clauses(check(t, master)); found["Apple, 1.6berror"]+found["Apple, 1.37error"]+found["Apple, 7.4error"] > 0 {
		t.Errorf("of good media: %v", found)
	}
	raise(t, dir+"/init-stream0.m4s", "hvcC", 12, func(byte) byte { return 186 })          // level 6.2
	raise(t, dir+"/init-stream1.m4s", "av1C", 1, func(b byte) byte { return b&0xe0 | 19 }) // level 6.3
	if found := clauses(check(t, master)); found["Apple, 1.6berror"] != 1 || found["Apple, 1.37error"] != 1 {
		t.Errorf("of raised levels: %v", found)
	}
}

// raise changes a byte of a box's content.
func raise(t *testing.T, file, box string, offset int, change func(byte) byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	at := bytes.Index(data, []byte(box)) + len(box) + offset
	data[at] = change(data[at])
	must(t, os.WriteFile(file, data, 0o600))
}
