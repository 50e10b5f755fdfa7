package commands

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/cinelog/cinelog/domain"
)

// An attempt that takes over records what an earlier one has made as its own: the same event again, with its own number
// and the blobs that are there. So nothing else needs to know of it: playlists are made of its events, and a sweep leaves
// what they name.

// earlier is what an attempt can take over.
func (w *Worker) earlier(ctx context.Context, v domain.Video) (domain.Earlier, error) {
	if !v.Run.TakesOver {
		return domain.Earlier{}, nil
	}
	events, err := w.Service.Log.ReadStream(ctx, string(v.ID), 0)
	if err != nil {
		return domain.Earlier{}, fmt.Errorf("load video %s: %w", v.ID, err)
	}
	return domain.FindEarlier(events), nil
}

// keptChunk returns the renditions of a chunk that need not be encoded again, and the poster that is there.
func (w *Worker) keptChunk(ctx context.Context, v domain.Video, chunk int) ([]domain.RenditionChunk, *domain.PosterProduced, error) {
	e, err := w.earlier(ctx, v)
	if err != nil {
		return nil, nil, err
	}
	var kept []domain.RenditionChunk
	for _, r := range e.Chunk(*v.Run.Plan, chunk) {
		there, err := w.stored(ctx, appendSegments([]domain.Blob{r.Init}, r.Segments))
		if err != nil {
			return nil, nil, err
		}
		if there {
			kept = append(kept, r)
		}
	}
	poster := e.Poster(v.Attempt)
	if poster == nil {
		return kept, nil, nil
	}
	if there, err := w.stored(ctx, []domain.Blob{poster.Image}); err != nil || !there {
		return kept, nil, err
	}
	return kept, poster, nil
}

// keepTrack records the parts of a track that an earlier attempt has made, all of it or nothing; false when there is
// nothing to keep, and the track is to be made.
func (w *Worker) keepTrack(
	ctx context.Context, v domain.Video, tr track, record func(context.Context, domain.AudioTranscoded) error,
) (kept bool, err error) {
	e, err := w.earlier(ctx, v)
	if err != nil {
		return false, err
	}
	parts, next := tr.there(e), tr.done(v).Parts
	if len(parts) == 0 || next >= len(parts) {
		return false, nil
	}
	var blobs []domain.Blob
	segments := 0
	for i, p := range parts {
		if i < next {
			segments += len(p.Segments)
		}
		blobs = appendSegments(append(blobs, p.Init), p.Segments)
	}
	if segments != tr.done(v).Segments { // this attempt has begun to make it
		return false, nil
	}
	if there, err := w.stored(ctx, blobs); err != nil || !there {
		return false, err
	}
	for i, p := range parts[next:] {
		p.Attempt, p.Part = v.Attempt, next+i
		if err := record(ctx, p); err != nil {
			return true, err
		}
	}
	return true, nil
}

// stored says whether blobs are there, with the sizes that were recorded.
func (w *Worker) stored(ctx context.Context, blobs []domain.Blob) (bool, error) {
	missing, prefixes := map[string]int64{}, []string{}
	for _, b := range blobs {
		missing[b.Key] = b.Bytes
		if dir := path.Dir(b.Key) + "/"; !slices.Contains(prefixes, dir) {
			prefixes = append(prefixes, dir)
		}
	}
	for _, prefix := range prefixes {
		err := w.Service.Blobs.List(ctx, prefix, func(b StoredBlob) error {
			if bytes, named := missing[b.Key]; named && bytes == b.Bytes {
				delete(missing, b.Key)
			}
			return nil
		})
		if err != nil {
			return false, fmt.Errorf("look for what an earlier attempt has stored: %w", err)
		}
	}
	return len(missing) == 0, nil
}
