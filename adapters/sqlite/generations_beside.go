package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// purpose says which generation is put beside the live one, and what becomes of it.
type purpose int

const (
	toSwitch   purpose = iota // a new one, or one that was cut off
	toCompare                 // a new one, and it is removed
	toRollBack                // the one before
)

// beside lets build fill a generation beside the current one and, maybe, make it current. The one that was current is
// then kept, until the next time. ErrConflict: another rebuild is running.
func (gs *generations) beside(
	ctx context.Context, why purpose, o projections.RebuildOptions, build func(live, next *generation) (switched bool, err error),
) (err error) {
	unlock, err := gs.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if o.Begun != nil {
		o.Begun()
	}
	live, release, err := gs.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	next, err := gs.next(ctx, why, o, live)
	if err != nil {
		return err
	}
	if o.GiveWay != nil {
		next.giveWay = o.GiveWay
	}
	switched := false
	defer func() {
		err = errors.Join(err, next.Close())
		switch {
		case switched:
			err = errors.Join(err, gs.removeOthers(next.number, live.number))
		case why == toRollBack, why == toSwitch && o.Vouch != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), projections.ErrCancelled):
			// It may be wanted again.
		default:
			gs.remove(next.number)
		}
	}()
	switched, err = build(live, next)
	return err
}

// next opens the generation to put beside live, and clears away what nobody wants any longer.
func (gs *generations) next(ctx context.Context, why purpose, o projections.RebuildOptions, live *generation) (next *generation, err error) {
	before := gs.before()
	if why == toRollBack {
		if before == 0 {
			return nil, fmt.Errorf("%w: no generation before the one in use is kept of %s", domain.ErrNotFound, gs.name)
		}
		if next, err = gs.open(ctx, before); err != nil {
			return nil, err
		}
		if err := gs.outdated(next); err != nil {
			return nil, closing(next, fmt.Errorf("%w: the generation before cannot be brought up to date: %w", domain.ErrConflict, err))
		}
		return next, nil
	}
	if why == toSwitch && o.Vouch != nil && !o.Fresh {
		if next, err = gs.cutOff(ctx, o, live.number, before); err != nil {
			return nil, err
		}
	}
	keep := []int{live.number, before}
	if next != nil {
		return next, gs.removeOthers(append(keep, next.number)...)
	}
	if why == toSwitch { // one who only looks leaves what was cut off to the others
		if err := gs.removeOthers(keep...); err != nil {
			return nil, err
		}
	}
	return gs.create(ctx)
}

// cutOff finds a build that can be gone on with; nil when there is none.
func (gs *generations) cutOff(ctx context.Context, o projections.RebuildOptions, but ...int) (*generation, error) {
	numbers, err := gs.numbers()
	if err != nil {
		return nil, err
	}
	for _, n := range numbers {
		if n == but[0] || n == but[1] {
			continue
		}
		g, err := gs.open(ctx, n)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue // it is disposable
		}
		at, err := gs.vouched(ctx, o, g)
		if err == nil && at > 0 {
			if o.Resumed != nil {
				o.Resumed(at)
			}
			return g, nil
		}
		if err := errors.Join(err, g.Close()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// vouched returns how far a build has come, or 0 when it was made of something else than this one would be.
func (gs *generations) vouched(ctx context.Context, o projections.RebuildOptions, g *generation) (domain.Position, error) {
	var upTo domain.Position
	var text string
	err := g.reads.QueryRowContext(ctx, `SELECT position, vouched FROM build`).Scan(&upTo, &text)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil || g.version != gs.version {
		return 0, nil //nolint:nilerr // it says nothing of itself
	}
	at, err := checkpoint(ctx, g.reads)
	if err != nil || at <= 0 || at > upTo {
		return 0, err
	}
	now, err := o.Vouch(ctx, upTo)
	if err != nil || now != text {
		return 0, err
	}
	return at, nil
}

// vouch has a build say what it is made of up to a position, before it gets there.
func (g *generation) vouch(ctx context.Context, o projections.RebuildOptions, upTo domain.Position) error {
	if o.Vouch == nil {
		return nil
	}
	text, err := o.Vouch(ctx, upTo)
	if err != nil {
		return fmt.Errorf("what the build is made of: %w", err)
	}
	return g.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM build`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO build VALUES (?, ?)`, int64(upTo), text)
		return err
	})
}

// A generation that was replaced stands below zero, so that nothing can be applied to it, until it is rolled back to.
func retired(at domain.Position) domain.Position { return -at - 1 }

func unretired(at domain.Position) domain.Position {
	if at < 0 {
		return -at - 1
	}
	return at
}

// revive lets a generation that was replaced go on.
func (g *generation) revive(ctx context.Context) error {
	return g.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE meta SET checkpoint = -checkpoint - 1 WHERE checkpoint < 0`)
		return err
	})
}

// lock keeps other rebuilds of the same read model out, in this process and others, until unlock or the process's
// end: it is a lock of SQLite on a file that has no other use.
func (gs *generations) lock(ctx context.Context) (unlock func() error, err error) {
	db, err := open(ctx, filepath.Join(gs.dir, "views-"+gs.name+".lock"), url.Values{
		"_txlock": {"exclusive"}, "_pragma": {"busy_timeout(0)"},
	})
	if err == nil {
		var tx *sql.Tx
		if tx, err = db.BeginTx(context.WithoutCancel(ctx), nil); err == nil {
			return func() error { return errors.Join(rollback(tx), db.Close()) }, nil
		}
		err = closing(db, err)
	}
	if errors.Is(unavailable(err), domain.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", domain.ErrConflict, err)
	}
	return nil, fmt.Errorf("another rebuild of %s is running: %w", gs.name, err)
}
