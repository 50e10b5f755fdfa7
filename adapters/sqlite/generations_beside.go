package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/cinelog/cinelog/domain"
)

// beside lets build fill a new generation beside the current one and, maybe, make it current. Whichever of the two is
// not current afterwards is removed. ErrConflict: another rebuild is running.
func (gs *generations) beside(
	ctx context.Context, build func(live, next *generation) (switched bool, err error),
) (err error) {
	unlock, err := gs.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	live, release, err := gs.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := gs.removeOthers(live.number); err != nil {
		return err
	}
	next, err := gs.create(ctx)
	if err != nil {
		return err
	}
	switched := false
	defer func() {
		err = errors.Join(err, next.Close())
		if switched {
			gs.remove(live.number)
		} else {
			gs.remove(next.number)
		}
	}()
	switched, err = build(live, next)
	return err
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
