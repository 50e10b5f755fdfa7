package sqlite_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// traffic is what goes on beside a rebuild: 50 queries and 5 videos a second, and the projector that follows.
type traffic struct {
	b       *testing.B
	catalog *sqlite.Catalog
	log     *sqlite.Log
	words   []string
	ids     []domain.VideoID
	way     projections.RightOfWay

	mu    sync.Mutex
	start time.Time
	alone []time.Duration // what queries took while the rebuild stood still
	took  []time.Duration // and all others
	added int
}

const (
	queriesPerSecond = 50
	videosPerSecond  = 5

	// A rebuild stands still in each fourth turn, so that whatever else the machine does is the same with and without it.
	// What is due at the beginning of a turn is not counted.
	turn     = time.Second
	turns    = 4
	changing = 100 * time.Millisecond
)

// stands tells whether a rebuild stands still at a moment, and until when the turn lasts.
func (t *traffic) stands(at time.Time) (still bool, left time.Duration) {
	passed := at.Sub(t.start)
	return passed/turn%turns == 0, turn - passed%turn
}

// p99 is how long the slowest hundredth took at least.
func p99(b *testing.B, took []time.Duration) time.Duration {
	b.Helper()
	if len(took) < queriesPerSecond {
		b.Fatalf("%d queries were asked: too few to say anything", len(took))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// during has the traffic go on while do runs. What a query takes is counted from the moment at which it was due.
func (t *traffic) during(do func()) {
	t.b.Helper()
	t.start = time.Now()
	ctx, cancel := context.WithCancel(t.b.Context())
	var running sync.WaitGroup
	bell := make(chan struct{}, 1)
	runner := projections.Runner{
		Name: projections.CatalogName, Log: t.log, Target: projections.NewReadModel(projections.CatalogModel(), t.catalog),
		Controls: t.controls(), Skips: &projections.Skips{}, Wake: bell, Tick: time.Second, Now: time.Now,
		Advanced: func(domain.Position) {},
		Halted:   func(_ context.Context, _ projections.Halt, err error) { t.b.Error(err) },
	}
	running.Go(func() { _ = runner.Run(ctx) }) // its error is ctx's
	running.Go(func() { t.paced(ctx, videosPerSecond, func(time.Time) { t.add(); ring(bell) }) })
	running.Go(func() {
		var queries sync.WaitGroup
		t.paced(ctx, queriesPerSecond, func(due time.Time) { queries.Go(func() { t.query(due) }) })
		queries.Wait()
	})
	do()
	cancel()
	running.Wait()
}

func (t *traffic) controls() projections.Controls {
	db, err := sqlite.OpenOperations(t.b.Context(), t.b.TempDir())
	if err != nil {
		t.b.Fatal(err)
	}
	closeAtEnd(t.b, db)
	c, err := sqlite.NewControls(t.b.Context(), db)
	if err != nil {
		t.b.Fatal(err)
	}
	return c
}

func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// paced does something so many times a second. When it is due, another process says, which is told once to begin: so it
// comes from outside as a request does, and not when the runtime finds time to look at its timers.
func (t *traffic) paced(ctx context.Context, perSecond int, do func(due time.Time)) {
	every := time.Second / time.Duration(perSecond)
	clock := exec.CommandContext(ctx, os.Args[0])
	clock.Env = append(os.Environ(), "CINELOG_TEST_TICK="+every.String())
	begin, err := clock.StdinPipe()
	if err != nil {
		t.b.Error(err)
		return
	}
	ticks, err := clock.StdoutPipe()
	if err == nil {
		err = clock.Start()
	}
	if err != nil {
		t.b.Error(err)
		return
	}
	due := time.Now()
	_, err = begin.Write([]byte{1})
	for err == nil {
		var tick [1]byte
		if _, err = io.ReadFull(ticks, tick[:]); err == nil {
			due = due.Add(every)
			do(due)
		}
	}
	if err := clock.Wait(); ctx.Err() == nil {
		t.b.Errorf("the clock stands: %v", err)
	}
}

// tickUntilKilled writes a byte every so often, from the first one that it reads on.
func tickUntilKilled(every string) {
	period, err := time.ParseDuration(every)
	if err == nil {
		_, err = os.Stdin.Read(make([]byte, 1))
	}
	for due := time.Now(); err == nil; {
		due = due.Add(period)
		time.Sleep(time.Until(due))
		_, err = os.Stdout.Write([]byte{1})
	}
}

func (t *traffic) add() {
	t.mu.Lock()
	t.added++
	id := fmt.Sprintf("0190c0a0-0000-7000-8000-%012x", t.added)
	t.mu.Unlock()
	_, err := t.log.Append(context.WithoutCancel(t.b.Context()), domain.Commit{
		ID: id, Stream: id, Time: time.Now(), Events: []domain.Event{domain.VideoCreated{
			Owner: "local", Details: domain.Details{Title: "added " + t.words[0], Visibility: domain.Public}, Publish: domain.PublishAuto,
		}},
	})
	if err != nil {
		t.b.Error(err)
	}
}

// query asks for a first page, or for a video that was there at first: it is never gone.
func (t *traffic) query(due time.Time) {
	defer t.way.Answering()()
	var err error
	if rand.IntN(2) == 0 {
		_, err = t.catalog.Video(context.WithoutCancel(t.b.Context()), t.ids[rand.IntN(len(t.ids))])
	} else {
		q := projections.Query{Text: t.words[200+rand.IntN(5000)], Limit: 20}
		_, err = t.catalog.Search(context.WithoutCancel(t.b.Context()), q)
	}
	took := time.Since(due)
	if err != nil {
		t.b.Errorf("a query failed, or met a catalog that is not whole: %v", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch still, left := t.stands(due); {
	case left > turn-changing:
	case still:
		t.alone = append(t.alone, took)
	default:
		t.took = append(t.took, took)
	}
}

// switched returns how long it takes from now on until the catalog is another generation.
func (t *traffic) switched() time.Duration {
	start := time.Now()
	before, err := t.catalog.Stored(t.b.Context())
	for now := before; err == nil && now.Generation == before.Generation && time.Since(start) < time.Minute; {
		time.Sleep(time.Millisecond)
		now, err = t.catalog.Stored(t.b.Context())
	}
	if err != nil {
		t.b.Error(err)
	}
	return time.Since(start)
}

// BenchmarkRebuildUnderTraffic rebuilds the catalog from 1,000,000 events while 50 queries and 5 uploads a second go on,
// in the same process. "p99_x" is the queries' p99 as a multiple of the p99 without the rebuild, which stands still in each
// fourth second.
func BenchmarkRebuildUnderTraffic(b *testing.B) {
	dir := b.TempDir()
	rows := newBareCatalog(b, dir)
	l := newLibrary()
	var ids []domain.VideoID
	writeLog(b, dir, l.commits(wholeLibrary()), func(e domain.Recorded) {
		rows.add(e)
		if e.Version == 1 {
			ids = append(ids, e.VideoID())
		}
	})
	rows.insert()
	events := rows.head
	rows.finish()
	log := openLog(b, dir)
	t := &traffic{b: b, catalog: openCatalog(b, dir), log: log, words: l.words, ids: ids}
	b.ResetTimer()
	for range b.N {
		t.alone, t.took = nil, nil
		var took time.Duration
		switching := make(chan time.Duration, 1)
		yield := t.way.Yielding(time.Now)
		t.during(func() {
			defer t.way.Working()()
			start := time.Now()
			done, err := t.catalog.Rebuild(b.Context(), log, &projections.RebuildOptions{
				GiveWay: func(ctx context.Context) {
					if still, left := t.stands(time.Now()); still {
						time.Sleep(left)
					}
					yield(ctx)
				},
				Settled: func(context.Context) error { go func() { switching <- t.switched() }(); return nil },
			})
			took = time.Since(start)
			if err != nil || !done.Equal() || done.New || done.Position < events {
				b.Errorf("%+v, %v", done, err)
			}
		})
		toSwitch := <-switching
		alone, beside := p99(b, t.alone), p99(b, t.took)
		b.Logf("queries: p99 %s alone, %s beside a rebuild of %s; switched in %s; %d videos were added", alone, beside, took, toSwitch, t.added)
		b.ReportMetric(beside.Seconds()/alone.Seconds(), "p99_x")
		b.ReportMetric(float64(beside.Microseconds())/1000, "p99_ms")
		b.ReportMetric(float64(alone.Microseconds())/1000, "alone_p99_ms")
		b.ReportMetric(float64(toSwitch.Microseconds())/1000, "switch_ms")
		b.ReportMetric(float64(events)/took.Seconds()*turns/(turns-1), "events/s")
	}
}

// BenchmarkCatchUpAfterOutage catches up with 100,000 events, as a server does that was away, while queries and uploads go
// on. "of_rebuild" is its speed as a part of a rebuild's, which has the machine for itself.
func BenchmarkCatchUpAfterOutage(b *testing.B) {
	const videos, outage = 15_000, 100_000
	dir := b.TempDir()
	l := newLibrary()
	var ids []domain.VideoID
	writeLog(b, dir, l.commits(videos), func(e domain.Recorded) {
		if e.Version == 1 && len(ids) < videos/2 { // those that were there before the outage
			ids = append(ids, e.VideoID())
		}
	})
	log := openLog(b, dir)
	head, err := log.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		catalog, err := sqlite.OpenCatalog(b.Context(), b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		target := projections.NewReadModel(projections.CatalogModel(), catalog)
		if _, err := projections.CatchUp(b.Context(), log, target, projections.CatchUpOptions{Until: head - outage}); err != nil {
			b.Fatal(err)
		}
		rebuild := measure(b, func() {
			other := openCatalog(b, b.TempDir())
			if done, err := other.Rebuild(b.Context(), log, nil); err != nil || done.Rows < videos {
				b.Fatalf("%+v, %v", done, err)
			}
		})
		var behind cost
		t := &traffic{b: b, catalog: catalog, log: log, words: l.words, ids: ids}
		t.during(func() { // its projector is what catches up
			behind = measure(b, func() {
				for {
					at, err := catalog.Checkpoint(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					if at >= head {
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			})
		})
		if err := catalog.Close(); err != nil {
			b.Fatal(err)
		}
		rate := outage / behind.wall.Seconds()
		rebuilt := float64(head) / rebuild.wall.Seconds()
		b.Logf("caught up in %s, rebuilt %d events in %s", behind, head, rebuild)
		b.ReportMetric(rate, "events/s")
		b.ReportMetric(rebuilt, "rebuild/s")
		b.ReportMetric(rate/rebuilt, "of_rebuild")
		head, _ = log.Head(b.Context())
	}
}
