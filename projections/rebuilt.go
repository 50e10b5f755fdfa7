package projections

import (
	"context"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Rebuilt is the outcome of a rebuild.
type Rebuilt struct {
	Position  domain.Position // where the new generation stood when it was compared
	Rows      int
	Hash      string
	LiveHash  string   // of the generation that was in use, at the same position; empty when New
	Different []string // keys whose rows differ between the two, the first few; empty when none does
	New       bool     // the generation that was in use had not begun: there was nothing to compare with
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
