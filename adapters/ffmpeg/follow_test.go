package ffmpeg_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// trickle is a source that arrives as late as it may: bytes come when somebody waits for them, and not before.
type trickle struct {
	t       *testing.T
	path    string
	content []byte
	end     int // of what ever arrives

	mu   sync.Mutex
	sent int
}

var errCutOff = errors.New("the sender is gone")

func newTrickle(t *testing.T, source string) *trickle {
	t.Helper()
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	tr := &trickle{t: t, path: filepath.Join(t.TempDir(), "arriving"), content: content, end: len(content)}
	if err := os.WriteFile(tr.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return tr
}

// arriving says what the whole of a source is, and lets it arrive.
func arriving(t *testing.T, e *ffmpeg.Encoder, path string) (whole domain.SourceInfo, tr *trickle) {
	t.Helper()
	whole, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	tr = newTrickle(t, path)
	t.Cleanup(e.Follow(tr.path, tr))
	return whole, tr
}

func (tr *trickle) Total() int64 { return int64(len(tr.content)) }

func (tr *trickle) Wait(ctx context.Context, n int64) (int64, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if n == int64(tr.sent)+1 { // somebody who reads on and on
		n += 16 << 10
	}
	if n := min(int(n), tr.end); n > tr.sent {
		f, err := os.OpenFile(tr.path, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.Write(tr.content[tr.sent:n])
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return 0, err
		}
		tr.sent = n
	}
	if tr.sent == tr.end && n > int64(tr.sent) && tr.sent < len(tr.content) {
		return int64(tr.sent), errCutOff
	}
	return int64(tr.sent), ctx.Err()
}

// What is made of a source that is still arriving must be what would be made of it later, to the byte.
func TestWhatIsMadeAheadIsWhatTheWholeFileGives(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	x264 := []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-c:a", "aac", "-movflags", "+faststart"}
	for name, path := range map[string]string{
		"b-frames": clip(t, "a.mp4", "testsrc2=s=320x180:r=30000/1001:d=20", append(x264, "-bf", "3", "-g", "45")...),
		"variable": clip(t, "b.mp4", "testsrc2=s=320x180:r=30:d=20,select=not(mod(n\\,7))+not(mod(n\\,3))*lt(n\\,300)",
			append(x264, "-vsync", "vfr", "-g", "20")...),
		"QuickTime, encoded": clip(t, "c.mov", "testsrc2=s=320x180:r=25:d=20", "-c:v", "mpeg4", "-g", "50", "-movflags", "+faststart"),
		"long GOPs":          clip(t, "d.mp4", "testsrc2=s=320x180:r=25:d=20", append(x264, "-bf", "2", "-g", "600")...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, source := arriving(t, e, path)
			ahead, err := e.Inspect(t.Context(), source.path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(info, ahead); diff != "" {
				t.Errorf("of the whole file (-) and ahead (+):\n%s", diff)
			}
			if source.sent > len(source.content)*3/4 {
				t.Errorf("%d of %d bytes were needed to inspect it", source.sent, len(source.content))
			}
			plan := smallPlan(info)
			for chunk := range plan.Chunks[:2] {
				a, b := newRecorder(), newRecorder()
				job := commands.ChunkJob{Path: path, Source: info, Plan: plan, Chunk: chunk, Threads: 1}
				if err := e.EncodeChunk(t.Context(), job, a); err != nil {
					t.Fatal(err)
				}
				job.Path = source.path
				needed, err := e.Needed(t.Context(), job)
				if err != nil || needed <= 0 {
					t.Fatalf("chunk %d needs %d bytes: %v", chunk, needed, err)
				}
				if err := e.EncodeChunk(t.Context(), job, b); err != nil {
					t.Fatalf("chunk %d with %d of %d bytes: %v", chunk, source.sent, len(source.content), err)
				}
				same(t, a, b)
			}
			if source.sent == len(source.content) {
				t.Error("all of the file was needed for the first chunks")
			}
			if info.Audio != nil {
				a, b := newRecorder(), newRecorder()
				if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: plan}, a); err != nil {
					t.Fatal(err)
				}
				if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: source.path, Source: info, Plan: plan}, b); err != nil {
					t.Fatal(err)
				}
				same(t, a, b)
			}
			if plan := domain.PlanTranscode(info); plan.Remuxed() != nil {
				source := newTrickle(t, path)
				defer e.Follow(source.path, source)()
				a, b := newRecorder(), newRecorder()
				if err := e.Remux(t.Context(), commands.RemuxJob{Path: path, Source: info, Plan: plan}, a); err != nil {
					t.Fatal(err)
				}
				if err := e.Remux(t.Context(), commands.RemuxJob{Path: source.path, Source: info, Plan: plan}, b); err != nil {
					t.Fatal(err)
				}
				same(t, a, b)
			}
		})
	}
}

