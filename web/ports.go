package web

import (
	"context"
	"io"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
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
	Transcode(ctx context.Context, id domain.VideoID) (commands.Result, error)
	Delete(ctx context.Context, id domain.VideoID) (commands.Result, error)
	History(ctx context.Context, id domain.VideoID) ([]domain.Recorded, error)
}

var _ Commands = (*commands.Service)(nil)

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

// Analytics answers questions about the whole.
type Analytics interface {
	Summary(ctx context.Context) (Summary, error)
}

// Summary is what /v1/analytics/summary answers.
type Summary struct {
	Videos            int            `json:"videos" doc:"Videos that exist now"`
	Uploads           int            `json:"uploads" doc:"Sources received, ever"`
	UploadedBytes     int64          `json:"uploaded_bytes" doc:"Bytes of those sources"`
	Ready             int            `json:"ready" doc:"Videos that are ready now"`
	Failed            int            `json:"failed" doc:"Attempts that failed, ever"`
	Deleted           int            `json:"deleted" doc:"Videos that were deleted"`
	Published         int            `json:"published" doc:"Videos that are published now"`
	Renditions        int            `json:"renditions" doc:"Renditions produced, ever"`
	ProducedBytes     int64          `json:"produced_bytes" doc:"Bytes of those renditions"`
	ProcessingSeconds Percentiles    `json:"processing_seconds" doc:"From the source received to the video ready"`
	PlayableSeconds   Percentiles    `json:"playable_seconds" doc:"From the source received to the first segment playable"`
	FailureCodes      map[string]int `json:"failure_codes" doc:"Failures by code"`
	UploadsByDay      []DayCount     `json:"uploads_by_day" nullable:"false" doc:"Uploads a day (UTC), oldest first"`
}

// Percentiles sums a distribution up, in seconds.
type Percentiles struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	Max   float64 `json:"max"`
}

// DayCount is one point of a series by day.
type DayCount struct {
	Day   string `json:"day" doc:"YYYY-MM-DD, UTC"`
	Count int    `json:"count"`
}
