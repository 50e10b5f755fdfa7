package ffmpeg_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// smallPlan is the plan of a source with small rungs and chunks of one segment, to keep the tests quick. As in every plan,
// the last one is not so short that the picture may have ended before it.
func smallPlan(s domain.SourceInfo) domain.Plan {
	p := domain.Encoding{Remux: domain.RemuxNever}.Plan(s)
	p.Rungs = []domain.Rung{{Name: "180p", Width: 320, Height: 180, MaxRate: 800_000}, {Name: "90p", Width: 160, Height: 90, MaxRate: 300_000}}
	p.Chunks = nil
	for start := 0; start < p.Frames; start = p.SegmentEnd(start) {
		p.Chunks = append(p.Chunks, domain.Chunk{Start: start, Frames: p.SegmentEnd(start) - start})
	}
	if n := len(p.Chunks); n > 2 && p.Chunks[n-1].Frames < p.GOP {
		p.Chunks[n-2].Frames += p.Chunks[n-1].Frames
		p.Chunks = p.Chunks[:n-1]
	}
	return p
}

func encodeAll(t *testing.T, e *ffmpeg.Encoder, path string, s domain.SourceInfo, p domain.Plan) *recorder {
	t.Helper()
	return encodeChunks(t, e, path, s, p, len(p.Chunks))
}

// encodeChunks encodes the first n chunks of a plan.
func encodeChunks(t *testing.T, e *ffmpeg.Encoder, path string, s domain.SourceInfo, p domain.Plan, n int) *recorder {
	t.Helper()
	all := newRecorder()
	for i, c := range p.Chunks[:n] {
		r := newRecorder()
		// The number of threads differs on purpose: it must not show.
		job := commands.ChunkJob{Path: path, Source: s, Plan: p, Chunk: i, Poster: i == 0, Threads: i % 3}
		if err := e.EncodeChunk(t.Context(), job, r); err != nil {
			t.Fatal(err)
		}
		for name, init := range r.inits {
			if all.inits[name] == nil {
				all.inits[name] = init
			}
			if !bytes.Equal(all.inits[name], init) {
				t.Errorf("%s: chunk %d has another init segment than chunk 0", name, i)
			}
			if got, want := len(r.segments[name]), p.Segments(c); got != want || !r.segments[name][got-1].Last {
				t.Errorf("%s, chunk %d: %d segments, the plan says %d", name, i, got, want)
			}
			all.segments[name] = append(all.segments[name], r.segments[name]...)
		}
		if i == 0 {
			all.codecs, all.poster = r.codecs, r.poster
		}
	}
	return all
}

// Joined chunks must be the same film as one encode of the whole: frame by frame in time, and to the eye.
func TestChunksJoinExactly(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac"}
	for name, path := range map[string]string{
		"cfr 29.97":   clip(t, "a.mp4", "testsrc2=s=320x180:r=30000/1001:d=10", append(x264, "-g", "70")...),
		"cfr 25, mkv": clip(t, "b.mkv", "testsrc2=s=320x180:r=25:d=9.4", append(x264, "-g", "250")...),
		"vfr": clip(t, "c.mp4", "testsrc2=s=320x180:r=30:d=10,select=not(mod(n\\,7))+not(mod(n\\,3))*lt(n\\,150)",
			append(x264, "-vsync", "vfr", "-g", "20")...),
		"not sought": clip(t, "d.ts", "testsrc2=s=320x180:r=25:d=9.4", append(x264, "-g", "50")...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, err := e.Inspect(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if (info.NoSeek != "") != (name == "not sought") {
				t.Fatalf("why it is not sought: %q", info.NoSeek)
			}
			plan := smallPlan(info)
			plan.Profile = domain.Balanced // the fast one spends less on the first chunk
			if len(plan.Chunks) < 3 {
				t.Fatalf("too few chunks to show anything: %+v", plan)
			}
			whole := plan
			whole.Chunks = []domain.Chunk{{Frames: plan.Frames}}
			joined, single := encodeAll(t, e, path, info, plan), encodeAll(t, e, path, info, whole)
			for _, rung := range plan.Rungs {
				a, b := joined.file(t, rung.Name), single.file(t, rung.Name)
				checkTimes(t, a, plan)
				if s := ssim(t, a, b); s < 0.97 {
					t.Errorf("%s: SSIM of chunks and whole is %.4f", rung.Name, s)
				}
				if got := joined.codecs[rung.Name]; !strings.HasPrefix(got, "avc1.6400") {
					t.Errorf("%s: codecs %q", rung.Name, got)
				}
				for _, s := range joined.segments[rung.Name] {
					checkKeyframes(t, s, plan)
				}
			}
			if p := joined.poster; p == nil || !bytes.HasPrefix(p.Data, []byte{0xff, 0xd8}) || p.Width != 320 {
				t.Errorf("no poster: %+v", p)
			}
		})
	}
}

