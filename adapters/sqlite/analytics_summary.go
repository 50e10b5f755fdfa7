package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Summary sums the days up that begin in [from, to).
func (a *Analytics) Summary(ctx context.Context, from, to time.Time) ([]projections.Day, error) {
	first, end := projections.DayNumbers(from, to)
	var s summary
	err := a.gens.with(ctx, func(g *generation) error {
		s = summary{}
		// One transaction, so that both queries see the same facts.
		tx, err := g.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return unavailable(err)
		}
		if err = s.count(ctx, tx, first, end); err == nil {
			err = s.measure(ctx, tx, first, end)
		}
		return errors.Join(unavailable(err), rollback(tx))
	})
	if err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	return s.days, nil
}

// summary collects days, oldest first.
type summary struct{ days []projections.Day }

func (s *summary) count(ctx context.Context, tx *sql.Tx, first, end int64) error {
	rows, err := tx.QueryContext(ctx, `SELECT day, kind, code, count(*), sum(bytes) FROM facts
		WHERE day >= ? AND day < ? AND kind <> ? GROUP BY day, kind, code ORDER BY day`,
		first, end, projections.FactRequested)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var day, bytes int64
		var kind projections.FactKind
		var code domain.FailureCode
		var n int
		if err := rows.Scan(&day, &kind, &code, &n, &bytes); err != nil {
			return err
		}
		d := s.last(day)
		switch kind {
		case projections.FactUploaded:
			d.Uploads, d.UploadedBytes = n, bytes
		case projections.FactRendition:
			d.Renditions, d.RenditionBytes = n, bytes
		case projections.FactPublished:
			d.Publications = n
		case projections.FactFailed:
			if d.Failures == nil {
				d.Failures = map[domain.FailureCode]int{}
			}
			d.Failures[code] = n
		case projections.FactRequested: // counts as the start of an attempt only
		}
	}
	return rows.Err()
}

// measure adds the processing times. An attempt belongs to the day of its last rendition; one whose start is not
// known yet is not counted yet.
func (s *summary) measure(ctx context.Context, tx *sql.Tx, first, end int64) error {
	rows, err := tx.QueryContext(ctx, `
		WITH seen AS (SELECT DISTINCT video, attempt FROM facts WHERE day >= ?1 AND day < ?2 AND kind = 'rendition'),
		attempts AS (SELECT
			(SELECT min(time) FROM facts f WHERE f.video = seen.video AND f.attempt = seen.attempt
				AND f.kind IN ('uploaded', 'requested')) AS started,
			(SELECT max(time) FROM facts f WHERE f.video = seen.video AND f.attempt = seen.attempt
				AND f.kind = 'rendition') AS ended FROM seen)
		SELECT ended, max(0, ended - started) FROM attempts WHERE started IS NOT NULL`, first, end)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	byDay := map[int64]*projections.Day{}
	for i := range s.days {
		byDay[projections.DayNumber(s.days[i].Day)] = &s.days[i]
	}
	for rows.Next() {
		var ended, took int64
		if err := rows.Scan(&ended, &took); err != nil {
			return err
		}
		// The day of the last rendition has that rendition, so it is among the days, unless it is after the range.
		d, ok := byDay[projections.DayNumber(time.UnixMicro(ended))]
		if !ok {
			continue
		}
		d.Processed++
		d.ProcessingTime += time.Duration(took) * time.Microsecond
		d.LongestProcessing = max(d.LongestProcessing, time.Duration(took)*time.Microsecond)
	}
	return rows.Err()
}

// last returns the newest day, after making it day.
func (s *summary) last(day int64) *projections.Day {
	start := projections.NumberedDay(day)
	if n := len(s.days); n == 0 || !s.days[n-1].Day.Equal(start) {
		s.days = append(s.days, projections.Day{Day: start})
	}
	return &s.days[len(s.days)-1]
}
