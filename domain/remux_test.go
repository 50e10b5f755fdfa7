package domain_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

func remuxSource(frames, bitRate int, joints ...int) domain.SourceInfo {
	return domain.SourceInfo{
		VideoCodec: "h264", Width: 1920, Height: 1080, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: frames,
		Transfer: domain.SDR, Remux: &domain.RemuxInfo{BitRate: bitRate, Joints: joints},
	}
}

func every(step, frames int) (joints []int) {
	for at := 0; at < frames; at += step {
		joints = append(joints, at)
	}
	return joints
}

func TestRemuxedSegmentsBeginAtTheSourcesKeyframes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source domain.SourceInfo
		want   []int // nil: not remuxed
	}{
		"every second":              {remuxSource(400, 4e6, every(25, 400)...), []int{0, 100, 200, 300}},
		"every 3 s":                 {remuxSource(400, 4e6, every(75, 400)...), []int{0, 150, 300}},
		"a bit less than 4 s":       {remuxSource(400, 4e6, every(96, 400)...), []int{0, 96, 192, 288, 384}},
		"every 10 s":                {remuxSource(600, 4e6, every(250, 600)...), []int{0, 250, 500}},
		"one before a long gap":     {remuxSource(500, 4e6, 0, 75, 320), []int{0, 75, 320}},
		"more than 10 s apart":      {remuxSource(600, 4e6, 0, 251), nil},
		"nothing after 10 s":        {remuxSource(600, 4e6, 0, 200), nil},
		"one that is after the end": {remuxSource(110, 4e6, 0, 110, 120), []int{0}},
		"too heavy to be served":    {remuxSource(400, 41e6, every(25, 400)...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := domain.PlanTranscode(c.source)
			if diff := cmp.Diff(c.want, p.Starts); diff != "" {
				t.Errorf("segments start at (-want +got):\n%s", diff)
			}
			if got := p.Remuxed() != nil; got != (c.want != nil) {
				t.Errorf("remuxed is %t", got)
			}
			next := 0
			for i, c := range p.Chunks {
				if c.Start != next || c.Frames < 1 || p.Starts != nil && !slices.Contains(p.Starts, c.Start) {
					t.Errorf("chunk %d is %+v, the one before ended at %d", i, c, next)
				}
				next += c.Frames
			}
			if next != c.source.Frames {
				t.Errorf("chunks end at %d of %d", next, c.source.Frames)
			}
			if p.Starts != nil && p.Segments(domain.Chunk{Frames: p.Frames}) != len(p.Starts) {
				t.Errorf("%d segments for %d starts", p.Segments(domain.Chunk{Frames: p.Frames}), len(p.Starts))
			}
		})
	}
}

func TestRungsBelowARemuxedSource(t *testing.T) {
	t.Parallel()
	names := func(s domain.SourceInfo) (names []string) {
		for _, r := range domain.PlanTranscode(s).Rungs {
			names = append(names, r.Name)
		}
		return names
	}
	light, heavy := remuxSource(400, 4e6, every(50, 400)...), remuxSource(400, 20e6, every(50, 400)...)
	tiny := light
	tiny.Width, tiny.Height = 160, 120
	odd := remuxSource(400, 2e6, every(50, 400)...)
	odd.Width, odd.Height = 889, 500
	for name, c := range map[string]struct {
		source domain.SourceInfo
		want   []string
	}{
		"its own size is not encoded again":        {light, []string{"source", "720p", "480p", "360p", "240p"}},
		"but when it is far heavier than that":     {heavy, []string{"source", "1080p", "720p", "480p", "360p", "240p"}},
		"one that is hardly smaller is left out":   {odd, []string{"source", "360p", "240p"}},
		"there is always one for a slower network": {tiny, []string{"source", "120p"}},
	} {
		if diff := cmp.Diff(c.want, names(c.source)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
