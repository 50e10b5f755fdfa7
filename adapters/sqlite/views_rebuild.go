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

const rebuildBatch = 5000

// Rebuild builds the read model from the first event on, beside the one in use, compares the two at the same position
// and makes the new one current; progress may be nil. Queries go on meanwhile, also in other processes, and then move
// over. It also works while another process keeps the read model up to date. ErrConflict: another rebuild is running.
func (r *Rows[R]) Rebuild(ctx context.Context, log projections.Log, progress func(domain.Position)) (Rebuilt, error) {
	return r.rebuild(ctx, log, progress, true)
}

// Verify does all that Rebuild does except to switch: it says whether the read model is what the log gives.
func (r *Rows[R]) Verify(ctx context.Context, log projections.Log, progress func(domain.Position)) (Rebuilt, error) {
	return r.rebuild(ctx, log, progress, false)
}

func (r *Rows[R]) rebuild(
	ctx context.Context, log projections.Log, progress func(domain.Position), switchOver bool,
) (done Rebuilt, err error) {
	err = r.gens.beside(ctx, func(live, next *generation) (switched bool, err error) {
		if done, err = r.build(ctx, log, live, next, progress); err != nil || !switchOver {
			return false, err
		}
		return r.switchTo(ctx, log, live, next)
	})
	return done, err
}

// switchTo makes next current. Nobody can write to live meanwhile, so next is as new as the newest that a query has
// seen; and nobody can write to live afterwards, so no projector goes on there believing that it is current.
func (r *Rows[R]) switchTo(ctx context.Context, log projections.Log, live, next *generation) (switched bool, err error) {
	target := projections.NewReadModel(r.model, &generationRows[R]{r, next})
	catchUp := func(q queryer) error {
		at, err := checkpoint(ctx, q)
		if err != nil {
			return err
		}
		_, err = projections.CatchUp(ctx, log, target, projections.CatchUpOptions{Batch: rebuildBatch, Until: at})
		return err
	}
	if err := catchUp(live.reads); err != nil { // most of it before the others have to wait
		return false, fmt.Errorf("switch read model %s: %w", r.model.Name, err)
	}
	live.saving.Lock()
	defer live.saving.Unlock()
	// What is stopped now is stopped before the switch: nobody must wonder which of the two is current.
	tx, err := live.writes.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return false, fmt.Errorf("switch read model %s: %w", r.model.Name, unavailable(err))
	}
	if err = catchUp(tx); err == nil {
		_, err = tx.ExecContext(context.WithoutCancel(ctx), `UPDATE meta SET checkpoint = ?`, retiredCheckpoint)
	}
	if err == nil {
		err = r.gens.point(next.number)
	}
	if err != nil {
		return false, errors.Join(fmt.Errorf("switch read model %s: %w", r.model.Name, unavailable(err)), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return true, fmt.Errorf("retire the old %s: %w", r.model.Name, unavailable(err))
	}
	return true, nil
}

// retiredCheckpoint is where a generation stands that was replaced: nothing can be applied after it.
const retiredCheckpoint = -1

// build fills next and compares it with live.
func (r *Rows[R]) build(
	ctx context.Context, log projections.Log, live, next *generation, progress func(domain.Position),
) (Rebuilt, error) {
	// A head that is fixed now: writers that are faster than a rebuild must not keep it from ending.
	head, err := log.Head(ctx)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild %s: %w", r.model.Name, err)
	}
	target := projections.NewReadModel(r.model, &generationRows[R]{r, next})
	o := projections.CatchUpOptions{Batch: rebuildBatch, Until: head, Progress: progress}
	at, err := projections.CatchUp(ctx, log, target, o)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild %s: %w", r.model.Name, err)
	}
	// The one in use may be behind, where nobody keeps it up to date: help it, as any projector may.
	for {
		liveAt, err := checkpoint(ctx, live.reads)
		if err != nil {
			return Rebuilt{}, err
		}
		if liveAt >= at {
			break
		}
		if liveAt == 0 {
			done := Rebuilt{Position: at, New: true}
			done.Hash, done.Rows, err = hashDocs(ctx, next.reads)
			return done, err
		}
		old := projections.NewReadModel(r.model, &generationRows[R]{r, live})
		_, err = projections.CatchUp(ctx, log, old, projections.CatchUpOptions{Batch: rebuildBatch, Until: at})
		if err != nil && !errors.Is(err, domain.ErrConflict) {
			return Rebuilt{}, fmt.Errorf("catch up %s: %w", r.model.Name, err)
		}
	}
	before, err := live.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // holds live at one moment
	if err != nil {
		return Rebuilt{}, unavailable(err)
	}
	done, err := r.compare(ctx, log, before, next, target)
	return done, errors.Join(err, rollback(before))
}

func (r *Rows[R]) compare(
	ctx context.Context, log projections.Log, before *sql.Tx, next *generation, target projections.Target,
) (done Rebuilt, err error) {
	if done.Position, err = checkpoint(ctx, before); err != nil {
		return done, err
	}
	if _, err = projections.CatchUp(ctx, log, target, projections.CatchUpOptions{Until: done.Position}); err != nil {
		return done, fmt.Errorf("rebuild %s: %w", r.model.Name, err)
	}
	if done.LiveHash, _, err = hashDocs(ctx, before); err != nil {
		return done, err
	}
	if done.Hash, done.Rows, err = hashDocs(ctx, next.reads); err != nil || done.Hash == done.LiveHash {
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
	err = eachDoc(ctx, next.reads, "", func(key string, doc []byte) error {
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
