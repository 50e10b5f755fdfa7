package mongo_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
)

// someCommits is about the memory of so many small commits.
func someCommits(n int) int { return n * 1000 }

// openTail opens a log that keeps few commits in memory.
func openTail(t testing.TB, uri string, bytes int) *mongo.Log {
	t.Helper()
	db := connect(t, uri)
	mongo.TailBytes(db, bytes)
	l, err := mongo.OpenLog(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, l)
	return l
}

// TestSmallTail runs the suite over logs that forget early, by themselves and two at once.
func TestSmallTail(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T, uri string) contract.Log{
		"few kept": func(t *testing.T, uri string) contract.Log { t.Helper(); return openTail(t, uri, someCommits(3)) },
		"two logs": func(t *testing.T, uri string) contract.Log {
			t.Helper()
			return &twoLogs{Log: openTail(t, uri, someCommits(5)), other: openTail(t, uri, someCommits(1))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contract.EventLog(t, func(t *testing.T) contract.Log {
				t.Helper()
				uri := newDatabase(t)
				l, check := open(t, uri), openLog(t, uri)
				t.Cleanup(func() { verify(t, check.LogReader) })
				return l
			})
		})
	}
}

// TestMemoryEqualsQuery asks logs that have all, some and none of their commits in memory for everything there is to
// ask: the answers are the same.
func TestMemoryEqualsQuery(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	writer := openTail(t, uri, someCommits(6))
	random := rand.New(rand.NewPCG(1, 2))
	versions := map[string]int{}
	var ids []string
	for range 40 {
		stream := fmt.Sprint("s", random.IntN(5))
		c := domain.Commit{ID: uuid.NewString(), Stream: stream, Expected: versions[stream]}
		for range 1 + random.IntN(3) {
			c.Events = append(c.Events, domain.CaptionAdded{Language: fmt.Sprint("x-", versions[stream])})
			versions[stream]++
		}
		ids = append(ids, c.ID)
		if _, err := writer.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	fresh, all, none := openTail(t, uri, someCommits(6)), openLog(t, uri), openTail(t, uri, 0)
	head, err := none.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(what string, question func(l *mongo.Log) ([]domain.Recorded, error)) {
		want, err := question(none)
		if err != nil {
			t.Fatal(err)
		}
		for name, l := range map[string]*mongo.Log{"the writer": writer, "one opened later": fresh, "one with all": all} {
			got, err := question(l)
			if diff := cmp.Diff(want, got); err != nil || len(want)+len(got) > 0 && diff != "" {
				t.Errorf("%s, of %s: %v, query against memory:\n%s", what, name, err, diff)
			}
		}
	}
	for after := range head + 2 {
		for _, limit := range []int{1, 2, 5, 100} {
			ask(fmt.Sprint("after ", after, " up to ", limit), func(l *mongo.Log) ([]domain.Recorded, error) {
				return l.ReadAfter(t.Context(), after, limit)
			})
		}
	}
	for stream, version := range versions {
		for after := range version + 2 {
			ask(fmt.Sprint(stream, " after ", after), func(l *mongo.Log) ([]domain.Recorded, error) {
				return l.ReadStream(t.Context(), stream, after)
			})
		}
	}
	for _, id := range append(ids, "unknown") {
		ask("commit "+id, func(l *mongo.Log) ([]domain.Recorded, error) { return l.ReadCommit(t.Context(), id) })
	}
	if some, whole := mongo.Kept(writer.LogReader), mongo.Kept(all.LogReader); some < 2 || some > 12 || whole != len(ids) || mongo.Kept(none.LogReader) > 0 {
		t.Errorf("%d, %d and %d commits are kept of %d: the test shows nothing", some, whole, mongo.Kept(none.LogReader), len(ids))
	}
}

// TestFallingBehind has others append while a log does not look: few commits, some, and more than it fetches at once.
func TestFallingBehind(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	l, other := openLog(t, uri), openLog(t, uri)
	reader, err := mongo.OpenLogReadOnly(t.Context(), connect(t, uri))
	if err != nil {
		t.Fatal(err)
	}
	var at domain.Position
	version := 0
	appendTo := func(l *mongo.Log) {
		t.Helper()
		a, err := l.Append(t.Context(), domain.Commit{
			ID: uuid.NewString(), Stream: "shared", Expected: version, Events: []domain.Event{domain.VideoPublished{}},
		})
		at++
		if version++; err != nil || a.Position != at || a.Version != version {
			t.Fatalf("appended %+v, %v, want position %d, version %d", a, err, at, version)
		}
	}
	for _, n := range []int{1, 3, 4, 5, 30, 1200, 2} {
		// What it knew of a stream is wrong where it begins anew, after more than it fetches and before what it begins with.
		for i, part := range []int{n - n/8, n / 8} {
			if err := appendMany(t.Context(), other, 16, part); err != nil {
				t.Fatal(err)
			}
			if at += domain.Position(part); i == 0 {
				appendTo(other)
			}
		}
		n++
		for name, r := range map[string]*mongo.LogReader{"the log": l.LogReader, "its reader": reader} {
			if head, err := r.Head(t.Context()); err != nil || head != at {
				t.Errorf("the head of %s: %d, %v, want %d", name, head, err, at)
			}
			if events, err := r.ReadAfter(t.Context(), at-domain.Position(n), n+1); err != nil || len(events) != n || events[n-1].Position != at {
				t.Errorf("%d new events of %s, %v, want %d", len(events), name, err, n)
			}
		}
		appendTo(l)
	}
	verify(t, l.LogReader)
}

// TestReadersOfTwoWriters has several readers follow the log and its streams by three logs of one database while two of
// them append: nobody sees a gap, and whoever is told of an event finds it everywhere.
func TestReadersOfTwoWriters(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	logs := []*mongo.Log{openLog(t, uri), openTail(t, uri, someCommits(4)), openTail(t, uri, 0)}
	const commits = 60
	var writing, reading sync.WaitGroup
	for w, l := range logs[:2] {
		writing.Go(func() {
			stream := fmt.Sprint("s", w)
			for version := range commits {
				a, err := l.Append(t.Context(), domain.Commit{
					ID: uuid.NewString(), Stream: stream, Expected: version, Events: []domain.Event{domain.VideoPublished{}},
				})
				if err != nil {
					t.Error(err)
					return
				}
				for i, reader := range logs {
					if head, err := reader.Head(t.Context()); err != nil || head < a.Position {
						t.Errorf("log %d ends at %d, %v, after an append at %d", i, head, err, a.Position)
					}
					events, err := reader.ReadStream(t.Context(), stream, version)
					if err != nil || len(events) != 1 || events[0].Position != a.Position {
						t.Errorf("log %d has %v of %s after version %d, %v", i, events, stream, version, err)
					}
				}
			}
		})
	}
	for _, l := range logs {
		for range 2 {
			reading.Go(func() { follow(t, l, 2*commits) })
		}
	}
	writing.Wait()
	reading.Wait()
	verify(t, logs[0].LogReader)
}

// follow reads until a position, and must see every one, and every stream without a gap.
func follow(t *testing.T, l *mongo.Log, until domain.Position) {
	t.Helper()
	versions := map[string]int{}
	for at := domain.Position(0); at < until && t.Context().Err() == nil; {
		events, err := l.ReadAfter(t.Context(), at, 7)
		if err != nil {
			t.Error(err)
			return
		}
		for _, e := range events {
			if at++; e.Position != at {
				t.Errorf("position %d where %d must be", e.Position, at)
				return
			}
			if versions[e.Stream]++; e.Version != versions[e.Stream] {
				t.Errorf("version %d of %s where %d must be", e.Version, e.Stream, versions[e.Stream])
				return
			}
		}
	}
}
