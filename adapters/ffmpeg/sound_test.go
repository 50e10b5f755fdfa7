package ffmpeg_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// withTracks makes a file of pictures and so many tracks of sound, each a tone of its own.
func withTracks(t *testing.T, file string, tracks int, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	all := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=3"}
	for i := range tracks {
		all = append(all, "-f", "lavfi", "-i", fmt.Sprintf("sine=f=%d:d=3:r=48000", 300+100*i))
	}
	for i := range tracks + 1 {
		all = append(all, "-map", strconv.Itoa(i))
	}
	runFFmpeg(t, append(append(append(all, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"), args...), path)...)
	return path
}

func TestAllTracksOfSoundAreListed(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	aac := func(track int, language, title string, kind domain.AudioKind) domain.AudioInfo {
		return domain.AudioInfo{
			Track: track, Codec: "aac", Channels: 1, SampleRate: 48_000, Language: language, Title: title, Kind: kind,
		}
	}
	for name, c := range map[string]struct {
		path string
		want []domain.AudioInfo
	}{
		"languages, titles and kinds": {
			withTracks(t, "a.mkv", 4, "-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=English", "-metadata:s:a:1", "language=ger",
				"-metadata:s:a:2", "title=The director", "-metadata:s:a:2", "language=eng", "-disposition:a:2", "comment", "-disposition:a:3", "visual_impaired"),
			[]domain.AudioInfo{
				aac(1, "en", "English", ""), aac(2, "de", "", ""), aac(3, "en", "The director", domain.Commentary),
				aac(4, "", "", domain.Description),
			},
		},
		"players begin with the default": {
			withTracks(t, "a.mkv", 3, "-disposition:a:0", "0", "-disposition:a:1", "0", "-disposition:a:2", "default"),
			[]domain.AudioInfo{aac(3, "", "", ""), aac(1, "", "", ""), aac(2, "", "", "")},
		},
		"but not with a talk about the video": {
			withTracks(t, "a.mkv", 2, "-disposition:a:0", "default+comment", "-disposition:a:1", "0"),
			[]domain.AudioInfo{aac(2, "", "", ""), aac(1, "", "", domain.Commentary)},
		},
		"names of handlers that somebody gave": {
			withTracks(t, "a.mp4", 3, "-metadata:s:a:0", "language=fre", "-metadata:s:a:1", "handler_name=Regie", "-metadata:s:a:2", "handler_name=Core Media Audio"),
			[]domain.AudioInfo{aac(1, "fr", "", ""), aac(2, "", "Regie", ""), aac(3, "", "", "")},
		},
		"hostile words": {
			withTracks(t, "a.mkv", 2, "-metadata:s:a:0", "title=a\"b\nc,DEFAULT=YES\x07", "-metadata:s:a:0", "language=e\"n\n",
				"-metadata:s:a:1", "title=\xff\xfe"+strings.Repeat("x", 10_000), "-metadata:s:a:1", "language="+strings.Repeat("en", 5_000)),
			[]domain.AudioInfo{aac(1, "", `a"b c,DEFAULT=YES`, ""), aac(2, "", "\uFFFD\uFFFD"+strings.Repeat("x", domain.MaxLabel-2), "")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, err := e.Inspect(t.Context(), c.path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, info.AudioTracks()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfManyTracksOfSoundSomeAreTaken(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := withTracks(t, "a.mkv", 64)
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(info.AudioTracks()); n != domain.MaxAudio {
		t.Fatalf("%d tracks", n)
	}
	last := domain.MaxAudio - 1
	r := newRecorder()
	job := commands.AudioJob{Path: path, Source: info, Plan: domain.PlanTranscode(info), Track: last}
	if err := e.EncodeAudio(t.Context(), job, r); err != nil {
		t.Fatal(err)
	}
	if name := domain.AudioName(last); len(r.segments[name]) == 0 || !r.segments[name][len(r.segments[name])-1].Last {
		t.Errorf("of %s came %d segments", name, len(r.segments[name]))
	}
	job.Track = domain.MaxAudio
	if err := e.EncodeAudio(t.Context(), job, newRecorder()); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a track that is not in the plan: %v", err)
	}
}

// An inspection of before there were several tracks does not say which it took: it was the first of the file.
func TestAnOldInspectionMeansTheFirstTrack(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := withTracks(t, "a.mkv", 2, "-disposition:a:0", "0", "-disposition:a:1", "default")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	info.Audio.Track, info.MoreAudio = 0, nil
	r := newRecorder()
	if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: domain.PlanTranscode(info)}, r); err != nil {
		t.Fatal(err)
	}
	if got := pitch(t, r.file(t, "audio")); math.Abs(got-300) > 20 {
		t.Errorf("a tone of %.0f Hz was encoded, not the first track's of 300", got)
	}
}

// pitch counts how often a tone crosses zero.
func pitch(t *testing.T, path string) float64 {
	t.Helper()
	var rates []float64
	first(t, "lavfi.astats.1.Zero_crossings_rate=", func(v float64) bool { rates = append(rates, v); return len(rates) > 50 },
		runFFmpeg(t, "-v", "error", "-i", path, "-af",
			"asetnsamples=1024,astats=metadata=1:reset=1:measure_perchannel=Zero_crossings_rate:measure_overall=none,ametadata=print:file=-", "-f", "null", "-"))
	slices.Sort(rates)
	return rates[len(rates)/2] * 48_000 / 2
}

// A track that no decoder takes is a fault of the source, and of that track alone.
func TestATrackThatCannotBeDecodedIsRefusedAlone(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	bad := withTracks(t, "a.mkv", 2, "-c:a:1", "pcm_s16le", "-filter:a:1", "volume=0")
	file, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	file = bytes.Replace(file, []byte("A_PCM/INT/LIT"), []byte("A_AC3\x00\x00\x00\x00\x00\x00\x00\x00"), 1) // which never is all zeros
	if err := os.WriteFile(bad, file, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := e.Inspect(t.Context(), bad)
	if err != nil {
		t.Fatal(err)
	}
	plan := domain.PlanTranscode(info)
	if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: bad, Source: info, Plan: plan}, newRecorder()); err != nil {
		t.Errorf("the good one: %v", err)
	}
	r := newRecorder()
	err = e.EncodeAudio(t.Context(), commands.AudioJob{Path: bad, Source: info, Plan: plan, Track: 1}, r)
	if f, ok := errors.AsType[*domain.Failure](err); !ok || f.Code != domain.Malformed {
		t.Errorf("the bad one: %v", err)
	}
	if slices.ContainsFunc(r.segments["audio-2"], func(s commands.MediaSegment) bool { return s.Last }) {
		t.Error("silence was handed out as if it were all of the track")
	}
}

// Each track of sound keeps its place beside the pictures, also where it begins later or ends before them.
func TestTracksOfSoundStayInTheirPlaces(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	const picture = "color=black:s=320x180:r=25:d=9,drawbox=c=white:t=fill:enable='between(n,50,54)'"
	beep := func(at, lasts float64) string {
		return fmt.Sprintf("aevalsrc='if(between(t,%g,%g),sin(2*PI*1000*t),0)':s=44100:d=%g", at, at+0.2, lasts)
	}
	for name, file := range map[string]string{"mp4": "a.mp4", "mov": "a.mov", "mkv": "a.mkv", "ts": "a.ts"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), file)
			runFFmpeg(t, "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", beep(2, 9),
				"-itsoffset", "0.7", "-f", "lavfi", "-i", beep(2, 6), "-f", "lavfi", "-i", beep(2, 3),
				"-map", "0", "-map", "1", "-map", "2", "-map", "3", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger",
				"-metadata:s:a:2", "language=fra", "-c:v", "libx264", "-bf", "3", "-g", "50", "-c:a", "aac", path)
			info, err := e.Inspect(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			plan := domain.PlanTranscode(info)
			flash := 0.0
			if r := remuxed(t, e, path, info, plan); plan.Remuxed() != nil {
				flash = flashAt(t, r.file(t, domain.RemuxName))
			}
			total := plan.FrameRate.Seconds(plan.Frames)
			for track, want := range []struct {
				language string
				beep     float64
			}{{"en", 2}, {"de", 2.7}, {"fr", 2}} {
				if got := plan.AudioTracks()[track].Language; got != want.language {
					t.Errorf("track %d is in %q, not %q", track, got, want.language)
				}
				r := newRecorder()
				if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: plan, Track: track}, r); err != nil {
					t.Fatal(err)
				}
				name, lasts := domain.AudioName(track), 0.0
				for _, s := range r.segments[name] {
					lasts += s.Duration
				}
				if heard := beepAt(t, r.file(t, name)); math.Abs(heard-flash-(want.beep-2)) > 0.04 || math.Abs(lasts-total) > 0.05 {
					t.Errorf("%s: the beep is at %.3f s, the flash at %.3f s; it lasts %.3f of %.3f s", want.language, heard, flash, lasts, total)
				}
			}
		})
	}
}

// Where the sound goes on for long, the picture may end within the first chunk.
func TestAPictureThatEndsInTheFirstChunk(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=160x90:r=25:d=1", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac") // with 10 s of sound
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := domain.PlanTranscode(info)
	if len(plan.Chunks) < 2 {
		t.Fatalf("too few chunks to show anything: %+v", plan)
	}
	checkTimes(t, encodeAll(t, e, path, info, plan).file(t, plan.Rungs[0].Name), plan)
}
