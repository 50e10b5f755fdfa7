package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/cinelog/cinelog/domain"
)

// captionsPiece names the runs that take captions out in the keys of what they store.
const captionsPiece = "captions"

// captions takes the captions out of a source and records all of them together. A video is as well without them.
func (w *Worker) captions(ctx context.Context, t Task) (err error) {
	needed := func(v domain.Video) error { return v.NeedsCaptions(t.Attempt) }
	v, path, release, err := w.wantedSource(ctx, t, needed)
	if err != nil {
		return err
	}
	defer release()
	out, err := newStoring(w.Service.Blobs, t, captionsPiece)
	if err != nil {
		return err
	}
	defer w.tell(ctx, t, captionsPiece)(&err)
	var added []domain.CaptionAdded
	err = w.watched(ctx, v, needed, func(ctx context.Context) error {
		tracks, err := w.Encoder.ReadCaptions(ctx, path, *v.Run.Source)
		added = make([]domain.CaptionAdded, len(tracks))
		for i, track := range tracks {
			added[i] = domain.CaptionAdded{Language: track.Info.Language, Label: track.Info.Title}
			err = errors.Join(err, out.put(ctx, fmt.Sprintf("%02d.vtt", i), track.Text, func(b domain.Blob) { added[i].File = b }))
		}
		return errors.Join(err, out.wait())
	})
	if err != nil {
		w.Service.discard(ctx, out.stored()...)
		return err
	}
	err = w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordCaptions(t.Attempt, added) })
	if errors.Is(err, domain.ErrSuperseded) { // after any other error the log may name the blobs
		w.Service.discard(ctx, out.stored()...)
	}
	return err
}
