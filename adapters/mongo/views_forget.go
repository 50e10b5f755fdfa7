package mongo

import (
	"context"
	"fmt"
)

// Forget drops the generation before, and builds that were cut off: they may have rows of what is deleted since. What others
// have in work goes on. Generations of other versions of the model are other releases' business.
// ErrConflict: a rebuild is running.
func (r *Rows[R]) Forget(ctx context.Context) error {
	ctx, release, err := r.gens.db.lease(ctx, "rebuild of "+r.model.Name)
	if err != nil {
		return err
	}
	defer release()
	live, err := r.gens.acquire(ctx, true)
	if err != nil {
		return err
	}
	if err := r.dropOthers(ctx, live.name); err != nil {
		return fmt.Errorf("clean %s: %w", r.model.Name, err)
	}
	return nil
}

// dropOthers drops the generations of which nobody needs any longer what is in them.
func (r *Rows[R]) dropOthers(ctx context.Context, but ...string) error {
	others, err := r.gens.others(ctx, but...)
	if err != nil {
		return err
	}
	for _, name := range others {
		unused, err := r.gens.unused(ctx, name)
		if err == nil && unused {
			err = r.gens.db.drop(ctx, r.gens.view, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
