package ffmpeg_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
)

const vttHead = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"

func TestForeignCaptionsBecomePlainText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in, want string
	}{
		"markup is dropped, words stay": {
			"WEBVTT\n\n00:01.000 --> 00:02.000\n<i>Hello</i> <c.red>a < b & c</c>\n{\\an8}above\n",
			"\n00:00:01.000 --> 00:00:02.000\nHello a &lt; b &amp; c\nabove\n",
		},
		"styles, notes and settings are dropped": {
			"WEBVTT\n\nSTYLE\n::cue { background: url(http://canary/) }\n\nNOTE\nsecret\n\n00:01.000 --> 00:02.000\nx\n",
			"\n00:00:01.000 --> 00:00:02.000\nx\n",
		},
		"an arrow within a text is no cue": {
			"00:01.000 --> 00:02.000\nx\n00:03.000 --> 00:04.000\n&lt;script&gt;\n",
			"\n00:00:01.000 --> 00:00:02.000\nx\n00:03.000 --&gt; 00:04.000\n&lt;script&gt;\n",
		},
		"a cue ends with the video":                     {"00:09.000 --> 99:00:00.000\nx\n\n00:11.000 --> 00:12.000\ny", "\n00:00:09.000 --> 00:00:10.000\nx\n"},
		"times that are none, and empty cues, are none": {"NaN --> 00:02.000\nx\n\n00:03.000 --> 00:02.000\ny\n\n00:01.000 --> 00:02.000\n<b></b>\n", ""},
		"what cannot be printed is a space":             {"00:01.000 --> 00:02.000\na\x00b\xffc\r\n", "\n00:00:01.000 --> 00:00:02.000\na b\uFFFDc\n"},
	} {
		text, cues := ffmpeg.CleanVTT(c.in, 10)
		if diff := cmp.Diff(vttHead+c.want, text); diff != "" || (cues == 0) != (c.want == "") {
			t.Errorf("%s: %d cues (-want +got):\n%s", name, cues, diff)
		}
	}
}

// captioned makes a file with captions and chapters.
func captioned(t *testing.T, name string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	srt, meta := filepath.Join(dir, "a.srt"), filepath.Join(dir, "a.txt")
	for path, text := range map[string]string{
		srt:  "1\n00:00:01,000 --> 00:00:03,000\n<i>Grüße</i>\n\n2\n00:00:05,000 --> 00:00:07,500\nTschüs\n",
		meta: ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=4000\ntitle=One \"q\"\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=4000\nEND=90000\ntitle=\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, name)
	runFFmpeg(t, append(append([]string{
		"-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=8", "-i", srt, "-i", srt, "-i", meta, "-map", "0", "-map", "1", "-map", "2",
		"-map_metadata", "3", "-c:v", "libx264", "-preset", "ultrafast", "-metadata:s:s:0", "language=ger", "-metadata:s:s:1", "language=ger",
		"-metadata:s:s:1", "title=Für \"alle\"",
	}, args...), path)...)
	return path
}

func TestCaptionsAndChaptersAreFoundInTheSource(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for name, path := range map[string]string{
		"subrip and ass": captioned(t, "a.mkv", "-c:s:0", "subrip", "-c:s:1", "ass"),
		"mov_text":       captioned(t, "b.mp4", "-c:s", "mov_text"),
		"webvtt":         captioned(t, "c.mkv", "-c:s", "webvtt"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, err := e.Inspect(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if len(info.Captions) != 2 || info.Captions[0].Language != "de" {
				t.Fatalf("captions %+v", info.Captions)
			}
			want := []domain.Chapter{{Title: `One "q"`, Start: 0, End: 4}, {Title: "Chapter 2", Start: 4, End: info.Duration}}
			if diff := cmp.Diff(want, info.Chapters); diff != "" {
				t.Errorf("chapters (-want +got):\n%s", diff)
			}
			tracks, err := e.ReadCaptions(t.Context(), path, info)
			if err != nil || len(tracks) != 2 {
				t.Fatalf("%d tracks, %v", len(tracks), err)
			}
			for _, track := range tracks {
				const cues = "\n00:00:01.000 --> 00:00:03.000\nGrüße\n\n00:00:05.000 --> 00:00:07.500\nTschüs\n"
				if diff := cmp.Diff(vttHead+cues, string(track.Text)); diff != "" {
					t.Errorf("track %d (-want +got):\n%s", track.Info.Track, diff)
				}
			}
		})
	}
}

func TestCaptionsOfARealFile(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("CINELOG_TEST_MEDIA")
	if dir == "" {
		t.Skip("CINELOG_TEST_MEDIA names no folder of real files")
	}
	e := newEncoder(t, ffmpeg.Options{})
	path := filepath.Join(dir, "ax-sample_with_srt.mkv")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	tracks, err := e.ReadCaptions(t.Context(), path, info)
	if err != nil || len(tracks) == 0 {
		t.Fatalf("%d tracks of %+v, %v", len(tracks), info.Captions, err)
	}
	if n := strings.Count(string(tracks[0].Text), " --> "); n == 0 || strings.ContainsRune(string(tracks[0].Text), '<') {
		t.Errorf("%d cues:\n%.300s", n, tracks[0].Text)
	}
}
