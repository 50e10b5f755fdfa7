package sqlite_test

import (
	"database/sql"
	"path/filepath"
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
// The two take turns in slices, so that both meet the same disk and the same neighbours.
func BenchmarkAppendOfBare(b *testing.B) {
	const writers, slice = 64, 64 * 32
	l := openLog(b, b.TempDir())
	bare := openBare(b)
	var ours, bares time.Duration
	b.ResetTimer()
	for range b.N {
		start := time.Now()
		contract.AppendCommits(b, l, writers, slice)
		ours += time.Since(start)
		rows := bare.rows(slice)
		start = time.Now()
		bare.insert(rows, writers)
		bares += time.Since(start)
	}
	total := float64(b.N * slice)
	b.ReportMetric(total/ours.Seconds(), "appends/s")
	b.ReportMetric(total/bares.Seconds(), "bare/s")
	b.ReportMetric(bares.Seconds()/ours.Seconds(), "of_bare")
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
