package sqlite

import (
	"context"
	"database/sql"

	"github.com/cinelog/cinelog/projections"
)

// RebuildBatch is how many events a rebuild saves at once.
const RebuildBatch = rebuildBatch

// BuildIn has builds fold and write so many events at once.
func (r *Rows[R]) BuildIn(fold, write int) { r.build = buildBatches{fold, write} }

// OpenForRebuild opens a generation's file as a rebuild does.
func OpenForRebuild(ctx context.Context, path string) (*sql.DB, error) {
	db, err := open(ctx, path, viewOptions(-32768))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// SaidSum is what a row keeps of its texts.
func SaidSum(v projections.Video) int64 { return saidSum(v) }

// Indexed is what the text index has of a video.
func Indexed(t projections.SearchText) string { return indexed(t) }

// Anywhere is a word as the text index has it for a match anywhere.
func Anywhere(word string) string { return onLevel(projections.LevelDescription, word) }

// Gathered are the rows of a build in the current generation, of which so many events are written at once.
func (r *Rows[R]) Gathered(events int) projections.Rows[R] {
	return &gathered[R]{generationRows: &generationRows[R]{r, r.gens.current}, most: events, beside: true}
}
