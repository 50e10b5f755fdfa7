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
	if err := r.gens.dropOthers(ctx, live.name); err != nil {
		return fmt.Errorf("clean %s: %w", r.model.Name, err)
	}
	return nil
}
