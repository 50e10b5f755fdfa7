package projections_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

const played = domain.VideoID("01900000-0000-7000-8000-000000000001")

// playedBack folds events, each in a batch of its own, and asks what can be played.
type playedBack struct {
	t         *testing.T
	rows      *memory.Rows[projections.PlaybackRow]
	target    projections.Target
	playbacks projections.Playbacks
	at        domain.Position
}

func newPlayedBack(t *testing.T) *playedBack {
	t.Helper()
	rows := memory.NewRows[projections.PlaybackRow]()
	return &playedBack{
		t: t, rows: rows, target: projections.NewReadModel(projections.PlaybackModel(), rows),
		playbacks: projections.NewPlaybacks(rows),
	}
}

func (p *playedBack) given(events ...domain.Event) *playedBack {
	p.t.Helper()
	for _, e := range events {
		p.at++
		r := domain.Recorded{Position: p.at, Version: int(p.at), Stream: string(played), Event: e}
		if err := p.target.Apply(p.t.Context(), []domain.Recorded{r}); err != nil {
			p.t.Fatal(err)
		}
	}
	return p
}

func (p *playedBack) playable() projections.Playback {
	p.t.Helper()
	b, err := p.playbacks.Playback(p.t.Context(), played)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *playedBack) notPlayable(why string) {
	p.t.Helper()
	if b, err := p.playbacks.Playback(p.t.Context(), played); !errors.Is(err, domain.ErrNotFound) {
		p.t.Errorf("%s: %+v, %v, want ErrNotFound", why, b, err)
	}
}

func created(mode domain.PublishMode) domain.Event {
	return domain.VideoCreated{Publish: mode, PlaybackPolicy: domain.PlaybackPublic}
}

// planned has two rungs and chunks of 1, 2 and 1 segments of 4 s, the last of them short.
func planned(attempt int) domain.Event {
	return domain.TranscodePlanned{Attempt: attempt, Plan: domain.Plan{
		FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 350, GOP: 50, SegmentFrames: 100,
		Rungs: []domain.Rung{
			{Name: "720p", Width: 1280, Height: 720, MaxRate: 2_800_000},
			{Name: "240p", Width: 426, Height: 240, MaxRate: 400_000},
		},
		Chunks: []domain.Chunk{{Start: 0, Frames: 100}, {Start: 100, Frames: 200}, {Start: 300, Frames: 50}},
		Audio:  &domain.AudioPlan{BitRate: 128_000, Channels: 2, SampleRate: 48_000, Language: "en"},
	}}
}

func blobOf(attempt int, name string, size int64) domain.Blob {
	return domain.Blob{Key: fmt.Sprintf("media/v/a%d/%s", attempt, name), Bytes: size}
}

func chunkDone(attempt, chunk int) domain.Event {
	durations := [][]float64{{4}, {4, 4}, {2}}[chunk]
	e := domain.ChunkTranscoded{Attempt: attempt, Chunk: chunk}
	for _, r := range []struct {
		name, codecs string
		size         int64 // of a second
	}{{"720p", "avc1.64001f", 250_000}, {"240p", "avc1.640015", 40_000}} {
		dir := fmt.Sprintf("%d/%s/", chunk, r.name)
		c := domain.RenditionChunk{Name: r.name, Codecs: r.codecs, Init: blobOf(attempt, dir+"init.mp4", 800)}
		for i, d := range durations {
			size := int64(d) * r.size
			s := domain.Segment{Blob: blobOf(attempt, fmt.Sprintf("%s%05d.m4s", dir, i), size), Duration: d}
			for k := 0.0; k < d; k += 2 {
				s.Keyframes = append(s.Keyframes, domain.Keyframe{Offset: int64(k) * size / 4, Length: r.size / 4, Time: k})
			}
			c.Segments = append(c.Segments, s)
		}
		e.Renditions = append(e.Renditions, c)
	}
	return e
}

func audioDone(attempt, part int) domain.Event {
	e := domain.AudioTranscoded{
		Attempt: attempt, Part: part, Codecs: "mp4a.40.2", Final: part == 1, Init: blobOf(attempt, "audio/init.mp4", 700),
	}
	for i, d := range [][]float64{{4.01067}, {3.98933, 4.01067, 1.98933}}[part] {
		e.Segments = append(e.Segments, domain.Segment{Blob: blobOf(attempt, fmt.Sprintf("audio/%05d.m4s", 10*part+i), 64_000), Duration: d})
	}
	return e
}

func produced(attempt int) []domain.Event {
	return []domain.Event{
		domain.RenditionProduced{Attempt: attempt, Name: "720p"}, domain.RenditionProduced{Attempt: attempt, Name: "240p"},
	}
}

func whole(attempt int) []domain.Event {
	return append([]domain.Event{
		planned(attempt), chunkDone(attempt, 0), audioDone(attempt, 0), audioDone(attempt, 1), chunkDone(attempt, 2),
		chunkDone(attempt, 1),
		domain.PosterProduced{Attempt: attempt, Image: blobOf(attempt, "poster.jpg", 9)},
		domain.StoryboardProduced{Attempt: attempt, Image: blobOf(attempt, "storyboard.jpg", 9), Columns: 3, Rows: 3, Width: 160, Height: 90, Interval: 2},
		domain.PreviewProduced{Attempt: attempt, Image: blobOf(attempt, "preview.webp", 9)},
	}, produced(attempt)...)
}

