package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// BenchmarkRebuild rebuilds the catalog from a log of 1,000,000 events of 47,620 videos, beside a live one, with all
// that belongs to it: reading and decoding the log, comparing with the live catalog, switching. "of_bare" is its speed
// as a part of that of a bare program, which inserts the same rows with the same text index, ready made in memory, in
// batches of as many events. The bare program writes the live catalog, so the comparison shows that both wrote the same.
func BenchmarkRebuild(b *testing.B) {
	dir := b.TempDir()
	rows := newBareCatalog(b, dir)
	videos := wholeLibrary()
	writeLog(b, dir, newLibrary().commits(videos), rows.add)
	bare := measure(b, rows.insert)
	events := rows.head
	rows.finish()
	log, err := sqlite.OpenLogReadOnly(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	closeAtEnd(b, log)
	c := openCatalog(b, dir)
	b.ResetTimer()
	for range b.N {
		ours := measure(b, func() {
			defer new(projections.RightOfWay).Working()() // as the command does
			done, err := c.Rebuild(b.Context(), log, nil)
			if err != nil || done.Rows != videos || done.Position != events || done.Hash != done.LiveHash {
				b.Fatalf("%+v, %v", done, err)
			}
		})
		b.Logf("ours %s, bare %s", ours, bare)
		b.ReportMetric(float64(events)/ours.wall.Seconds(), "events/s")
		b.ReportMetric(float64(events)/bare.wall.Seconds(), "bare/s")
		b.ReportMetric(bare.wall.Seconds()/ours.wall.Seconds(), "of_bare")
	}
}

// millionEvents is so many videos that their events are a million, or a few more: a library has 21 of each.
const millionEvents = 47_620

// wholeLibrary is that, or with -short a fourth of it, to try things out.
func wholeLibrary() int {
	if testing.Short() {
		return millionEvents / 4
	}
	return millionEvents
}

// cost is what something took, and what CPU time all others of the machine took meanwhile: where that is much, the wall
// time says little.
type cost struct{ wall, cpu, others time.Duration }

func (c cost) String() string {
	return fmt.Sprintf("%.2f s (CPU %.2f s, others %.2f s)", c.wall.Seconds(), c.cpu.Seconds(), c.others.Seconds())
}

func measure(b *testing.B, do func()) cost {
	b.Helper()
	runtime.GC()
	start, own, all := time.Now(), ownCPU(b), machineCPU()
	do()
	c := cost{wall: time.Since(start), cpu: ownCPU(b) - own}
	c.others = max(0, machineCPU()-all-c.cpu)
	return c
}

// ownCPU is the CPU time of this process until now.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// machineCPU is for how long all CPUs together have worked until now; 0 where there is no /proc.
func machineCPU() (busy time.Duration) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line) { // cpu user nice system idle iowait irq softirq steal
		if ticks, err := strconv.ParseInt(field, 10, 64); err == nil && i < 9 && i != 4 && i != 5 {
			busy += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return busy
}

// writeLog fills a log, without the wait for each commit, and shows each event to see.
func writeLog(b *testing.B, dir string, commits func(func(domain.Commit) bool), see func(domain.Recorded)) {
	b.Helper()
	ctx := b.Context()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	openLog(b, dir).Close() // for the table
	db, err := sqlite.OpenDB(ctx, filepath.Join(dir, "events.db"), "OFF")
	must(err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -65536")
	must(err)
	insert, err := db.PrepareContext(ctx, "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, zeroblob(32))")
	must(err)
	position := domain.Position(1)
	begin, next := "BEGIN", position
	for c := range commits {
		if position >= next {
			_, err := db.ExecContext(ctx, begin)
			must(err)
			begin, next = "COMMIT; BEGIN", position+5000
		}
		body := []byte(`[`)
		for i, e := range c.Events {
			see(domain.Recorded{
				Position: position + domain.Position(i), Stream: c.Stream, Version: c.Expected + 1 + i, Time: c.Time, Meta: c.Meta, Event: e,
			})
			eventType, data, err := domain.EncodeEvent(e)
			must(err)
			if i > 0 {
				body = append(body, ',')
			}
			body = append(append(append(append(body, `{"type":"`...), eventType...), `","data":`...), data...)
			body = append(body, '}')
		}
		meta, err := json.Marshal(c.Meta)
		must(err)
		_, err = insert.ExecContext(ctx, position, len(c.Events), c.Stream, c.Expected+1, c.ID, c.Time.UnixMicro(), string(meta), append(body, ']'))
		must(err)
		position += domain.Position(len(c.Events))
	}
	must(insert.Close())
	_, err = db.ExecContext(ctx, "COMMIT; PRAGMA journal_mode = WAL")
	must(err)
}

// bareCatalog is the bare program: it has the statements of each batch with their arguments.
type bareCatalog struct {
	b       *testing.B
	db      *sql.DB
	model   projections.Model[projections.Video]
	rows    map[string]projections.Video
	changed map[string]bool
	said    map[string]string
	batches [][]statement
	head    domain.Position
}

type statement struct {
	query string
	args  []any
}

func newBareCatalog(b *testing.B, dir string) *bareCatalog {
	b.Helper()
	if err := openCatalog(b, dir).Close(); err != nil { // for the tables
		b.Fatal(err)
	}
	db, err := sqlite.OpenForRebuild(b.Context(), filepath.Join(dir, "views-catalog-1.db"))
	if err != nil {
		b.Fatal(err)
	}
	return &bareCatalog{
		b: b, db: db, model: projections.CatalogModel(), rows: map[string]projections.Video{},
		changed: map[string]bool{}, said: map[string]string{},
	}
}

// add folds an event and, with the last of a batch, makes the batch's statements.
func (p *bareCatalog) add(e domain.Recorded) {
	p.head = e.Position
	p.rows[e.Stream] = p.model.Fold(e.Stream, p.rows[e.Stream], e)
	p.changed[e.Stream] = true
	if e.Position%sqlite.RebuildBatch == 0 {
		p.endBatch()
	}
}

func (p *bareCatalog) endBatch() {
	var batch []statement
	do := func(query string, args ...any) { batch = append(batch, statement{query, args}) }
	// In the order of creation, which is the best one for the indexes.
	ids := slices.SortedFunc(maps.Keys(p.changed), func(a, b string) int { return int(p.rows[a].Created - p.rows[b].Created) })
	for _, id := range ids {
		v := p.rows[id]
		doc, err := json.Marshal(v)
		if err != nil {
			p.b.Fatal(err)
		}
		seq := int64(v.Created)
		said := sqlite.SaidSum(v)
		before, known := p.said[id]
		p.said[id] = v.Details.Title
		switch {
		case known && before == v.Details.Title:
			do(`UPDATE rows SET status = ?, visibility = ?, duration = ?, doc = ? WHERE seq = ?`,
				string(v.Status), string(v.Details.Visibility), v.Duration, doc, seq)
			continue
		case known: // the title is new, nothing else
			do(`UPDATE rows SET status = ?, visibility = ?, duration = ?, title = ?, said = ?, doc = ? WHERE seq = ?`,
				string(v.Status), string(v.Details.Visibility), v.Duration, v.TitleKey(), said, doc, seq)
			do(`DELETE FROM texts WHERE rowid = ?`, seq)
		default:
			do(`INSERT INTO rows (seq, key, deleted, status, visibility, created_at, duration, title, said, doc)
				VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)`, seq, id, string(v.Status), string(v.Details.Visibility),
				v.CreatedAt.UnixMicro(), v.Duration, v.TitleKey(), said, doc)
			for _, t := range v.Details.Tags {
				do(`INSERT OR IGNORE INTO tags (tag, seq) VALUES (?, ?)`, t, seq)
			}
			for name, value := range v.Details.Metadata {
				do(`INSERT INTO metadata (name, value, seq) VALUES (?, ?, ?)`, name, value, seq)
			}
		}
		do(`INSERT INTO texts (rowid, words) VALUES (?, ?)`, seq, sqlite.Indexed(v.SearchText()))
	}
	p.batches = append(p.batches, batch)
	clear(p.changed)
}

// insert runs all statements.
func (p *bareCatalog) insert() {
	p.endBatch()
	ctx := context.Background() // nobody interrupts it: the driver has less to do
	must := func(err error) {
		if err != nil {
			p.b.Fatal(err)
		}
	}
	prepared := map[string]*sql.Stmt{}
	for _, batch := range p.batches {
		_, err := p.db.ExecContext(ctx, "BEGIN IMMEDIATE")
		must(err)
		for _, s := range batch {
			stmt := prepared[s.query]
			if stmt == nil {
				stmt, err = p.db.PrepareContext(ctx, s.query)
				must(err)
				prepared[s.query] = stmt
			}
			_, err := stmt.ExecContext(ctx, s.args...)
			must(err)
		}
		_, err = p.db.ExecContext(ctx, "COMMIT")
		must(err)
	}
	for _, stmt := range prepared {
		must(stmt.Close())
	}
}

// finish makes a read model of what was inserted, and lets go of everything.
func (p *bareCatalog) finish() {
	_, err := p.db.ExecContext(p.b.Context(), "UPDATE meta SET checkpoint = ?", int64(p.head))
	if err = errors.Join(err, p.db.Close()); err != nil {
		p.b.Fatal(err)
	}
	p.batches, p.rows, p.said = nil, nil, nil
}
