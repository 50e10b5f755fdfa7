package projections_test

import (
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func TestHowLongAnEncodeWillTake(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	half := projections.Video{Attempt: 1, FramesDone: 500, FramesPlanned: 2000, WorkBegan: began, WorkAt: began.Add(10 * time.Second)}
	begun, failed, done, kept, all := half, half, half, half, half
	kept.FramesKept, all.FramesKept = 250, 500
	begun.FramesDone = 0
	failed.Failure = &domain.Failure{}
	done.Serving = 1
	for name, c := range map[string]struct {
		video projections.Video
		after time.Duration
		want  time.Duration // 0: unknown
	}{
		"a quarter in 10 s":       {half, 10 * time.Second, 30 * time.Second},
		"12 s later":              {half, 22 * time.Second, 18 * time.Second},
		"later than was reckoned": {half, time.Hour, time.Second},
		"a clock that went back":  {half, -time.Hour, 30 * time.Second},
		"half of it was kept":     {kept, 10 * time.Second, 60 * time.Second},
		"all of it was kept":      {all, 10 * time.Second, 0},
		"nothing is done":         {begun, 10 * time.Second, 0},
		"it failed":               {failed, 10 * time.Second, 0},
		"it is done":              {done, 10 * time.Second, 0},
	} {
		left, known := c.video.Left(began.Add(c.after))
		if left != c.want || known != (c.want > 0) {
			t.Errorf("%s: %s left, known %t, want %s", name, left, known, c.want)
		}
	}
}

// What was made while the upload went on was made before the work that the time is taken of: the rest of a film that took an
// hour to send is not there in a moment.
func TestWhatWasMadeAheadSaysNothingOfTheTimeLeft(t *testing.T) {
	t.Parallel()
	info := domain.SourceInfo{Width: 426, Height: 240, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 1000, Duration: 40}
	uploaded := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	chunk := func(n int, seconds float64) domain.ChunkTranscoded {
		return domain.ChunkTranscoded{Attempt: 1, Chunk: n, Renditions: []domain.RenditionChunk{
			{Name: "240p", Segments: []domain.Segment{{Duration: seconds}}},
		}}
	}
	var events []domain.Recorded
	add := func(at time.Time, es ...domain.Event) {
		for _, e := range es {
			n := len(events) + 1
			events = append(events, domain.Recorded{Stream: "v", Version: n, Position: domain.Position(n), Time: at, Event: e})
		}
	}
	add(uploaded.Add(-time.Hour), domain.VideoCreated{})
	add(uploaded, domain.VideoUploaded{Attempt: 1}, domain.SourceInspected{Attempt: 1, Source: info},
		domain.TranscodePlanned{Attempt: 1, Plan: domain.PlanTranscode(info)}, chunk(0, 2), chunk(1, 18))
	if v := projections.FoldVideo(events); v.FramesDone != 500 {
		t.Fatalf("%d frames are done", v.FramesDone)
	} else if left, known := v.Left(uploaded.Add(time.Second)); known {
		t.Errorf("%s left, before anything was made since the upload", left)
	}
	add(uploaded.Add(10*time.Second), chunk(2, 4))
	v := projections.FoldVideo(events)
	if left, _ := v.Left(uploaded.Add(10 * time.Second)); left != 40*time.Second {
		t.Errorf("%s left of 16 s, when 4 s took 10 s", left)
	}
}