// checkTimes reads the file with another implementation than ours: every frame must be decoded and shown in its place.
func checkTimes(t *testing.T, path string, plan domain.Plan) {
	t.Helper()
	f, err := mp4.ReadMP4File(path)
	if err != nil {
		t.Fatal(err)
	}
	var shown []int
	at := 0
	for _, s := range f.Segments {
		for _, fragment := range s.Fragments {
			samples, err := fragment.GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			if got := int(fragment.Moof.Mfhd.SequenceNumber); got != at+1 {
				t.Errorf("the fragment at frame %d has number %d", at, got)
			}
			for _, sample := range samples {
				if int(sample.DecodeTime) != at*plan.FrameRate.Den {
					t.Fatalf("frame %d has decode time %d", at, sample.DecodeTime)
				}
				shown = append(shown, int(sample.DecodeTime)+int(sample.CompositionTimeOffset))
				at++
			}
		}
	}
	if at != plan.Frames {
		t.Errorf("%d frames, the plan has %d", at, plan.Frames)
	}
	slices.Sort(shown)
	for i, p := range shown {
		if p != i*plan.FrameRate.Den {
			t.Fatalf("frame %d is shown at %d", i, p)
		}
	}
}

func checkKeyframes(t *testing.T, s commands.MediaSegment, plan domain.Plan) {
	t.Helper()
	frames := int(math.Round(s.Duration * plan.FrameRate.Float()))
	if want := (frames + plan.GOP - 1) / plan.GOP; len(s.Keyframes) != want {
		t.Errorf("segment %d: %d keyframes in %d frames", s.Index, len(s.Keyframes), frames)
	}
	for i, k := range s.Keyframes {
		if string(s.Data[k.Offset+4:k.Offset+8]) != "moof" || k.Offset+k.Length > int64(len(s.Data)) || k.Time != plan.FrameRate.Seconds(i*plan.GOP) {
			t.Errorf("segment %d: keyframe %+v", s.Index, k)
		}
	}
}

// ssim compares frame by frame and returns the worst one: a frame out of place is far below the rest.
func ssim(t *testing.T, a, b string) float64 {
	t.Helper()
	lines := runFFmpeg(t, "-v", "error", "-i", a, "-i", b, "-filter_complex", "[0:v][1:v]ssim=stats_file=-", "-f", "null", "-")
	worst := 1.0
	for _, l := range lines {
		if _, all, ok := strings.Cut(l, "All:"); ok {
			v, err := strconv.ParseFloat(strings.Fields(all)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			worst = min(worst, v)
		}
	}
	if len(lines) == 0 {
		t.Fatal("ssim said nothing")
	}
	return worst
}

func TestAudioComesInSegmentsOnTheGrid(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=160x90:r=25:d=10", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := smallPlan(info)
	r := newRecorder()
	if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: plan}, r); err != nil {
		t.Fatal(err)
	}
	if r.codecs["audio"] != "mp4a.40.2" {
		t.Errorf("codecs %q", r.codecs["audio"])
	}
	at, frame := 0.0, 0
	for i, s := range r.segments["audio"] {
		off := math.Abs(at - plan.FrameRate.Seconds(frame))
		frame = plan.SegmentEnd(frame)
		if off > 1024.0/48000 {
			t.Errorf("segment %d begins %.4f s beside the grid", i, off)
		}
		at += s.Duration
	}
	want := plan.FrameRate.Seconds(plan.Frames)
	if math.Abs(at-want) > 0.05 || !r.segments["audio"][len(r.segments["audio"])-1].Last {
		t.Errorf("%d segments of %.3f s, wanted %.3f s", len(r.segments["audio"]), at, want)
	}
	if lines := runFFmpeg(t, "-v", "error", "-xerror", "-i", r.file(t, "audio"), "-f", "null", "-"); len(lines) > 0 {
		t.Errorf("it does not decode: %v", lines)
	}
}

func TestAnOutputThatFailsEndsTheEncode(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=160x90:r=25:d=3", "-c:v", "libx264", "-preset", "ultrafast", "-an")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	r.fail = domain.ErrUnavailable
	err = e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: smallPlan(info)}, r)
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
}

// panics is an Output that stands for a mistake in reading what comes.
type panics struct{ *recorder }

func (panics) Init(context.Context, string, string, []byte) error { panic("a mistake") }

// What FFmpeg says of an encode that it cannot begin is not lost.
func TestAnEncodeThatDoesNotBeginSaysWhy(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=320x180:r=25:d=1")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := smallPlan(info)
	plan.Rungs[0].Width = 321
	err = e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: plan}, newRecorder())
	if err == nil || !strings.Contains(err.Error(), "width not divisible by 2") {
		t.Error(err)
	}
}

// What is read in a goroutine of its own would take the whole process down with it.
func TestAMistakeCostsOneEncodeOnly(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=160x90:r=25:d=1", "-c:v", "libx264", "-preset", "ultrafast", "-an")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	err = e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: smallPlan(info)}, panics{newRecorder()})
	if err == nil || !strings.Contains(err.Error(), "a mistake") {
		t.Fatalf("got %v", err)
	}
}
