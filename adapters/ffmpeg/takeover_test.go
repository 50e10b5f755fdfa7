package ffmpeg_test

import (
	"bytes"
	"testing"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// What one attempt encoded with all rungs and another one alone must be one rendition: with the same initialization segment.
func TestARungAloneGoesWithTheOthers(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	path := clip(t, "a.mp4", "testsrc2=s=320x180:r=25:d=8", "-c:v", "mpeg4", "-g", "50", "-c:a", "aac")
	info, err := e.Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := smallPlan(info)
	for _, c := range []domain.Codec{domain.HEVC, domain.AV1} {
		plan.Rungs = append(plan.Rungs, domain.Rung{Name: "90p-" + string(c), Codec: c, Width: 160, Height: 90, MaxRate: 200_000})
	}
	all := newRecorder()
	if err := e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: plan, Chunk: 0, Threads: 2}, all); err != nil {
		t.Fatal(err)
	}
	for _, rung := range plan.Rungs {
		alone := newRecorder()
		only := plan.Only(func(r domain.Rung) bool { return r == rung })
		if err := e.EncodeChunk(t.Context(), commands.ChunkJob{Path: path, Source: info, Plan: only, Chunk: 1}, alone); err != nil {
			t.Fatal(err)
		}
		if len(alone.inits) != 1 || !bytes.Equal(alone.inits[rung.Name], all.inits[rung.Name]) {
			t.Errorf("%s: encoded alone it has another initialization segment", rung.Name)
		}
	}
}
