package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Rebuild builds the figures from the first event on, beside those in use, compares the two by day and makes the new
// ones current; o may be nil. Messages and queries go on meanwhile, also in other processes, and then move over; no fact
// is lost on the way. One that was cut off is gone on with as that of Rows. ErrConflict: another rebuild is running.
func (a *Analytics) Rebuild(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return a.rebuild(ctx, log, o.OrZero(), toSwitch)
}

// Verify builds and compares as Rebuild does, and changes nothing: it says whether the figures are those of the log.
func (a *Analytics) Verify(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return a.rebuild(ctx, log, o.OrZero(), toCompare)
}

// Rollback makes the figures before those in use current, after bringing them up to date. Errors as those of Rows.
func (a *Analytics) Rollback(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return a.rebuild(ctx, log, o.OrZero(), toRollBack)
}

func (a *Analytics) rebuild(
	ctx context.Context, log projections.Log, o projections.RebuildOptions, why purpose,
) (done Rebuilt, err error) {
	err = a.gens.beside(ctx, why, o, func(live, next *generation) (switched bool, err error) {
		// A head that is fixed now: writers that are faster than a rebuild must not keep it from ending.
		head, err := log.Head(ctx)
		if err != nil {
			return false, err
		}
		if why != toRollBack {
			if err := next.vouch(ctx, o, head); err != nil {
				return false, err
			}
		}
		target := &factsTarget{next, o.Skip}
		to := projections.CatchUpOptions{Batch: rebuildBatch, Until: head, Progress: o.Progress, Rate: o.Rate, GiveWay: o.GiveWay}
		if done.Position, err = projections.CatchUp(ctx, log, target, to); err != nil {
			return false, err
		}
		if err = next.reads.QueryRowContext(ctx, `SELECT count(*) FROM facts`).Scan(&done.Rows); err != nil {
			return false, unavailable(err)
		}
		done.New = why == toRollBack || live.version != next.version
		if built := done; !built.New {
			done, err = projections.CompareUntilEqual(ctx, func() (Rebuilt, error) { return compareFacts(ctx, live, next, built) })
		}
		if err != nil || why == toCompare {
			return false, err
		}
		if o.Settled != nil {
			if err := o.Settled(ctx); err != nil {
				return false, err
			}
		}
		return a.switchTo(ctx, log, live, target)
	})
	if err != nil {
		err = fmt.Errorf("rebuild %s: %w", projections.AnalyticsName, err)
	}
	return done, err
}

// switchTo makes next current. Nobody can write to live meanwhile, so every fact that is in it has its event in the log
// by now, and next takes it from there. Whoever waits to write looks afterwards where to (see Record).
func (a *Analytics) switchTo(ctx context.Context, log projections.Log, live *generation, next *factsTarget) (switched bool, err error) {
	// What is stopped now is stopped before the switch: nobody must wonder which of the two is current.
	err = live.write(context.WithoutCancel(ctx), func(*sql.Tx) error {
		head, err := log.Head(ctx)
		if err != nil {
			return err
		}
		o := projections.CatchUpOptions{Batch: rebuildBatch, Until: head}
		if _, err := projections.CatchUp(ctx, log, next, o); err != nil {
			return err
		}
		if err := a.gens.replace(live.number, next.gen.number); err != nil {
			return err
		}
		switched = true
		return nil
	})
	return switched, err
}

// compareFacts compares up to the newest fact that live has: of those after it no message has come yet.
func compareFacts(ctx context.Context, live, next *generation, done Rebuilt) (_ Rebuilt, err error) {
	tx, err := live.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return done, unavailable(err)
	}
	defer func() { err = errors.Join(err, rollback(tx)) }()
	var newest domain.Position
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(position), 0) FROM facts`).Scan(&newest); err != nil {
		return done, unavailable(err)
	}
	newest = min(newest, done.Position)
	old, err := scanFacts(ctx, tx, newest)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	built, err := scanFacts(ctx, next.reads, newest)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, built.Close()) }()
	days := map[int64]bool{}
	for old.ok || built.ok {
		was, is := old.fact, built.fact
		switch {
		case !built.ok || (old.ok && was.position < is.position):
			days[was.day()] = true
			old.next()
		case !old.ok || is.position < was.position:
			days[is.day()] = true
			built.next()
		default:
			if was != is {
				days[was.day()], days[is.day()] = true, true
			}
			old.next()
			built.next()
		}
	}
	done.Hash, done.LiveHash, done.New = built.hash(), old.hash(), newest == 0
	if done.New {
		done.LiveHash = ""
	}
	for _, day := range slices.Sorted(maps.Keys(days)) {
		done.Differ(projections.NumberedDay(day).Format(time.DateOnly))
	}
	return done, errors.Join(old.err, built.err)
}

// storedFact is a row of the facts.
type storedFact struct {
	position domain.Position
	time     int64
	kind     string
	video    string
	attempt  int
	code     string
	bytes    int64
	length   int64
}

func (f storedFact) day() int64 { return projections.DayNumber(time.UnixMicro(f.time)) }

// factScan goes through the facts in the order of their events.
type factScan struct {
	rows *sql.Rows
	sum  hash.Hash
	fact storedFact // the current one, if ok
	ok   bool
	err  error
}

// scanFacts begins at the first fact.
func scanFacts(ctx context.Context, q queryer, upTo domain.Position) (*factScan, error) {
	//nolint:rowserrcheck // next looks at it
	rows, err := q.QueryContext(ctx, `SELECT position, time, kind, video, attempt, code, bytes, length FROM facts
		WHERE position <= ? ORDER BY position`, int64(upTo))
	if err != nil {
		return nil, unavailable(err)
	}
	s := &factScan{rows: rows, sum: sha256.New()}
	s.next()
	return s, nil
}

func (s *factScan) next() {
	s.ok = false
	if !s.rows.Next() {
		s.err = unavailable(s.rows.Err())
		return
	}
	f := &s.fact
	s.err = s.rows.Scan(&f.position, &f.time, &f.kind, &f.video, &f.attempt, &f.code, &f.bytes, &f.length)
	s.ok = s.err == nil
	_, _ = fmt.Fprintf(s.sum, "%+v\n", *f)
}

func (s *factScan) hash() string { return hex.EncodeToString(s.sum.Sum(nil)) }

func (s *factScan) Close() error { return s.rows.Close() }
