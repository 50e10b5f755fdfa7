package commands

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/cinelog/cinelog/domain"
)

// chunk encodes one chunk for all rungs and records it.
func (w *Worker) chunk(ctx context.Context, t Task) (err error) {
	needed := func(v domain.Video) error { return v.NeedsChunk(t.Attempt, t.Chunk) }
	v, err := w.wanted(ctx, t, needed)
	if err != nil {
		return err
	}
	kept, poster, err := w.keptChunk(ctx, v, t.Chunk)
	if err != nil {
		return err
	}
	if len(kept) == len(v.Run.Plan.Encoded()) {
		event := keeping(domain.ChunkTranscoded{Attempt: t.Attempt, Chunk: t.Chunk}, kept, *v.Run.Plan)
		return w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordChunk(event, poster) })
	}
	release, err := w.slot(ctx, t.Chunk == 0 && len(v.Run.Plan.Chunks) > 1 && v.Run.Plan.Remuxed() == nil)
	if err != nil {
		return err
	}
	defer release()
	v, path, closeSource, err := w.wantedSource(ctx, t, needed) // it may have taken long to get here
	if err != nil {
		return err
	}
	defer closeSource()
	out, err := newStoring(w.Service.Blobs, t, strconv.Itoa(t.Chunk))
	if err != nil {
		return err
	}
	plan := v.Run.Plan.Only(func(r domain.Rung) bool {
		return !slices.ContainsFunc(kept, func(k domain.RenditionChunk) bool { return k.Name == r.Name })
	})
	job := ChunkJob{
		Path: path, Source: *v.Run.Source, Plan: plan, Chunk: t.Chunk,
		Poster: !v.Run.HasPoster && t.Chunk == posterChunk(plan), Threads: w.share(plan, t.Chunk),
	}
	defer w.tell(ctx, t, strconv.Itoa(t.Chunk))(&err)
	err = w.watched(ctx, v, needed, func(ctx context.Context) error {
		return errors.Join(w.Encoder.EncodeChunk(ctx, job, out), out.wait())
	})
	if err != nil {
		w.Service.discard(ctx, out.stored()...)
		return err
	}
	event, poster, err := out.chunk(t, plan)
	if err != nil {
		w.Service.discard(ctx, out.stored()...)
		return err
	}
	event = keeping(event, kept, *v.Run.Plan)
	err = w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordChunk(event, poster) })
	if errors.Is(err, domain.ErrSuperseded) { // after any other error the log may name the blobs
		w.Service.discard(ctx, out.stored()...)
	}
	return err
}

// keeping adds renditions that are there already, in the plan's order.
func keeping(e domain.ChunkTranscoded, kept []domain.RenditionChunk, plan domain.Plan) domain.ChunkTranscoded {
	encoded := e.Renditions
	e.Renditions = nil
	for _, rung := range plan.Encoded() {
		named := func(r domain.RenditionChunk) bool { return r.Name == rung.Name }
		if i := slices.IndexFunc(kept, named); i >= 0 {
			e.Renditions, e.Kept = append(e.Renditions, kept[i]), append(e.Kept, rung.Name)
		} else if i := slices.IndexFunc(encoded, named); i >= 0 {
			e.Renditions = append(e.Renditions, encoded[i])
		}
	}
	return e
}

// posterChunk is the chunk that brings the poster: the second, since somebody waits for the first.
func posterChunk(plan domain.Plan) int {
	if plan.Remuxed() != nil {
		return 0
	}
	return min(1, len(plan.Chunks)-1)
}

// tell logs when an encode begins, and what it returns logs when the result is recorded or the encode has failed: what
// was encoded twice is seen in the log.
func (w *Worker) tell(ctx context.Context, t Task, piece string) func(*error) {
	log := w.Log.With("video", string(t.Video), "attempt", t.Attempt, "piece", piece)
	log.DebugContext(ctx, "encode begins")
	return func(err *error) { log.DebugContext(ctx, "encode ends", "error", *err) }
}