// same fails when two recordings differ.
func same(t *testing.T, a, b *recorder) {
	t.Helper()
	if len(a.segments) == 0 {
		t.Error("there is nothing to compare")
	}
	if diff := cmp.Diff(a.codecs, b.codecs); diff != "" {
		t.Error(diff)
	}
	for name, init := range a.inits {
		if !bytes.Equal(init, b.inits[name]) {
			t.Errorf("%s: the init segments differ", name)
		}
	}
	for name, segments := range a.segments {
		if len(segments) != len(b.segments[name]) {
			t.Errorf("%s: %d segments, %d ahead", name, len(segments), len(b.segments[name]))
			continue
		}
		for i, s := range segments {
			if !bytes.Equal(s.Data, b.segments[name][i].Data) || s.Duration != b.segments[name][i].Duration {
				t.Errorf("%s: segment %d differs", name, i)
			}
		}
	}
}

// A source without a table of samples is inspected when its last byte is there, and what is watched first is made before.
func TestTheBeginningOfWhatHasNoTable(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	// Noise, because what is looked at grows by the byte.
	const source = "testsrc2=s=320x180:r=25:d=30,noise=alls=40:allf=t"
	for name, path := range map[string]string{
		"matroska":  clip(t, "a.mkv", source, "-c:v", "mpeg4", "-q:v", "3", "-g", "50", "-c:a", "aac"),
		"webm":      clip(t, "b.webm", source, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", "-c:a", "libopus"),
		"transport": clip(t, "c.ts", source, "-c:v", "mpeg2video", "-q:v", "3", "-c:a", "mp2"),
		"fragments": clip(t, "d.mp4", source, "-c:v", "mpeg4", "-q:v", "3", "-g", "50", "-movflags", "+frag_keyframe+empty_moov"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, tr := arriving(t, e, path)
			begins, err := e.Foresee(t.Context(), tr.path)
			if err != nil {
				t.Fatal(err)
			}
			if tr.sent > len(tr.content)*3/4 {
				t.Errorf("%d of %d bytes were needed", tr.sent, len(tr.content))
			}
			plan, guess := domain.Encoding{Remux: domain.RemuxNever}.Plan(info), domain.Encoding{Remux: domain.RemuxNever}.Plan(begins)
			if !begins.BeginsLike(info) || !guess.BeginsLike(plan) {
				t.Fatalf("expected was %+v, it became %+v", begins, info)
			}
			a, b := newRecorder(), newRecorder()
			if err := e.EncodeChunk(t.Context(), commands.ChunkJob{Path: tr.path, Source: begins, Plan: guess, Threads: 1}, b); err != nil {
				t.Fatal(err)
			}
			if tr.sent > len(tr.content)*3/4 {
				t.Errorf("%d of %d bytes were needed for the first chunk", tr.sent, len(tr.content))
			}
			if err := e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: plan, Threads: 1}, a); err != nil {
				t.Fatal(err)
			}
			same(t, a, b)
			if begins.Audio == nil || !begins.Audio.Equal(*info.Audio) {
				t.Fatalf("expected was the sound %+v, it became %+v", begins.Audio, info.Audio)
			}
			a, b = newRecorder(), newRecorder()
			guess.Frames = 175 // 7 s
			if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: tr.path, Source: begins, Plan: guess}, b); err != nil {
				t.Fatal(err)
			}
			if tr.sent > len(tr.content)*3/4 {
				t.Errorf("%d of %d bytes were needed for the first sound", tr.sent, len(tr.content))
			}
			if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: plan}, a); err != nil {
				t.Fatal(err)
			}
			first := len(b.segments["audio"]) - 1 // the last of them is not the last of all
			if first < 2 {
				t.Errorf("%d segments of sound were made before", first)
			}
			a.segments["audio"], b.segments["audio"] = a.segments["audio"][:first], b.segments["audio"][:first]
			same(t, a, b)
			ahead, err := e.Inspect(t.Context(), tr.path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(info, ahead); diff != "" {
				t.Errorf("of the whole file (-) and ahead (+):\n%s", diff)
			}
		})
	}
}

