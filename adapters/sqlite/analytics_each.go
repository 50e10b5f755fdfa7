package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/projections"
)

// Each implements projections.Facts.
func (a *Analytics) Each(ctx context.Context, from, to time.Time, f func(projections.CountedFact) error) error {
	// One statement, so that all of it is as of one moment.
	const query = `SELECT position, time, kind, video, attempt, code, bytes,
		CASE kind WHEN 'uploaded' THEN (SELECT length FROM facts i WHERE i.video = f.video AND i.attempt = f.attempt
			AND i.kind = 'inspected' ORDER BY position LIMIT 1) END,
		CASE WHEN kind = 'rendition' AND position = (SELECT max(position) FROM facts r WHERE r.video = f.video
				AND r.attempt = f.attempt AND r.kind = 'rendition')
			THEN (SELECT time FROM facts s WHERE s.video = f.video AND s.attempt = f.attempt
				AND s.kind IN ('uploaded', 'requested') ORDER BY position LIMIT 1) END
		FROM facts f WHERE time >= ? AND time < ? AND kind NOT IN ('requested', 'inspected')`
	var facts []projections.CountedFact // handed out when a rebuild can no longer begin the statement anew
	err := a.gens.with(ctx, func(g *generation) error {
		facts = nil
		rows, err := g.reads.QueryContext(ctx, query, from.UnixMicro(), to.UnixMicro())
		if err != nil {
			return unavailable(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var fact projections.CountedFact
			var at int64
			var length, began sql.NullInt64
			if err := rows.Scan(&fact.Position, &at, &fact.Kind, &fact.Video, &fact.Attempt, &fact.Code, &fact.Bytes, &length, &began); err != nil {
				return err
			}
			fact.Time, fact.Length = time.UnixMicro(at).UTC(), time.Duration(length.Int64)*time.Millisecond
			if began.Valid { // a clock may have been set back meanwhile
				fact.Done, fact.Took = true, max(0, time.Duration(at-began.Int64)*time.Microsecond)
			}
			facts = append(facts, fact)
		}
		return unavailable(rows.Err())
	})
	for _, fact := range facts {
		if err != nil {
			break
		}
		err = f(fact)
	}
	if err != nil {
		return fmt.Errorf("read facts: %w", err)
	}
	return nil
}
