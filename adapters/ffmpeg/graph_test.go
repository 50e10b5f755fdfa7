package ffmpeg_test

import (
	"slices"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Each size is scaled once, from the next larger one, whatever the order of the rungs.
func TestSizesAreMadeFromTheNextLargerOne(t *testing.T) {
	t.Parallel()
	rungs := []domain.Rung{
		{Name: "720p", Width: 1280, Height: 720},
		{Name: "360p", Width: 640, Height: 360},
		{Name: "720p-hevc", Width: 1280, Height: 720},
		{Name: "480p-hevc", Width: 854, Height: 480},
	}
	const want = ";[f0]scale=1280:720:flags=bicubic:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p,split=3[v0][v2][f1]" +
		";[f1]scale=854:480:flags=bicubic,setsar=1,split=2[v3][f2]" +
		";[f2]scale=640:360:flags=bicubic,setsar=1[v1]"
	if got := ffmpeg.Scaled(rungs); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Only a first chunk that somebody waits for is encoded with less care.
func TestTheFirstChunkIsMadeSooner(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	source := domain.SourceInfo{Width: 640, Height: 360, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 1000}
	soon := func(chunk int, change func(*domain.Plan)) bool {
		plan := domain.PlanTranscode(source)
		change(&plan)
		args := e.ChunkArgs(commands.ChunkJob{Source: source, Plan: plan, Chunk: chunk})
		at := slices.Index(args, "-subq")
		return at >= 0 && args[at+1] == "1"
	}
	for name, c := range map[string]struct {
		chunk  int
		change func(*domain.Plan)
		want   bool
	}{
		"the first":             {0, func(*domain.Plan) {}, true},
		"the second":            {1, func(*domain.Plan) {}, false},
		"the only one":          {0, func(p *domain.Plan) { p.Chunks = p.Chunks[:1] }, false},
		"beside a remux":        {0, func(p *domain.Plan) { p.Rungs[0].Remux = true }, false},
		"in another profile":    {0, func(p *domain.Plan) { p.Profile = domain.Small }, false},
		"the first, with HEVC":  {0, func(p *domain.Plan) { p.Rungs = append(p.Rungs, domain.Rung{Codec: domain.HEVC, Width: 2, Height: 2}) }, true},
		"the second, with HEVC": {1, func(p *domain.Plan) { p.Rungs = append(p.Rungs, domain.Rung{Codec: domain.HEVC, Width: 2, Height: 2}) }, false},
	} {
		if got := soon(c.chunk, c.change); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