// enough takes so many segments and no more.
type enough struct {
	*recorder

	rendition string
	segments  int
}

func (r enough) Segment(ctx context.Context, rendition string, s commands.MediaSegment) error {
	if err := r.recorder.Segment(ctx, rendition, s); err != nil {
		return err
	}
	if len(r.recorder.segments[r.rendition]) == r.segments {
		return errors.New("that is enough")
	}
	return nil
}

// The source's own pictures begin as they do in the remux of all of it, also where its keyframes are far apart.
func TestTheBeginningOfPicturesThatAreServedAsTheyAre(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	x264 := func(name, gop string, more ...string) string {
		const source = "testsrc2=s=320x180:r=25:d=30,noise=alls=40:allf=t"
		return clip(t, name, source, append([]string{
			"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-c:a", "aac",
		}, more...)...)
	}
	for name, path := range map[string]string{
		"matroska":      x264("a.mkv", "50"),
		"transport":     x264("b.ts", "50"),
		"fragments":     x264("c.mp4", "50", "-movflags", "+frag_keyframe+empty_moov"),
		"far keyframes": x264("d.mkv", "200"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, tr := arriving(t, e, path)
			begins, err := e.Foresee(t.Context(), tr.path)
			if err != nil {
				t.Fatal(err)
			}
			plan, guess := domain.PlanTranscode(info), domain.PlanTranscode(begins)
			if plan.Remuxed() == nil || !begins.BeginsLike(info) || !guess.BeginsLike(plan) {
				t.Fatalf("expected was %+v, it became %+v", begins, info)
			}
			whole, first := newRecorder(), enough{newRecorder(), domain.RemuxName, len(guess.Starts) - 1}
			if err := e.Remux(t.Context(), commands.RemuxJob{Path: tr.path, Source: begins, Plan: guess}, first); err == nil {
				t.Error("it went on when there was enough")
			}
			if tr.sent > len(tr.content)*3/4 {
				t.Errorf("%d of %d bytes were needed", tr.sent, len(tr.content))
			}
			if err := e.Remux(t.Context(), commands.RemuxJob{Path: path, Source: info, Plan: plan}, whole); err != nil {
				t.Fatal(err)
			}
			// What comes later is played with the initialization segment of the beginning, which may differ by a bit rate that
			// is only known of a whole file.
			joined := newRecorder()
			joined.inits, joined.segments = first.inits, maps.Clone(whole.segments)
			if said := runFFmpeg(t, "-v", "error", "-i", "file:"+joined.file(t, domain.RemuxName), "-f", "null", "-"); len(said) > 0 {
				t.Error(said)
			}
			whole.inits = first.inits
			whole.segments[domain.RemuxName] = whole.segments[domain.RemuxName][:first.segments]
			same(t, whole, first.recorder)
		})
	}
}

