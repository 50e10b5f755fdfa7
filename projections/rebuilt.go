package projections

import (
	"context"
	"errors"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// RebuildOptions say how a read model is rebuilt; nil or the zero value is good.
type RebuildOptions struct {
	Progress func(domain.Position) // called after every batch
	Begun    func()                // called when it is sure that nobody else rebuilds this read model
	Rate     int                   // events per second at most; as fast as it goes when 0
	// GiveWay is called between small steps, and may wait; see CatchUpOptions.
	GiveWay func(context.Context)
	// Skip names events that the model is not given; nil when it gets all. It must not change what it says meanwhile.
	Skip func(domain.Position) bool
	// Vouch returns a text that is the same as long as the events up to a position are, and all else that makes rows of
	// them: a build that was cut off is gone on with where it agrees. Without it a build begins at the first event.
	Vouch   func(ctx context.Context, upTo domain.Position) (string, error)
	Fresh   bool                  // begin at the first event, whatever is there
	Resumed func(domain.Position) // called when a build is gone on with, with where it had come
	// Settled is called before the switch, and stops it with an error.
	Settled func(ctx context.Context) error
}

// OrZero returns o, or the zero value for nil.
func (o *RebuildOptions) OrZero() RebuildOptions {
	if o == nil {
		return RebuildOptions{}
	}
	return *o
}

// ErrOutdated says that the rows in use are those of another version of the model: they can be read, not updated.
var ErrOutdated = errors.New("the rows are those of another version of the model")

// ErrCancelled is the cause of the end of a context where a rebuild was called off: what it had built is dropped.
var ErrCancelled = errors.New("called off")

// Stored is what is stored of a read model.
type Stored struct {
	Generation string
	Version    int // of the model that gave the rows
	Position   domain.Position
	Previous   string // the generation before, to which a rollback goes; empty for none
}

// Rebuilt is the outcome of a rebuild.
type Rebuilt struct {
	Position  domain.Position // where the new generation stood when it was compared
	Rows      int
	Hash      string
	LiveHash  string   // of the generation that was in use, at the same position; empty when New
	Different []string // keys whose rows differ between the two, the first few; empty when none does
	New       bool     // the generation that was in use had not begun, or is of another version: nothing to compare with
}

// Equal says that the read model in use is what the log gives, as far as it had come.
func (r Rebuilt) Equal() bool { return r.New || r.Hash == r.LiveHash }

// Differ adds keys to those that differ, as long as these are few.
func (r *Rebuilt) Differ(keys ...string) {
	r.Different = append(r.Different, keys[:min(len(keys), maxDifferent-len(r.Different))]...)
}

const maxDifferent = 20

// CompareUntilEqual compares facts a few times, as long as they differ: a message that is under way is no difference.
func CompareUntilEqual(ctx context.Context, compare func() (Rebuilt, error)) (Rebuilt, error) {
	for try := 1; ; try++ {
		done, err := compare()
		if err != nil || done.Equal() || try == comparisons {
			return done, err
		}
		select {
		case <-ctx.Done():
			return done, ctx.Err()
		case <-time.After(betweenThem):
		}
	}
}

const (
	comparisons = 5
	betweenThem = 200 * time.Millisecond
)
