package commands

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// Copies is a place that may hold copies of texts from the log.
type Copies interface {
	// Forget removes what is kept of a video that is deleted, and of which the log has no text any longer. It returns when
	// that is on no disk any longer, as far as it can see to that, and may be done again.
	Forget(ctx context.Context, id domain.VideoID) error
}

// Eraser takes what people have said about deleted videos out of the log and its copies.
type Eraser struct {
	Service *Service
	Log     TextEraser
	Copies  []Copies
}

// Erasure says what is gone of a video.
type Erasure struct {
	Result

	Events int // that had texts
}

// Erase records what is to be erased, and does it: first in the log, then in the copies. When it fails in between, or is
// killed, doing it again finishes it; when there is nothing left to do it changes nothing.
// ErrNotFound, ErrNotAllowed when the video is not deleted, ErrUnavailable.
func (e *Eraser) Erase(ctx context.Context, id domain.VideoID) (done Erasure, err error) {
	commitID, err := uuid.NewV7()
	if err != nil {
		return done, fmt.Errorf("make a commit id: %w", err)
	}
	done.Result, err = e.Service.decide(ctx, id, metaFrom(ctx), commitID.String(), func(v domain.Video) ([]domain.Event, error) {
		events, err := e.Service.Log.ReadStream(ctx, string(id), 0)
		if err != nil {
			return nil, err
		}
		return domain.Erase(events[:min(v.Version, len(events))])
	})
	if err != nil {
		return done, fmt.Errorf("erase video %s: %w", id, err)
	}
	events, err := e.Service.Log.ReadStream(ctx, string(id), 0)
	if err != nil {
		return done, fmt.Errorf("erase video %s: %w", id, err)
	}
	erased := domain.Erased(events)
	done.Events = len(erased.Events)
	if err := e.Log.EraseTexts(ctx, string(id), erased); err != nil {
		return done, fmt.Errorf("erase video %s: %w", id, err)
	}
	for _, c := range e.Copies {
		if err := c.Forget(ctx, id); err != nil {
			return done, fmt.Errorf("erase the copies of video %s: %w", id, err)
		}
	}
	return done, nil
}
