package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Analytics keeps the facts behind the figures, in generations as the other read models. Figures are summed up when
// they are asked for: sums of what is there once cannot be wrong, whatever came twice or late.
//
// Facts come by messages. The checkpoint only says up to where facts have also been taken from the log itself.
type Analytics struct{ gens *generations }

var _ projections.Facts = (*Analytics)(nil)

const analyticsSchema = `
CREATE TABLE facts (
	position INTEGER PRIMARY KEY,
	time INTEGER NOT NULL,    -- microseconds since 1970
	kind TEXT NOT NULL,
	video TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	code TEXT NOT NULL,
	bytes INTEGER NOT NULL,
	length INTEGER NOT NULL   -- milliseconds
) STRICT;
CREATE INDEX facts_by_time ON facts (time);
CREATE INDEX facts_by_attempt ON facts (video, attempt, kind, position, time, length);
`

// OpenAnalytics opens or creates the figures in dir.
func OpenAnalytics(ctx context.Context, dir string) (*Analytics, error) {
	// Facts have no documents: where the tables are the same, they can be served.
	served := func(context.Context, queryer) error { return nil }
	gens, err := openGenerations(ctx, dir, projections.AnalyticsName, projections.AnalyticsVersion, analyticsSchema, served)
	if err != nil {
		return nil, err
	}
	return &Analytics{gens: gens}, nil
}

// Close closes the files when the queries under way have ended.
func (a *Analytics) Close() error { return a.gens.Close() }

// Record stores facts; one whose position is there already changes nothing.
func (a *Analytics) Record(ctx context.Context, facts []projections.Fact) error {
	// A rebuild that has switched meanwhile may have read the log before these facts' events were in it. Once they are
	// in the generation that is current afterwards, they stay: a later switch finds the events in the log.
	for range 3 {
		var in int
		err := a.gens.with(ctx, func(g *generation) error {
			in = g.number
			return g.write(ctx, func(tx *sql.Tx) error { return insertFacts(ctx, tx, facts) })
		})
		if err != nil {
			return fmt.Errorf("record facts: %w", err)
		}
		if now, err := a.gens.pointer(); now == in || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return fmt.Errorf("record facts: %w: the figures are being rebuilt", domain.ErrUnavailable)
}

func insertFacts(ctx context.Context, tx *sql.Tx, facts []projections.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, `INSERT OR IGNORE INTO facts (position, time, kind, video, attempt, code, bytes, length)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	for _, f := range facts {
		if _, err := insert.ExecContext(ctx, f.Position, f.Time.UnixMicro(), f.Kind,
			f.Video, f.Attempt, f.Code, f.Bytes, f.Length.Milliseconds()); err != nil {
			return closing(insert, fmt.Errorf("the fact of event %d: %w", f.Position, err))
		}
	}
	return insert.Close()
}

// CatchUp takes the facts from the log that no message brought: those from before the figures were kept, and those of
// messages that were lost with the queues. Messages may come meanwhile. skip names events that mean nothing; it may be
// nil. ErrOutdated: the facts are those of another version.
func (a *Analytics) CatchUp(ctx context.Context, log projections.Log, skip func(domain.Position) bool) error {
	for {
		err := a.gens.with(ctx, func(g *generation) error {
			if err := a.gens.outdated(g); err != nil {
				return err
			}
			_, err := projections.CatchUp(ctx, log, &factsTarget{g, skip}, projections.CatchUpOptions{})
			return err
		})
		if !errors.Is(err, domain.ErrConflict) {
			return err
		}
	}
}

// factsTarget takes the facts of one generation from the log.
type factsTarget struct {
	gen  *generation
	skip func(domain.Position) bool
}

var _ projections.Target = (*factsTarget)(nil)

// Checkpoint implements projections.Target.
func (t *factsTarget) Checkpoint(ctx context.Context) (domain.Position, error) {
	return checkpoint(ctx, t.gen.reads)
}

// Apply implements projections.Target.
func (t *factsTarget) Apply(ctx context.Context, events []domain.Recorded) error {
	if len(events) == 0 {
		return nil
	}
	return t.gen.write(ctx, func(tx *sql.Tx) error {
		if err := moveCheckpoint(ctx, tx, events[0].Position-1, events[len(events)-1].Position); err != nil {
			return err
		}
		return insertFacts(ctx, tx, projections.FactsOf(projections.Given(events, t.skip)...))
	})
}

// Stored says what is stored of the figures. They stand at their newest fact, or where the log was last read up to:
// what came after that by messages, and means nothing for the figures, leaves no trace.
func (a *Analytics) Stored(ctx context.Context) (projections.Stored, error) {
	s, err := a.gens.stored(ctx)
	if err != nil {
		return s, err
	}
	err = a.gens.with(ctx, func(g *generation) error {
		var newest domain.Position
		err := g.reads.QueryRowContext(ctx, `SELECT coalesce(max(position), 0) FROM facts`).Scan(&newest)
		s.Position = max(s.Position, newest)
		return unavailable(err)
	})
	return s, err
}
