package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/cinelog/cinelog/domain"
)

// CreateVideo asks for a new video.
type CreateVideo struct {
	Event domain.VideoCreated // what is left empty gets its default
	Key   IdempotencyKey
}

// Create starts a video that waits for its source. ErrInvalid names every field that breaks a rule.
func (s *Service) Create(ctx context.Context, c CreateVideo) (Result, error) {
	id, err := domain.NewVideoID()
	if err != nil {
		return Result{}, err
	}
	return s.command(ctx, id, c.Key, func(v domain.Video) ([]domain.Event, error) { return v.Create(c.Event) }, nil)
}

// ChangeVideo says what is to change; what is nil stays.
type ChangeVideo struct {
	Video          domain.VideoID
	IfVersion      *int // the version that the caller saw; ErrStale when the video has moved on
	Title          *string
	Description    *string
	Visibility     *domain.Visibility
	PlaybackPolicy *domain.PlaybackPolicy
	Tags           *[]string
	Metadata       *map[string]string
	Key            IdempotencyKey
}

// ChangeDetails changes what its owner says about a video. ErrNotFound, ErrStale, ErrInvalid.
func (s *Service) ChangeDetails(ctx context.Context, c ChangeVideo) (Result, error) {
	return s.command(ctx, c.Video, c.Key, func(v domain.Video) ([]domain.Event, error) {
		if v.Exists() && c.IfVersion != nil && *c.IfVersion != v.Version {
			return nil, fmt.Errorf("%w: the video is at version %d, not %d", domain.ErrStale, v.Version, *c.IfVersion)
		}
		events, err := v.ChangeDetails(c.applyTo(v.Details))
		if c.PlaybackPolicy == nil {
			return events, err
		}
		more, policyErr := v.ChangePlaybackPolicy(*c.PlaybackPolicy)
		if err := bothInvalid(err, policyErr); err != nil {
			return nil, err
		}
		return append(events, more...), nil
	}, nil)
}

func (c ChangeVideo) applyTo(d domain.Details) domain.Details {
	if c.Title != nil {
		d.Title = *c.Title
	}
	if c.Description != nil {
		d.Description = *c.Description
	}
	if c.Visibility != nil {
		d.Visibility = *c.Visibility
	}
	if c.Tags != nil {
		d.Tags = *c.Tags
	}
	if c.Metadata != nil {
		d.Metadata = *c.Metadata
	}
	return d
}

// bothInvalid joins the fields of two *domain.Invalid, so that a caller hears of all of them at once.
func bothInvalid(a, b error) error {
	var x, y *domain.Invalid
	if errors.As(a, &x) && errors.As(b, &y) {
		return &domain.Invalid{Fields: append(append([]domain.FieldError(nil), x.Fields...), y.Fields...)}
	}
	if a != nil {
		return a
	}
	return b
}

// Publish makes a ready video watchable and findable. ErrNotFound, ErrNotAllowed when it is not ready.
func (s *Service) Publish(ctx context.Context, id domain.VideoID) (Result, error) {
	return s.command(ctx, id, IdempotencyKey{}, domain.Video.PublishNow, nil)
}

// Unpublish takes the publication back. ErrNotFound.
func (s *Service) Unpublish(ctx context.Context, id domain.VideoID) (Result, error) {
	return s.command(ctx, id, IdempotencyKey{}, domain.Video.Unpublish, nil)
}

// Delete ends a video; its blobs are removed afterwards. ErrNotFound, also for one deleted before.
func (s *Service) Delete(ctx context.Context, id domain.VideoID) (Result, error) {
	return s.command(ctx, id, IdempotencyKey{}, domain.Video.Delete, nil)
}

// Transcode runs the pipeline again for a source that is there, to another encoding where that is not nil; what is served
// stays until the new renditions are complete. ErrNotFound, ErrNotAllowed while it is in work, ErrInvalid.
func (s *Service) Transcode(ctx context.Context, id domain.VideoID, to *domain.Encoding) (Result, error) {
	return s.command(ctx, id, IdempotencyKey{}, func(v domain.Video) ([]domain.Event, error) {
		return v.RequestTranscode(to)
	}, nil)
}
