package mongo_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
)

// fast returns a clock that goes on by a second each time that somebody looks.
func fast() func() time.Time {
	var looks atomic.Int64
	start := time.Now()
	return func() time.Time { return start.Add(time.Duration(looks.Add(1)) * time.Second) }
}

// twoRows returns one read model as two processes have it open. The second one's clock is fast, so that it does not wait
// for the first one for long.
func twoRows(t *testing.T) (a, b *mongo.Rows[contract.Row]) {
	t.Helper()
	uri := newDatabase(t)
	a = openRows(t, uri)
	db, err := mongo.Open(t.Context(), uri, fast())
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, db)
	if b, err = mongo.OpenRows(t.Context(), db, projections.Model[contract.Row]{Name: "rows", Version: 1}); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func wantRows(t *testing.T, r *mongo.Rows[contract.Row], want ...contract.Row) {
	t.Helper()
	got, err := r.Scan(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows, want against got:\n%s", diff)
	}
}

func wantCheckpoint(t *testing.T, r *mongo.Rows[contract.Row], want domain.Position) {
	t.Helper()
	if at, err := r.Checkpoint(t.Context()); err != nil || at != want {
		t.Errorf("checkpoint %d, %v; want %d", at, err, want)
	}
}

func save(t *testing.T, r *mongo.Rows[contract.Row], rows map[string]contract.Row, drop []string, from, to domain.Position) {
	t.Helper()
	if err := r.Save(t.Context(), rows, drop, from, to); err != nil {
		t.Fatalf("Save from %d to %d: %v", from, to, err)
	}
}

type rowMap = map[string]contract.Row

// TestSaveCutOff cuts a Save off after it was decided: whoever asks for the checkpoint next finds it whole.
func TestSaveCutOff(t *testing.T) {
	t.Parallel()
	for name, pick := range map[string]func(a, b *mongo.Rows[contract.Row]) *mongo.Rows[contract.Row]{
		"by the same process":       func(a, _ *mongo.Rows[contract.Row]) *mongo.Rows[contract.Row] { return a },
		"by another, after a while": func(_, b *mongo.Rows[contract.Row]) *mongo.Rows[contract.Row] { return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := twoRows(t)
			save(t, a, rowMap{"k1": {Text: "1"}, "k2": {Text: "2"}, "x": {Text: "x"}}, nil, 0, 3)
			begin, _, err := mongo.Decide(t.Context(), a, rowMap{"k1": {Text: "new"}, "k3": {Text: "3"}}, []string{"k"}, 3, 5)
			if err != nil {
				t.Fatal(err)
			}
			wantRows(t, b, contract.Row{Text: "1"}, contract.Row{Text: "2"}, contract.Row{Text: "x"})
			if err := begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := pick(a, b)
			wantCheckpoint(t, r, 5)
			wantRows(t, r, contract.Row{Text: "new"}, contract.Row{Text: "3"}, contract.Row{Text: "x"})
			save(t, r, rowMap{"k4": {Text: "4"}}, nil, 5, 6)
			if _, withRows, err := mongo.StepDocuments(t.Context(), r); err != nil || withRows > 0 {
				t.Errorf("%d steps still hold their rows, %v", withRows, err)
			}
		})
	}
}

// TestLateWriter lets a writer apply its step after others have finished that and gone on: nothing changes.
func TestLateWriter(t *testing.T) {
	t.Parallel()
	a, b := twoRows(t)
	save(t, a, rowMap{"a": {Count: 1}, "b": {Count: 1}}, nil, 0, 1)
	_, late, err := mongo.Decide(t.Context(), a, rowMap{"a": {Count: 2}, "c": {Count: 2}, "d": {Count: 2}}, []string{"b"}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	wantCheckpoint(t, b, 2)
	save(t, b, rowMap{"a": {Count: 3}, "b": {Count: 3}}, []string{"c"}, 2, 3)
	save(t, b, nil, []string{"a"}, 3, 4)
	want := []contract.Row{{Count: 3}, {Count: 2}} // b and d
	wantRows(t, b, want...)
	if err := late(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, b, want...)
	wantCheckpoint(t, b, 4)
	if err := a.Save(t.Context(), rowMap{"z": {}}, nil, 2, 3); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("the late one goes on where it believes to be: %v, want ErrConflict", err)
	}
	wantRows(t, b, want...)
}

