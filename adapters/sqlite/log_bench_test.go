package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

func BenchmarkLog(b *testing.B) {
	contract.EventLogBenchmarks(b, func(b *testing.B) contract.Log {
		b.Helper()
		return openLog(b, b.TempDir())
	})
}

// BenchmarkAppendOfBare measures what the log costs beside SQLite itself: "of_bare" is its speed with 64 writers as a
// part of that of a bare program, which inserts the same rows, ready made, 64 in a transaction, at the same durability.
// The two take turns in slices, so that both meet the same disk and the same neighbours, and the median of the slices
// counts, because a disk has moments. Judge by many slices (-benchtime 20x).
func BenchmarkAppendOfBare(b *testing.B) {
	const writers, slice = 64, 64 * 32
	l := openLog(b, b.TempDir())
	bare := openBare(b)
	var ours, bares, ratios []float64
	for b.Loop() {
		rows := bare.rows(slice)
		var took, bareTook time.Duration
		for turn := range 2 {
			start := time.Now()
			if (turn+len(ratios))%2 == 0 {
				contract.AppendCommits(b, l, writers, slice)
				took = time.Since(start)
			} else {
				bare.insert(rows, writers)
				bareTook = time.Since(start)
			}
		}
		ours, bares = append(ours, slice/took.Seconds()), append(bares, slice/bareTook.Seconds())
		ratios = append(ratios, bareTook.Seconds()/took.Seconds())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(medianOf(ours), "appends/s")
	b.ReportMetric(medianOf(bares), "bare/s")
	b.ReportMetric(medianOf(ratios), "of_bare")
	b.ReportMetric(slices.Min(ratios), "of_bare_min")
	b.ReportMetric(slices.Max(ratios), "of_bare_max")
}

func medianOf(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// bare is the bare program.
type bare struct {
	b    *testing.B
	db   *sql.DB
	next int
}

func openBare(b *testing.B) *bare {
	b.Helper()
	dir := b.TempDir()
	openLog(b, dir).Close() // for the table
	db, err := sqlite.OpenDB(b.Context(), filepath.Join(dir, "events.db"), sqlite.Full)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return &bare{b: b, db: db, next: 1}
}

// rows makes rows like those that AppendCommits leads to: 64 streams at a time, 20 events in each.
func (p *bare) rows(n int) [][]any {
	streams := make([]string, 64)
	rows := make([][]any, n)
	for i := range rows {
		at := p.next
		p.next++
		eventType, data, err := domain.EncodeEvent(contract.TypicalEvent(at))
		if err != nil {
			p.b.Fatal(err)
		}
		version := i/len(streams)%20 + 1
		if version == 1 {
			id, err := domain.NewVideoID()
			if err != nil {
				p.b.Fatal(err)
			}
			streams[i%len(streams)] = string(id)
		}
		rows[i] = []any{
			at, 1, streams[i%len(streams)], version, uuid.NewString(), time.Now().UnixMicro(),
			`{"actor":"local","correlation":"c-1","causation":"7","request":"abc"}`,
			[]byte(`[{"type":"` + eventType + `","data":` + string(data) + `}]`), make([]byte, 32),
		}
	}
	return rows
}

func (p *bare) insert(rows [][]any, group int) {
	ctx := p.b.Context()
	must := func(err error) {
		if err != nil {
			p.b.Fatal(err)
		}
	}
	for len(rows) > 0 {
		tx, err := p.db.BeginTx(ctx, nil)
		must(err)
		stmt, err := tx.PrepareContext(ctx, "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
		must(err)
		for _, row := range rows[:group] {
			_, err := stmt.ExecContext(ctx, row...)
			must(err)
		}
		must(stmt.Close())
		must(tx.Commit())
		rows = rows[group:]
	}
}
