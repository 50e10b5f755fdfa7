package domain_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

func TestLadderNeverGoesAboveTheSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		width, height int
		want          []string
	}{
		{"1080p", 1920, 1080, []string{"1080p 1920x1080", "720p 1280x720", "480p 854x480", "360p 640x360", "240p 426x240"}},
		{"portrait", 720, 1280, []string{"720p 720x1280", "480p 480x854", "360p 360x640", "240p 240x426"}},
		{"between two rungs", 642, 642, []string{"642p 642x642", "480p 480x480", "360p 360x360", "240p 240x240"}},
		{"nearly a rung", 856, 482, []string{"480p 852x480", "360p 640x360", "240p 426x240"}},
		{"below all", 161, 121, []string{"121p 162x122"}},
		{"one pixel", 1, 1, []string{"1p 2x2"}},
		{"8K", 7680, 4320, []string{
			"2160p 3840x2160", "1440p 2560x1440", "1080p 1920x1080", "720p 1280x720", "480p 854x480", "360p 640x360", "240p 426x240",
		}},
		{"a wide screen", 5120, 2160, []string{
			"1924p 4560x1924", "1440p 3414x1440", "1080p 2560x1080", "720p 1706x720", "480p 1138x480", "360p 854x360", "240p 568x240",
		}},
		{"all around", 7680, 3840, []string{
			"2096p 4192x2096", "1440p 2880x1440", "1080p 2160x1080", "720p 1440x720", "480p 960x480", "360p 720x360", "240p 480x240",
		}},
		{"4096 wide", 8192, 4320, []string{
			"2160p 4096x2160", "1440p 2730x1440", "1080p 2048x1080", "720p 1366x720", "480p 910x480", "360p 682x360", "240p 456x240",
		}},
		{"a bar", 16384, 16, []string{"8p 8192x8"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, r := range domain.Ladder(c.width, c.height) {
				got = append(got, r.Name+" "+fmt.Sprintf("%dx%d", r.Width, r.Height))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ladder of %dx%d (-want +got):\n%s", c.width, c.height, diff)
			}
		})
	}
}

func TestChunksCoverEveryFrameOnTheGrid(t *testing.T) {
	t.Parallel()
	for _, frames := range []int{1, 99, 100, 101, 499, 500, 1558, 180_000, 1_000_000} {
		p := domain.PlanTranscode(domain.SourceInfo{
			Width: 1920, Height: 1080, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: frames,
		})
		next := 0
		for i, c := range p.Chunks {
			if c.Start != next || c.Frames < 1 || c.Start > 0 && p.SegmentEnd(c.Start-1) != c.Start {
				t.Fatalf("%d frames: chunk %d is %+v, the one before ended at %d", frames, i, c, next)
			}
			next += c.Frames
		}
		if next != frames {
			t.Errorf("%d frames: chunks end at %d", frames, next)
		}
		if first := p.Chunks[0].Frames; first > p.GOP && frames > p.SegmentFrames {
			t.Errorf("%d frames: the first chunk has %d, more than a group of pictures: somebody waits for it", frames, first)
		}
		for i := 1; i < len(p.Chunks)-1; i++ {
			if c, before := p.Segments(p.Chunks[i]), p.Segments(p.Chunks[i-1]); c > 2*before && before < 4 {
				t.Errorf("%d frames: %d segments come after %d", frames, c, before)
			}
		}
		for i, c := range p.Chunks[min(2, len(p.Chunks)):] { // whoever takes the last one should not be waited for
			if left := frames - c.Start; c.Frames > left/2+p.SegmentFrames && c.Frames >= 3*p.SegmentFrames {
				t.Errorf("%d frames: chunk %d has %d of the %d that are left", frames, 2+i, c.Frames, left)
			}
		}
		if len(p.Chunks) > 300 {
			t.Errorf("%d frames: %d chunks", frames, len(p.Chunks))
		}
	}
}
