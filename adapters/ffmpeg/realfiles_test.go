package ffmpeg_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/output"
)

// What inspection accepts must encode as planned, and be the source: as long, upright, as good, and with its sound in
// time. Two rungs are enough here, and of what plays long the first and the last chunk; with CINELOG_LONG=1 all of
// everything is made.
func TestAcceptedRealFilesEncodeAsPlanned(t *testing.T) {
	t.Parallel()
	e := newEncoder(t, ffmpeg.Options{})
	for _, f := range shortFiles(t) {
		if f.expectation != "accept" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			info, err := e.Inspect(ctx, f.path)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", info)
			plan := domain.PlanTranscode(info)
			if os.Getenv("CINELOG_LONG") == "" {
				plan = cheaper(plan)
			}
			checked(t, e, f.path, info, plan, output.Allowed{})
		})
	}
}

// cheaper leaves the rungs that show what must be shown, and the first and the last chunk of what is long.
func cheaper(p domain.Plan) domain.Plan {
	encoded := p.Encoded()
	top := encoded[len(encoded)-1]
	for _, r := range encoded {
		if min(r.Width, r.Height) <= 480 {
			top = r
			break
		}
	}
	rungs := []domain.Rung{top, encoded[len(encoded)-1]}
	if p.Remuxed() != nil {
		rungs = append([]domain.Rung{*p.Remuxed()}, rungs...)
	}
	p.Rungs = slices.Compact(rungs)
	return p
}

// mostSeconds is how much of a source is encoded when there is little time.
const mostSeconds = 6

// checked makes all of a plan and holds it against the source; of a plan that is long, where there is little time, the
// first chunk only, and sees that the last one can be made. It returns the file of the top rung that was encoded.
func checked(t *testing.T, e *ffmpeg.Encoder, path string, info domain.SourceInfo, plan domain.Plan, allowed output.Allowed) (top string) {
	t.Helper()
	m := output.Made{Source: path, Info: info, Plan: plan, Renditions: map[string]string{}, Chunk: domain.Chunk{Frames: plan.Frames}}
	chunks := len(plan.Chunks)
	if info.Duration > mostSeconds && os.Getenv("CINELOG_LONG") == "" {
		m.Chunk = plan.Chunks[0]
		last := commands.ChunkJob{Path: path, Source: info, Plan: plan, Chunk: len(plan.Chunks) - 1}
		if err := e.EncodeChunk(t.Context(), last, newRecorder()); err != nil {
			t.Errorf("the last chunk of %d: %v", len(plan.Chunks), err)
		}
		chunks = 1
	}
	if plan.Remuxed() != nil {
		t.Logf("remuxed: %d segments of %.1f s", len(plan.Starts), info.Duration)
		m.Renditions[domain.RemuxName] = remuxed(t, e, path, info, m.Plan).file(t, domain.RemuxName)
	}
	all := encodeChunks(t, e, path, info, m.Plan, chunks)
	if all.poster == nil {
		t.Error("no poster")
	}
	for _, r := range plan.Encoded() {
		m.Renditions[r.Name] = all.file(t, r.Name)
		if !strings.HasPrefix(all.codecs[r.Name], "avc1.6400") { // High, of some level
			t.Errorf("%s: its codecs are %q", r.Name, all.codecs[r.Name])
		}
	}
	if plan.Audio != nil {
		r := newRecorder()
		if err := e.EncodeAudio(t.Context(), commands.AudioJob{Path: path, Source: info, Plan: m.Plan}, r); err != nil {
			t.Fatalf("sound: %v", err)
		}
		m.Sound = r.file(t, "audio")
	}
	figures, wrong := output.Check(t.Context(), m, allowed)
	t.Log(figures)
	for _, w := range wrong {
		t.Error(w)
	}
	return m.Renditions[plan.Encoded()[0].Name]
}