// TestOneWriterWins lets two processes save from the same checkpoint, again and again: one of them does.
func TestOneWriterWins(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	writers := []*mongo.Rows[contract.Row]{openRows(t, uri), openRows(t, uri), openRows(t, uri)}
	var won atomic.Int64
	for i := range domain.Position(20) {
		var wins atomic.Int64
		var wg sync.WaitGroup
		for w, r := range writers {
			wg.Go(func() {
				switch err := r.Save(t.Context(), rowMap{"a": {Text: fmt.Sprint(i, " by ", w)}}, nil, i, i+1); {
				case err == nil:
					wins.Add(1)
					won.Store(int64(w))
				case !errors.Is(err, domain.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d of %d saves from %d went through", wins.Load(), len(writers), i)
		}
		wantRows(t, writers[0], contract.Row{Text: fmt.Sprint(i, " by ", won.Load())})
	}
}

// TestLargeSave saves more than a document of MongoDB holds.
func TestLargeSave(t *testing.T) {
	t.Parallel()
	a, b := twoRows(t)
	rows := rowMap{}
	var want []contract.Row
	for i := range 3 {
		row := contract.Row{Text: strings.Repeat(strconv.Itoa(i), 9<<18)}
		rows[fmt.Sprint("k", i)] = row
		want = append(want, row)
	}
	save(t, a, rows, nil, 0, 1)
	wantRows(t, b, want...)
	if all, withRows, err := mongo.StepDocuments(t.Context(), a); err != nil || all != 1 || withRows != 0 {
		t.Errorf("%d documents of steps, %d with rows, %v; want 1 without", all, withRows, err)
	}
	if _, _, err := mongo.Decide(t.Context(), a, rows, []string{""}, 1, 2); err != nil {
		t.Fatal(err)
	}
	wantCheckpoint(t, b, 2)
	wantRows(t, b, want...)
	if all, _, err := mongo.StepDocuments(t.Context(), b); err != nil || all != 2 {
		t.Errorf("%d documents of steps, %v; want 2", all, err)
	}
}

// TestStepsAreTrimmed keeps no more steps than are of use.
func TestStepsAreTrimmed(t *testing.T) {
	t.Parallel()
	r := openRows(t, newDatabase(t))
	const keep, steps = 10, 41
	mongo.KeepSteps(r, keep)
	for i := range domain.Position(steps) {
		save(t, r, nil, nil, i, i+1)
	}
	all, _, err := mongo.StepDocuments(t.Context(), r)
	if err != nil || all > keep+2 || all < keep {
		t.Errorf("%d steps are kept of %d, %v; want about %d", all, steps, err, keep)
	}
	wantCheckpoint(t, r, steps)
}

// TestServerDiesUnderProjectors kills the server again and again while two processes keep one read model up to date:
// the rows are those that the log gives.
func TestServerDiesUnderProjectors(t *testing.T) {
	t.Parallel()
	server := backends.StartMongo(t)
	uri := server.URL + "?serverSelectionTimeoutMS=300"
	if _, err := connect(t, uri).Provision(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	const videos = 100
	story := manyTitles(videos)
	for i := range videos {
		story.Add(fmt.Sprint("v", i%30), domain.VideoPublished{})
	}
	var wg sync.WaitGroup
	applied := make(chan struct{}, len(story.Events))
	catalogs := []*mongo.Catalog{openCatalog(t, uri), openCatalog(t, uri)}
	for i, c := range catalogs {
		wg.Go(func() {
			target := projections.NewReadModel(projections.CatalogModel(), c)
			for {
				at, err := projections.CatchUp(t.Context(), story, target, projections.CatchUpOptions{
					Batch: 3 + i, Progress: func(domain.Position) { applied <- struct{}{} },
				})
				if err == nil && at == domain.Position(len(story.Events)) {
					return
				}
				if err != nil && !errors.Is(err, domain.ErrConflict) && !errors.Is(err, domain.ErrUnavailable) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		for range 8 {
			<-applied
		}
		server.Stop(t)
		server.Start(t)
	}
	wg.Wait()
	done, err := catalogs[0].Verify(t.Context(), story, nil)
	if err != nil || done.Rows != videos || done.Position != 2*videos || len(done.Different) > 0 {
		t.Errorf("afterwards: %+v, %v", done, err)
	}
}
