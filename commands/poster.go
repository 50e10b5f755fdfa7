package commands

import (
	"context"

	"github.com/cinelog/cinelog/domain"
)

// betterPoster makes another poster where the first seconds, which the first one was chosen from, show next to nothing
// and the rest of the video shows more; else nil. A video is as well with the poster that it has.
func (w *Worker) betterPoster(
	ctx context.Context, events []domain.Recorded, attempt int, plan domain.Plan, made Previews, interval float64,
) *PosterImage {
	var before *domain.PosterProduced
	for _, r := range events {
		if e, ok := r.Event.(domain.PosterProduced); ok && e.Attempt == attempt {
			before = &e
		}
	}
	if before == nil || made.Best >= len(made.Blank) || made.Blank[made.Best] ||
		!made.Blank[min(int(before.Time/interval), len(made.Blank)-1)] {
		return nil
	}
	rung := plan.Rungs[len(plan.Rungs)-1]
	for _, r := range plan.Rungs { // highest first
		if r.Width <= posterWidth {
			rung = r
			break
		}
	}
	init, groups := findGroups(events, attempt, rung.Name)
	if len(groups) == 0 {
		return nil
	}
	g := groupAt(groups, (float64(made.Best)+0.5)*interval)
	head, err := w.read(ctx, init.Key, 0, init.Bytes)
	if err != nil {
		return w.noPoster(ctx, err)
	}
	data, err := w.piece(g)(ctx)
	if err != nil {
		return w.noPoster(ctx, err)
	}
	image, err := w.Encoder.Frame(ctx, head, data, 0, posterWidth)
	if err != nil {
		return w.noPoster(ctx, err)
	}
	return &PosterImage{Data: image, Width: rung.Width, Height: rung.Height, Time: g.at}
}

func (w *Worker) noPoster(ctx context.Context, err error) *PosterImage {
	w.Log.WarnContext(ctx, "a dark poster stays", "error", err)
	return nil
}
