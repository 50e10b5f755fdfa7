package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// replaying rebuilds read models for the command, for the HTTP interface, and for a server that has a new version of a
// model. What it does can be seen, and ended, from everywhere.
type replaying struct {
	log interface {
		projections.Log
		commands.CommitReader
	}
	views views
	// way is that of those who wait for an answer of this process; nil where nobody does.
	way *projections.RightOfWay

	once    sync.Once
	program string // a hash of this program: another one may make other rows of the same events
	failed  error
}

// sayEvery is how often a replay says how far it is.
const sayEvery = time.Second

// newReplay is a replay that has not begun.
func newReplay(projection string, kind projections.ReplayKind, rate int) (projections.Replay, error) {
	id, err := uuid.NewV7()
	now := time.Now()
	return projections.Replay{
		ID: id.String(), Projection: projection, Kind: kind, State: projections.ReplayRunning, Rate: rate, Started: now, Updated: now,
	}, err
}

// run does a replay to its end. begun is called when it is sure that no other one of the projection is running, and watch
// now and then; both may be nil. ErrConflict: another one is running.
func (r *replaying) run(
	ctx context.Context, replay projections.Replay, fresh bool, begun, watch func(projections.Replay),
) (done projections.Rebuilt, err error) {
	if replay.Head, err = r.log.Head(ctx); err != nil {
		return done, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var at, resumed atomic.Int64
	var began atomic.Bool
	now := func() projections.Replay {
		replay := replay
		replay.Position, replay.Resumed, replay.Updated = domain.Position(at.Load()), domain.Position(resumed.Load()), time.Now()
		replay.Head = max(replay.Head, replay.Position)
		return replay
	}
	var telling sync.WaitGroup
	o := &projections.RebuildOptions{
		Rate: replay.Rate, Vouch: r.vouch, Fresh: fresh,
		Progress: func(p domain.Position) { at.Store(int64(p)) },
		Resumed:  func(p domain.Position) { at.Store(int64(p)); resumed.Store(int64(p)) },
		Begun: func() {
			began.Store(true)
			telling.Go(func() { r.tell(ctx, cancel, now, watch) })
			if begun != nil {
				begun(now())
			}
		},
	}
	if r.way != nil {
		defer r.way.Working()()
		o.GiveWay = r.way.Yielding(time.Now)
	}
	model := r.views.model(replay.Projection)
	switch replay.Kind {
	case projections.ReplayDryRun:
		done, err = model.Verify(ctx, r.log, o)
	case projections.ReplayRollback:
		done, err = model.Rollback(ctx, r.log, o)
	case projections.ReplayRebuild, projections.ReplayVersion:
		done, err = model.Rebuild(ctx, r.log, o)
	}
	cancelled := errors.Is(context.Cause(ctx), projections.ErrCancelled)
	cancel(nil)
	telling.Wait()
	if !began.Load() { // there is nothing to say of it
		return done, err
	}
	last := now()
	last.Rows, last.Equal, last.New, last.Different = done.Rows, done.Equal(), done.New, done.Different
	last.State = projections.ReplayDone
	if err != nil {
		last.State, last.Error = projections.ReplayFailed, err.Error()
	}
	if cancelled {
		last.State, last.Error = projections.ReplayCancelled, ""
		err = fmt.Errorf("%w: the replay was %w", domain.ErrConflict, projections.ErrCancelled)
	}
	if watch != nil {
		watch(last)
	}
	// It is over, whatever has ended it: that is to be known.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	return done, errors.Join(err, r.views.replays.Put(ctx, last))
}

// tell says how far a replay is, and learns whether somebody wants it to end, until ctx ends.
func (r *replaying) tell(ctx context.Context, cancel context.CancelCauseFunc, now func() projections.Replay, watch func(projections.Replay)) {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for {
		replay := now()
		_ = r.views.replays.Put(ctx, replay) // where it fails the next one says more
		if watch != nil {
			watch(replay)
		}
		if off, err := r.views.replays.Cancelled(ctx, replay.ID); err == nil && off {
			cancel(projections.ErrCancelled)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// running returns the replay of a projection that is running; nil when none is.
func running(ctx context.Context, replays projections.Replays, projection string) (*projections.Replay, error) {
	newest, err := replays.Replays(ctx, 50)
	for _, r := range newest {
		if r.Projection == projection && r.At(time.Now()).State == projections.ReplayRunning && r.Kind != projections.ReplayDryRun {
			return &r, nil
		}
	}
	return nil, err
}

// vouch identifies all that makes rows: the log up to a position, by the hash of the commit that ends there, which stands
// for all before it; and this program. What is skipped is the other part: see skipping.
func (r *replaying) vouch(ctx context.Context, upTo domain.Position) (string, error) {
	r.once.Do(func() { r.program, r.failed = hashProgram() })
	if r.failed != nil {
		return "", r.failed
	}
	var hash []byte
	found := errors.New("found")
	for back := domain.Position(64); hash == nil && upTo > 0; back *= 4 {
		after := max(0, upTo-back)
		err := r.log.EachCommit(ctx, after, int(back), func(c domain.StoredCommit) error {
			if c.Last() < upTo {
				return nil
			}
			if c.First <= upTo {
				hash = bytes.Clone(c.Hash)
			}
			return found
		})
		if err != nil && !errors.Is(err, found) {
			return "", err
		}
		if after == 0 {
			break
		}
	}
	return hex.EncodeToString(hash) + " " + r.program, nil
}

func hashProgram() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("which program is this: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("which program is this: %w", err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("which program is this: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
