package web

import (
	"context"
	"io"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/webhooks"
)

// Commands is the write side. commands.Service is one. An error wraps one of the kinds in domain/errors.go, or is a
// fault of ours. Those without a field
// for it take the idempotency key from the context (commands.WithIdempotencyKey).
type Commands interface {
	Create(ctx context.Context, c commands.CreateVideo) (commands.Result, error)
	// UploadSource reads Body to its end, or as far as it takes to refuse it.
	UploadSource(ctx context.Context, c commands.UploadSource) (commands.Result, error)
	ChangeDetails(ctx context.Context, c commands.ChangeVideo) (commands.Result, error)
	Publish(ctx context.Context, id domain.VideoID) (commands.Result, error)
	Unpublish(ctx context.Context, id domain.VideoID) (commands.Result, error)
	// Transcode takes nil for the encoding that the video has.
	Transcode(ctx context.Context, id domain.VideoID, to *domain.Encoding) (commands.Result, error)
	Delete(ctx context.Context, id domain.VideoID) (commands.Result, error)
	History(ctx context.Context, id domain.VideoID) ([]domain.Recorded, error)
}

// Eraser takes what was said about deleted videos out of everything. commands.Eraser is one.
type Eraser interface {
	// Erase may be done again. ErrNotFound, ErrNotAllowed when the video is not deleted.
	Erase(ctx context.Context, id domain.VideoID) (commands.Erasure, error)
}

var (
	_ Commands = (*commands.Service)(nil)
	_ Eraser   = (*commands.Eraser)(nil)
)

// Freshness waits for the read models.
type Freshness interface {
	// Wait returns nil as soon as every read model has applied the event at position; otherwise it returns when ctx ends.
	Wait(ctx context.Context, position domain.Position) error
}

// Media reads blobs.
type Media interface {
	// Open gives a blob with its size in bytes and the time it was stored. ErrNotFound.
	Open(ctx context.Context, key string) (blob io.ReadSeekCloser, size int64, stored time.Time, err error)
}

// Frames takes pictures out of media. ffmpeg.Encoder is one.
type Frames interface {
	// Frame gives a JPEG of the last picture that is shown at or before a time, in seconds from the first picture of group,
	// which begins with a keyframe; at most width pixels wide.
	Frame(ctx context.Context, init, group []byte, at float64, width int) ([]byte, error)
}

// Analytics has the facts. projections.Facts is one, and says more.
type Analytics interface {
	Each(ctx context.Context, from, to time.Time, f func(projections.CountedFact) error) error
}

// Beacons takes what players tell. messaging.Plays is one.
type Beacons interface {
	// Send returns when what it was given is on disk. ErrUnavailable: it may be, and may be sent again.
	Send(ctx context.Context, told projections.Play) error
}

// Plays has the views. projections.Plays is one, and says more.
type Plays interface {
	Each(ctx context.Context, from, to time.Time, video domain.VideoID, f func(projections.Play) error) error
	Salt(ctx context.Context, day time.Time) ([]byte, error)
}

// Webhooks manages who is told of events. webhooks.Service is one, and says more.
type Webhooks interface {
	Create(ctx context.Context, n webhooks.NewEndpoint) (e webhooks.Endpoint, secret string, err error)
	Endpoint(ctx context.Context, id string) (webhooks.Endpoint, error)
	Endpoints(ctx context.Context) ([]webhooks.Endpoint, error)
	Change(ctx context.Context, id string, c webhooks.Change) (webhooks.Endpoint, error)
	Remove(ctx context.Context, id string) error
	Rotate(ctx context.Context, id string) (e webhooks.Endpoint, secret string, err error)
	Deliveries(ctx context.Context, id string, status webhooks.Status, before domain.Position, limit int) ([]webhooks.Delivery, error)
	Redeliver(ctx context.Context, id, delivery string) error
	Test(ctx context.Context, id string) (webhooks.Tested, error)
	RedeliverFrom(ctx context.Context, id string, from domain.Position) error
}

var _ Webhooks = (*webhooks.Service)(nil)
