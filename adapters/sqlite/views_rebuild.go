package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Rebuilt is the outcome of a rebuild.
type Rebuilt = projections.Rebuilt

// Rebuild builds the read model from the first event on, beside the one in use, compares the two at the same position
// and makes the new one current; o may be nil. Queries go on meanwhile, also in other processes, and then move over. It
// also works while another process keeps the read model up to date. The one before is kept until the next rebuild. One
// that ctx or a crash has cut off is gone on with, if o.Vouch says the same as then. ErrConflict: another rebuild is
// running.
func (r *Rows[R]) Rebuild(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return r.rebuild(ctx, log, o.OrZero(), toSwitch)
}

// Verify builds and compares as Rebuild does, and changes nothing: it says whether the read model is what the log gives,
// as far as it has come.
func (r *Rows[R]) Verify(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return r.rebuild(ctx, log, o.OrZero(), toCompare)
}

// Rollback makes the generation before the current one, after bringing it up to date. ErrNotFound: none is kept.
// ErrConflict: a rebuild is running, or the one before is of another version of the model.
func (r *Rows[R]) Rollback(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (Rebuilt, error) {
	return r.rebuild(ctx, log, o.OrZero(), toRollBack)
}

func (r *Rows[R]) rebuild(
	ctx context.Context, log projections.Log, o projections.RebuildOptions, why purpose,
) (done Rebuilt, err error) {
	err = r.gens.beside(ctx, why, o, func(live, next *generation) (switched bool, err error) {
		model := r.model
		model.Skip = o.Skip
		b := &build[R]{rows: r, log: log, o: o, live: live, next: next}
		b.built = &gathered[R]{
			generationRows: &generationRows[R]{r, next}, most: projections.PacedBatch(r.build.write, o.Rate),
			beside: o.Rate == 0 && o.GiveWay == nil,
		}
		b.target = projections.NewReadModel(model, b.built)
		if why == toRollBack {
			done, err = b.rollBack(ctx)
		} else {
			done, err = b.compared(ctx, why == toSwitch)
		}
		if err != nil || why == toCompare {
			return false, err
		}
		return b.switchTo(ctx)
	})
	if err != nil {
		err = fmt.Errorf("rebuild %s: %w", r.model.Name, err)
	}
	return done, err
}

// build is a rebuild under way.
type build[R any] struct {
	rows       *Rows[R]
	log        projections.Log
	o          projections.RebuildOptions
	live, next *generation
	built      *gathered[R]       // the rows of next
	target     projections.Target // next
}

// catchUp brings next to a position, which is not 0.
func (b *build[R]) catchUp(ctx context.Context, until domain.Position) error {
	_, err := projections.CatchUp(ctx, b.log, b.target, projections.CatchUpOptions{
		Batch: b.rows.build.fold, Until: until, Progress: b.o.Progress, Rate: b.o.Rate, GiveWay: b.o.GiveWay,
	})
	return b.built.store(ctx, err)
}

// compared fills next, compares it with live where that has come, and goes on to the head if it is to be used.
func (b *build[R]) compared(ctx context.Context, toUse bool) (done Rebuilt, err error) {
	// A head that is fixed now: writers that are faster than a rebuild must not keep it from ending.
	head, err := b.log.Head(ctx)
	if err != nil {
		return done, err
	}
	if err := b.next.vouch(ctx, b.o, head); err != nil {
		return done, err
	}
	at, err := checkpoint(ctx, b.live.reads)
	if err != nil {
		return done, err
	}
	fresh := at <= 0 || b.live.version != b.next.version
	if !fresh {
		if err := b.catchUp(ctx, min(at, max(head, 1))); err != nil {
			return done, err
		}
		before, err := b.live.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // holds live at one moment
		if err != nil {
			return done, unavailable(err)
		}
		done, err = b.compare(ctx, before)
		if err := errors.Join(err, rollback(before)); err != nil {
			return done, err
		}
	}
	if head > 0 && (fresh || toUse) {
		err = b.catchUp(ctx, head)
	}
	if fresh && err == nil {
		done = Rebuilt{New: true}
		done.Hash, done.Rows, err = hashDocs(ctx, b.next.reads, b.next.giveWay)
		if err == nil {
			done.Position, err = checkpoint(ctx, b.next.reads)
		}
	}
	return done, err
}

// rollBack brings the generation before up to date.
func (b *build[R]) rollBack(ctx context.Context) (done Rebuilt, err error) {
	if err := b.next.revive(ctx); err != nil {
		return done, err
	}
	head, err := b.log.Head(ctx)
	if err == nil && head > 0 {
		err = b.catchUp(ctx, head)
	}
	if err != nil {
		return done, err
	}
	done.New = true
	if done.Hash, done.Rows, err = hashDocs(ctx, b.next.reads, b.next.giveWay); err == nil {
		done.Position, err = checkpoint(ctx, b.next.reads)
	}
	return done, err
}

// switchTo makes next current. Nobody can write to live meanwhile, so next is as new as the newest that a query has
// seen; and nobody can write to live afterwards, so no projector goes on there believing that it is current.
func (b *build[R]) switchTo(ctx context.Context) (switched bool, err error) {
	b.o.Rate, b.o.GiveWay, b.next.giveWay = 0, nil, func(context.Context) {} // what is left is little, and others wait for it
	var stood domain.Position
	catchUp := func(q queryer) error {
		if stood, err = checkpoint(ctx, q); err != nil || stood <= 0 {
			return err
		}
		return b.catchUp(ctx, stood)
	}
	if err := catchUp(b.live.reads); err != nil { // most of it before the others have to wait
		return false, fmt.Errorf("switch: %w", err)
	}
	for _, g := range []*generation{b.next, b.live} { // else a commit while others wait might be the one that has to do it
		if _, err := g.writes.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`); err != nil {
			return false, fmt.Errorf("switch: %w", unavailable(err))
		}
	}
	if b.o.Settled != nil {
		if err := b.o.Settled(ctx); err != nil {
			return false, fmt.Errorf("switch: %w", err)
		}
	}
	b.live.saving.Lock()
	defer b.live.saving.Unlock()
	// What is stopped now is stopped before the switch: nobody must wonder which of the two is current.
	tx, err := b.live.writes.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return false, fmt.Errorf("switch: %w", unavailable(err))
	}
	if err = catchUp(tx); err == nil && stood >= 0 {
		_, err = tx.ExecContext(context.WithoutCancel(ctx), `UPDATE meta SET checkpoint = ?`, int64(retired(stood)))
	}
	if err == nil {
		err = b.rows.gens.replace(b.live.number, b.next.number)
	}
	if err != nil {
		return false, errors.Join(fmt.Errorf("switch: %w", unavailable(err)), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return true, fmt.Errorf("retire the old one: %w", unavailable(err))
	}
	return true, nil
}

// compare compares next with live at the moment of a transaction. next may have been built further already, by a rebuild
// that was cut off: then there is nothing to compare with.
func (b *build[R]) compare(ctx context.Context, before *sql.Tx) (done Rebuilt, err error) {
	if done.Position, err = checkpoint(ctx, before); err != nil {
		return done, err
	}
	if done.Position < 0 {
		return done, fmt.Errorf("%w: it was rebuilt meanwhile", domain.ErrConflict)
	}
	if err = b.catchUp(ctx, done.Position); err != nil {
		return done, err
	}
	if at, err := checkpoint(ctx, b.next.reads); err != nil || at > done.Position {
		done.Position, done.New = at, true
		if err == nil {
			done.Hash, done.Rows, err = hashDocs(ctx, b.next.reads, b.next.giveWay)
		}
		return done, err
	}
	if done.LiveHash, _, err = hashDocs(ctx, before, b.next.giveWay); err != nil {
		return done, err
	}
	if done.Hash, done.Rows, err = hashDocs(ctx, b.next.reads, b.next.giveWay); err != nil || done.Hash == done.LiveHash {
		return done, err
	}
	// Rows are compared one by one only where there is something to find.
	old := map[string][]byte{}
	if err = eachDoc(ctx, before, "", func(key string, doc []byte) error {
		old[key] = append([]byte{}, doc...)
		return nil
	}); err != nil {
		return done, err
	}
	err = eachDoc(ctx, b.next.reads, "", func(key string, doc []byte) error {
		if have, ok := old[key]; !ok || string(have) != string(doc) {
			done.Differ(key)
		}
		delete(old, key)
		return nil
	})
	for key := range old {
		done.Differ(key)
	}
	return done, err
}

// generationRows are the rows of one generation, current or not.
type generationRows[R any] struct {
	rows *Rows[R]
	gen  *generation
}

func (g *generationRows[R]) Checkpoint(ctx context.Context) (domain.Position, error) {
	return checkpoint(ctx, g.gen.reads)
}

func (g *generationRows[R]) Load(ctx context.Context, keys []string) (map[string]R, error) {
	return loadDocs[R](ctx, g.gen.reads, keys)
}

func (g *generationRows[R]) Save(
	ctx context.Context, rows map[string]R, drop []string, from, to domain.Position,
) error {
	return g.rows.saveTo(ctx, g.gen, rows, drop, from, to)
}
