package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// BenchmarkSearch searches 100,000 videos by texts of several kinds, for the first page by relevance as the HTTP
// interface answers it by default. "p99-of-bare" is the 99th percentile of the time for one search as a multiple of that
// of a bare program, which runs one prepared FTS5 query on the same table: all words as prefixes, wherever they stand,
// the newest 21, with their documents unread. The two take turns. "rank-p99-ms" is what FTS5 takes for an order by
// relevance of its own (bm25).
func BenchmarkSearch(b *testing.B) {
	dir := b.TempDir()
	c := openCatalog(b, dir)
	l := newLibrary()
	fillCatalog(b, c, l, 100_000)
	db, err := sqlite.OpenDB(b.Context(), filepath.Join(dir, "views-catalog-1.db"), sqlite.Normal)
	if err != nil {
		b.Fatal(err)
	}
	closeAtEnd(b, db)
	const page = `SELECT v.key, v.doc FROM texts CROSS JOIN rows v ON v.seq = texts.rowid WHERE texts MATCH ?`
	newest, rank := prepare(b, db, page+` ORDER BY texts.rowid DESC LIMIT 21`), prepare(b, db, page+` ORDER BY rank LIMIT 21`)
	kinds := queryKinds(l)
	mix := slices.Concat(kinds["common"], kinds["medium"], kinds["rare"], kinds["prefix"], kinds["two"], kinds["described"])
	for _, kind := range []string{"common", "medium", "rare", "prefix", "two", "described", "mix"} {
		queries := kinds[kind]
		if kind == "mix" {
			queries = mix
		}
		b.Run(kind, func(b *testing.B) {
			var ours, bare, ranked []time.Duration
			for range b.N {
				for i, text := range queries {
					ours = append(ours, timed(func() { search(b, c, text) }))
					bare = append(bare, timed(func() { readAll(b, newest, text) }))
					if i%20 == 0 {
						ranked = append(ranked, timed(func() { readAll(b, rank, text) }))
					}
				}
			}
			p := percentile(ours, 99)
			b.ReportMetric(p.Seconds()*1000, "p99-ms")
			b.ReportMetric(percentile(bare, 99).Seconds()*1000, "bare-p99-ms")
			b.ReportMetric(percentile(ranked, 99).Seconds()*1000, "rank-p99-ms")
			b.ReportMetric(p.Seconds()/percentile(bare, 99).Seconds(), "p99-of-bare")
			b.ReportMetric(percentile(ours, 50).Seconds()*1000, "p50-ms")
			b.ReportMetric(percentile(bare, 50).Seconds()*1000, "bare-p50-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// queryKinds are a hundred texts of each kind that people search for.
func queryKinds(l *library) map[string][]string {
	kinds := map[string][]string{}
	add := func(kind, text string) { kinds[kind] = append(kinds[kind], text) }
	r := l.random
	said := func() string { return l.words[l.zipf.Uint64()] } // as often as it is written
	for range 100 {
		add("common", l.words[r.IntN(50)])
		add("medium", l.words[50+r.IntN(2000)])
		add("rare", l.words[2000+r.IntN(vocabulary-2000)])
		w := said()
		add("prefix", w[:min(2+r.IntN(3), len(w))])
		add("two", said()+" "+said())
		add("described", []string{"subscribe", "creative", "licensed", "follow", "vid"}[r.IntN(5)]) // see closing
	}
	return kinds
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func percentile(d []time.Duration, p int) time.Duration {
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*p/100)]
}

func prepare(b *testing.B, db *sql.DB, query string) *sql.Stmt {
	b.Helper()
	stmt, err := db.PrepareContext(b.Context(), query)
	if err != nil {
		b.Fatal(err)
	}
	closeAtEnd(b, stmt)
	return stmt
}

func readAll(b *testing.B, stmt *sql.Stmt, text string) {
	b.Helper()
	words := strings.Fields(text)
	for i, w := range words {
		words[i] = `"` + sqlite.Anywhere(w) + `"*`
	}
	rows, err := stmt.QueryContext(b.Context(), strings.Join(words, " AND "))
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key, doc sql.RawBytes
		if err := rows.Scan(&key, &doc); err != nil {
			b.Fatal(err)
		}
	}
	if rows.Err() != nil {
		b.Fatal(rows.Err())
	}
}

// fillCatalog saves videos that are ready.
func fillCatalog(b *testing.B, c *sqlite.Catalog, l *library, videos int) {
	b.Helper()
	rows := map[string]projections.Video{}
	m := projections.CatalogModel()
	var saved, at domain.Position
	for i := range videos {
		for _, commit := range l.life() {
			for j, e := range commit.Events {
				at++
				rows[commit.Stream] = m.Fold(commit.Stream, rows[commit.Stream], domain.Recorded{
					Position: at, Stream: commit.Stream, Version: commit.Expected + j + 1, Time: l.at, Event: e,
				})
			}
		}
		l.at = l.at.Add(time.Minute)
		if len(rows) == 5000 || i == videos-1 {
			if err := c.Save(b.Context(), rows, nil, saved, at); err != nil {
				b.Fatal(err)
			}
			saved = at
			clear(rows)
		}
	}
}

func search(b *testing.B, c *sqlite.Catalog, text string) {
	b.Helper()
	if _, err := c.Search(b.Context(), projections.Query{Text: text}); err != nil {
		b.Fatal(err)
	}
}
