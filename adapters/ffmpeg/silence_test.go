package ffmpeg_test

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// A track may begin long after the pictures, or be silent for most of them: FFmpeg makes such a silence in memory, which took
// 1.6 GB for an hour. A process of its own encodes it, so that its memory is known; and what is heard after it must be
// heard in time.
func TestLongSilencesTakeNoMemory(t *testing.T) {
	t.Parallel()
	const name, again = "CINELOG_TEST_SILENCE_IN", "CINELOG_TEST_HEARD_AGAIN"
	if path := os.Getenv(name); path != "" {
		encodeLongSilence(t, path, os.Getenv(again))
		return
	}
	for what, c := range map[string]struct {
		file, offset string
		seconds      string // of sound
		moved        string // its frames, by so many of the muxer's ticks
		again        string // when it is heard again
	}{
		"before it, mkv":        {"a.mkv", "3000", "2", "0", "3000"},
		"before it, ts":         {"b.ts", "3000", "2", "0", "3000"},
		"within it, mp4":        {"a.mp4", "0", "2", "gte(N\\,47)*2999*48000", "2999.981"},
		"within it, ts":         {"a.ts", "0", "2", "gte(N\\,47)*2999*90000", "2999.981"},
		"after each second, ts": {"c.ts", "0", "110", "floor(N/47)*32*90000", "3597.269"},
	} {
		path := filepath.Join(t.TempDir(), c.file)
		runFFmpeg(t, append(strings.Fields("-v error -f lavfi -i testsrc2=s=64x36:r=1:d=3700 -itsoffset "+c.offset+
			" -f lavfi -i sine=f=1000:r=48000:d="+c.seconds+" -c:v libx264 -preset ultrafast -g 10 -c:a aac -bsf:a setts=ts=PTS+"+c.moved), path)...)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), name+"="+path, again+"="+c.again)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", what, err, out)
		}
		t.Logf("%s: %s", what, out)
	}
}

func encodeLongSilence(t *testing.T, path, again string) {
	t.Helper()
	e := newEncoder(t, ffmpeg.Options{Bubblewrap: "-"}) // which would not tell what it has used
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan, r := domain.PlanTranscode(info), newRecorder()
	if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: plan}, r); err != nil {
		t.Fatal(err)
	}
	atMost(t, 200)
	frame, at := 0, 0.0
	for i, s := range r.segments["audio"] {
		if frame = plan.SegmentEnd(frame); math.Abs(at+s.Duration-plan.FrameRate.Seconds(frame)) > 0.022 {
			t.Fatalf("segment %d ends at %.3f s, not at %.3f", i, at+s.Duration, plan.FrameRate.Seconds(frame))
		}
		at += s.Duration
	}
	if frame != plan.Frames {
		t.Errorf("the sound ends with frame %d of %d", frame, plan.Frames)
	}
	want, err := strconv.ParseFloat(again, 64)
	if err != nil {
		t.Fatal(err)
	}
	got := math.NaN()
	for _, l := range runFFmpeg(t, "-v", "error", "-i", r.file(t, "audio"), "-af",
		"silencedetect=n=-40dB:d=5,ametadata=print:key=lavfi.silence_end:file=-", "-f", "null", "-") {
		if s, ok := strings.CutPrefix(l, "lavfi.silence_end="); ok {
			if got, err = strconv.ParseFloat(s, 64); err != nil { // the last one counts
				t.Fatal(err)
			}
		}
	}
	t.Logf("%+v: heard again at %.3f s", info.Audio.Silences, got)
	if !(math.Abs(want-got) <= 0.04) {
		t.Errorf("it is heard again at %.3f s, not at %.3f s", got, want)
	}
}