func TestPlaybackGrowsWithoutAGap(t *testing.T) {
	t.Parallel()
	p := newPlayedBack(t)
	p.notPlayable("unknown")
	p.given(created(domain.PublishAuto))
	p.notPlayable("no source")
	p.given(domain.VideoUploaded{Attempt: 1}, planned(1), chunkDone(1, 0))
	p.notPlayable("no audio yet")
	segments := func(want int) projections.Playback {
		t.Helper()
		b := p.playable()
		for _, r := range b.Renditions {
			if len(r.Segments) != want {
				t.Errorf("%s has %d segments, want %d", r.Name, len(r.Segments), want)
			}
		}
		return b
	}
	p.given(audioDone(1, 0))
	if b := segments(1); b.Complete || b.Attempt != 1 || b.Duration != 14 || b.Poster != nil || len(b.Audio[0].Segments) != 1 {
		t.Errorf("after the first chunk: %+v", b)
	}
	p.given(chunkDone(1, 2))
	segments(1) // chunk 1 is missing
	p.given(chunkDone(1, 1), audioDone(1, 1))
	if b := segments(4); b.Complete {
		t.Error("complete before its renditions")
	}
	p.given(append(produced(1), domain.VideoPublished{})...)
	if b := segments(4); !b.Complete || b.Renditions[0].Codecs != "avc1.64001f" || len(b.Audio[0].Segments) != 4 {
		t.Errorf("complete: %+v", b)
	}
}

// A track that is gone on with by another worker has its initialization segment stored twice. What a player was told of it stays.
func TestAnotherTryOfATrackChangesNoInitializationSegment(t *testing.T) {
	t.Parallel()
	plan := planned(1).(domain.TranscodePlanned)
	plan.Plan.Rungs = append([]domain.Rung{{Name: domain.RemuxName, Width: 1280, Height: 720, MaxRate: 3_000_000, Remux: true}}, plan.Plan.Rungs[1])
	plan.Plan.Starts = []int{0, 100, 200, 300}
	sound, pictures := audioDone(1, 0).(domain.AudioTranscoded), domain.SourceRemuxed{
		Attempt: 1, Codecs: "avc1.64001f", Init: blobOf(1, "source/init.mp4", 800),
		Segments: []domain.Segment{{Blob: blobOf(1, "source/00000.m4s", 9), Duration: 4}},
	}
	p := newPlayedBack(t).given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1}, plan, sound, pictures)
	before := p.playable()
	sound, pictures = audioDone(1, 1).(domain.AudioTranscoded), domain.SourceRemuxed{
		Attempt: 1, Part: 1, Codecs: "avc1.64001f", Init: blobOf(1, "another/source/init.mp4", 800), Final: true,
		Segments: []domain.Segment{{Blob: blobOf(1, "source/00001.m4s", 9), Duration: 10}},
	}
	sound.Init = blobOf(1, "another/audio/init.mp4", 700)
	p.given(sound, pictures)
	after := p.playable()
	if a, b := before.Renditions[0], after.Renditions[0]; a.Init != b.Init || len(b.Segments) != 2 || !b.Ended {
		t.Errorf("of the pictures it was %v, it is %v", a.Init, b.Init)
	}
	if a, b := before.Audio[0], after.Audio[0]; a.Init != b.Init || len(b.Segments) != 4 || !b.Ended {
		t.Errorf("of the sound it was %v, it is %v", a.Init, b.Init)
	}
}

func TestPlaybackIsWithheld(t *testing.T) {
	t.Parallel()
	p := newPlayedBack(t).given(created(domain.PublishManual), domain.VideoUploaded{Attempt: 1}).given(whole(1)...)
	p.notPlayable("not published by hand yet")
	p.given(domain.VideoPublished{}, domain.PlaybackPolicyChanged{PlaybackPolicy: domain.PlaybackSigned})
	if b := p.playable(); b.PlaybackPolicy != domain.PlaybackSigned || b.Poster == nil {
		t.Errorf("published: %+v", b)
	}
	p.given(domain.VideoUnpublished{})
	p.notPlayable("unpublished")
	p.given(domain.VideoPublished{})
	p.playable()
	p.given(domain.VideoDeleted{})
	p.notPlayable("deleted")
	rows, err := p.rows.Scan(t.Context(), "")
	if err != nil || len(rows) > 0 {
		t.Errorf("a deleted video left %d rows, %v", len(rows), err)
	}
}

func TestPlaybackSwitchesToACompleteAttemptOnly(t *testing.T) {
	t.Parallel()
	p := newPlayedBack(t).given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1}).given(whole(1)...)
	p.given(domain.TranscodeRequested{Attempt: 2}, planned(2), chunkDone(2, 0), audioDone(2, 0))
	if b := p.playable(); b.Attempt != 1 || !b.Complete {
		t.Errorf("while attempt 2 is in work: attempt %d", b.Attempt)
	}
	p.given(domain.TranscodeFailed{Attempt: 2})
	if b := p.playable(); b.Attempt != 1 {
		t.Errorf("after attempt 2 failed: attempt %d", b.Attempt)
	}
	p.given(domain.TranscodeRequested{Attempt: 3}).given(whole(3)...)
	if b := p.playable(); b.Attempt != 3 || !b.Complete {
		t.Errorf("after attempt 3: attempt %d", b.Attempt)
	}
	rows, err := p.rows.Scan(t.Context(), "")
	if want := 1 + 1 + 3 + 2 + 3; err != nil || len(rows) != want { // header, plan, chunks, audio, images
		t.Errorf("%d rows, want those of attempt 3: %d; %v", len(rows), want, err)
	}
}

func TestPlaybackOfAFailedFirstAttempt(t *testing.T) {
	t.Parallel()
	p := newPlayedBack(t).given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1}, planned(1),
		chunkDone(1, 0), audioDone(1, 0), domain.TranscodeFailed{Attempt: 1})
	p.notPlayable("failed")
}
