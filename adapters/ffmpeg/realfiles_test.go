package ffmpeg_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// What inspection accepts must encode as planned: the first chunk, the last, and the sound. One rung is enough here.
func TestAcceptedRealFilesEncodeAsPlanned(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for _, f := range mediaFiles(t) {
		if f.expectation != "accept" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			info, err := e.Inspect(ctx, f.path)
			if err != nil {
				t.Fatal(err)
			}
			plan := domain.PlanTranscode(info)
			if plan.Remuxed() != nil {
				t.Logf("remuxed: %d segments of %.1f s", len(plan.Starts), info.Duration)
				remuxed(t, e, f.path, info, plan)
				plan.Rungs = plan.Rungs[:1]
			} else {
				plan.Rungs = nil
			}
			ladder := domain.Ladder(info.Width, info.Height)
			plan.Rungs = append(plan.Rungs, ladder[len(ladder)-1])
			r := newRecorder()
			for i := range plan.Chunks {
				if i > 0 && i < len(plan.Chunks)-1 {
					continue
				}
				r = newRecorder()
				if err := e.EncodeChunk(ctx, commands.ChunkJob{Path: f.path, Source: info, Plan: plan, Chunk: i, Poster: i == 0}, r); err != nil {
					t.Fatalf("chunk %d of %d: %v", i, len(plan.Chunks), err)
				}
				if i == 0 && r.poster == nil {
					t.Error("no poster")
				}
			}
			if plan.Audio == nil {
				return
			}
			if err := e.EncodeAudio(ctx, commands.AudioJob{Path: f.path, Source: info, Plan: plan}, r); err != nil {
				var failure *domain.Failure
				t.Fatalf("audio (permanent: %t): %v", errors.As(err, &failure), err)
			}
		})
	}
}
