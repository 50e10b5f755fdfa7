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
