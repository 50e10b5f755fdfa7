package projections

import (
	"context"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Plays keeps what players have told. No event says it, so nothing can make it again: it is no read model, a rebuild
// leaves it alone, and what Record has taken is on disk. Every method may fail with ErrUnavailable. Every adapter passes
// contract.Plays.
type Plays interface {
	// Record joins states of views with those that are stored. After an error some may be stored: the same call may be
	// made again, by anybody, at any time.
	Record(ctx context.Context, told []Play) error
	// Each hands out the views that began in [from, to), of one video where that is not empty, in no order. It sees each of
	// them once, with what was stored at a moment of the call. An error of f ends it.
	Each(ctx context.Context, from, to time.Time, video domain.VideoID, f func(Play) error) error
	// Salt returns the secret that stands for a UTC day, the same for everybody, after making it at the first call. It
	// forgets those of the days before for good.
	Salt(ctx context.Context, day time.Time) ([]byte, error)
	// Prune forgets views: those that began before a moment, and the oldest of more than atMost, with all that began in the
	// same microsecond as the last of them. It returns how many.
	Prune(ctx context.Context, before time.Time, atMost int) (int, error)
}

// SaltBytes is how long a salt is.
const SaltBytes = 32