func TestSourcesThatMustBeWholeAreNotWorkedOnAhead(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	const source = "testsrc2=s=320x180:r=25:d=12"
	x264 := []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast"}
	cut := clip(t, "cut.mp4", source, append(x264, "-movflags", "+faststart")...)
	for name, path := range map[string]string{
		"table at the end": clip(t, "a.mp4", source, x264...),
		"no video":         titled(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTrickle(t, path)
			if name == "no video" {
				tr.content = bytes.Repeat([]byte("no video at all "), 1000)
				tr.end = len(tr.content)
			}
			defer e.Follow(tr.path, tr)()
			if _, err := e.Inspect(t.Context(), tr.path); !errors.Is(err, commands.ErrNotAhead) {
				t.Errorf("inspected ahead: %v", err)
			}
			if tr.sent > len(tr.content)/2 {
				t.Errorf("%d of %d bytes were waited for", tr.sent, len(tr.content))
			}
		})
	}
	t.Run("cut off", func(t *testing.T) {
		t.Parallel()
		info, err := e.Inspect(t.Context(), cut)
		if err != nil {
			t.Fatal(err)
		}
		plan := domain.PlanTranscode(info)
		tr := newTrickle(t, cut)
		tr.end = len(tr.content) * 4 / 5
		defer e.Follow(tr.path, tr)()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := e.Remux(ctx, commands.RemuxJob{Path: tr.path, Source: info, Plan: plan}, newRecorder()); !errors.Is(err, errCutOff) {
			t.Errorf("the remux of what is cut off ended with %v", err)
		}
		last := commands.ChunkJob{Path: tr.path, Source: info, Plan: plan, Chunk: len(plan.Chunks) - 1}
		if err := e.EncodeChunk(ctx, last, newRecorder()); !errors.Is(err, errCutOff) {
			t.Errorf("the last chunk of what is cut off ended with %v", err)
		}
	})
}

func TestRealFilesAhead(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	taken := 0
	for _, f := range shortFiles(t) {
		if f.expectation == "refuse" {
			continue
		}
		tr := newTrickle(t, f.path)
		done := e.Follow(tr.path, tr)
		ahead, err := e.Inspect(t.Context(), tr.path)
		done()
		if errors.Is(err, commands.ErrNotAhead) {
			continue
		}
		taken++
		info, whole := e.Inspect(t.Context(), f.path)
		if (err == nil) != (whole == nil) {
			t.Errorf("%s: ahead %v, of the whole file %v", f.name, err, whole)
		}
		if diff := cmp.Diff(info, ahead); diff != "" {
			t.Errorf("%s: of the whole file (-) and ahead (+):\n%s", f.name, diff)
		}
	}
	t.Logf("%d files can be worked on ahead", taken)
	if taken < 5 {
		t.Error("hardly any real file can be worked on ahead")
	}
}

// Of a source that is arriving the first half is measured, and no more is waited for.
func TestTheFirstHalfIsMeasuredAhead(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "color=gray:s=640x360:r=15:d=20,noise=alls=60:allf=t:enable=gte(t\\,12)", "-c:v", "libx264", "-pix_fmt", "yuv420p",
		"-preset", "ultrafast", "-crf", "30", "-g", "30", "-movflags", "+faststart")
	info, source := arriving(t, e, path)
	plan := domain.Encoding{Ladder: domain.LadderMeasured, Remux: domain.RemuxNever}.Plan(info)
	if _, err := e.Inspect(t.Context(), source.path); err != nil {
		t.Fatal(err)
	}
	rate := func(path string) int {
		c, err := e.Measure(t.Context(), commands.MeasureJob{Path: path, Source: info, Plan: plan})
		if err != nil || len(c.Rungs) != 2 {
			t.Fatalf("%+v, %v", c, err)
		}
		return c.Rungs[0].BitRate
	}
	ahead, whole := rate(source.path), rate(path)
	if source.sent > len(source.content)/2 { // the noise is nearly all of the file
		t.Errorf("%d of %d bytes were needed", source.sent, len(source.content))
	}
	if ahead <= 0 || ahead*10 > whole {
		t.Errorf("%d bit/s ahead, %d of the whole", ahead, whole)
	}
}
