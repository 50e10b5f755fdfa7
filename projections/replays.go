package projections

import (
	"context"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// ReplayState says how a replay stands.
type ReplayState string

// The states of a replay.
const (
	ReplayRunning   ReplayState = "running"
	ReplayDone      ReplayState = "done"
	ReplayFailed    ReplayState = "failed"
	ReplayCancelled ReplayState = "cancelled"
	ReplayLost      ReplayState = "lost" // the process that did it is gone; the next one goes on where it had come
)

// ReplayKind says what is done.
type ReplayKind string

// The kinds of replays.
const (
	ReplayRebuild  ReplayKind = "rebuild"
	ReplayDryRun   ReplayKind = "dry_run"
	ReplayRollback ReplayKind = "rollback"
	ReplayVersion  ReplayKind = "version" // a rebuild because the model has another version
)

// Replay is a rebuild of a read model, as the process that does it has last said.
type Replay struct {
	ID         string
	Projection string
	Kind       ReplayKind
	State      ReplayState
	Rate       int // events per second at most; 0 for as fast as it goes
	Started    time.Time
	Updated    time.Time
	Resumed    domain.Position // where it went on; 0 when it began at the first event
	Position   domain.Position
	Head       domain.Position // that it builds up to
	Error      string
	Rows       int
	Equal      bool     // what was in use was what the log gives
	New        bool     // there was nothing to compare with
	Different  []string // keys of rows that were not, the first few
}

// replayLife is how old the last sign of a running replay may be. A process that does one says something each second.
const replayLife = 10 * time.Second

// At returns the replay as it stands at a moment: a process that is gone has not said so. A clock that was set back makes
// none of them live longer.
func (r Replay) At(now time.Time) Replay {
	if r.State == ReplayRunning && now.Sub(r.Updated).Abs() > replayLife {
		r.State = ReplayLost
	}
	return r
}

// PerSecond is how many events it has applied per second.
func (r Replay) PerSecond() float64 {
	took := r.Updated.Sub(r.Started).Seconds()
	if took <= 0 {
		return 0
	}
	return max(0, float64(r.Position-r.Resumed)/took)
}

// Left is how long it will take to the end, 0 when that is not known.
func (r Replay) Left() time.Duration {
	speed := r.PerSecond()
	if r.State != ReplayRunning || speed == 0 {
		return 0
	}
	return max(0, time.Duration(float64(r.Head-r.Position)/speed*float64(time.Second)))
}

// Replays keep what is said about replays. Any number of processes may. Every adapter passes contract.Replays.
type Replays interface {
	// Put stores a replay, in place of what was said of it before.
	Put(ctx context.Context, r Replay) error
	// Replays returns the newest, the newest first; ids are in the order of time.
	Replays(ctx context.Context, limit int) ([]Replay, error)
	// Replay returns one. ErrNotFound.
	Replay(ctx context.Context, id string) (Replay, error)
	// Cancel asks whoever does a replay to end it. It stays asked for.
	Cancel(ctx context.Context, id string) error
	// Cancelled tells whether somebody has asked.
	Cancelled(ctx context.Context, id string) (bool, error)
}
