package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
)

// TestServerAway stops the server under an open log: everything is ErrUnavailable until it is back, then all goes on
// without anybody opening anything again.
func TestServerAway(t *testing.T) {
	t.Parallel()
	server := backends.StartMongo(t)
	db := connect(t, server.URL+"?serverSelectionTimeoutMS=300")
	if _, err := db.Provision(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	l, err := mongo.OpenLog(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, l)
	appendSome(t, l)
	c, err := mongo.OpenCatalog(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	a, err := mongo.OpenAnalytics(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	story := manyTitles(3)
	catchUp(t, story, c)
	server.Stop(t)
	lost := domain.Commit{ID: uuid.NewString(), Stream: "c", Events: []domain.Event{domain.VideoPublished{}}}
	for name, do := range map[string]func(context.Context) error{
		"append":  func(ctx context.Context) error { _, err := l.Append(ctx, lost); return err },
		"head":    func(ctx context.Context) error { _, err := l.Head(ctx); return err },
		"read":    func(ctx context.Context) error { _, err := l.ReadAfter(ctx, 0, 10); return err },
		"stream":  func(ctx context.Context) error { _, err := l.ReadStream(ctx, "a", 0); return err },
		"commit":  func(ctx context.Context) error { _, err := l.ReadCommit(ctx, "x"); return err },
		"verify":  func(ctx context.Context) error { _, err := l.VerifyChain(ctx); return err },
		"ping":    db.Ping,
		"another": func(ctx context.Context) error { _, err := mongo.OpenLogReadOnly(ctx, db); return err },
		"rows":    func(ctx context.Context) error { _, err := c.Checkpoint(ctx); return err },
		"load":    func(ctx context.Context) error { _, err := c.Video(ctx, "v1"); return err },
		"scan":    func(ctx context.Context) error { _, err := c.Scan(ctx, ""); return err },
		"save":    func(ctx context.Context) error { return c.Save(ctx, nil, []string{"v1"}, 3, 4) },
		"search":  func(ctx context.Context) error { _, err := c.Search(ctx, projections.Query{Text: "go"}); return err },
		"facets": func(ctx context.Context) error {
			_, err := c.Search(ctx, projections.Query{Facets: []string{projections.FacetTag}})
			return err
		},
		"rebuild": func(ctx context.Context) error { _, err := c.Rebuild(ctx, story, nil); return err },
		"facts":   func(ctx context.Context) error { return a.Record(ctx, []projections.Fact{{Position: 1}}) },
		"figures": func(ctx context.Context) error {
			return a.Each(ctx, time.Time{}, time.Now(), func(projections.CountedFact) error { return nil })
		},
	} {
		if err := do(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s while the server is away: %v", name, err)
		}
	}
	server.Start(t)
	appended, err := l.Append(t.Context(), lost)
	for errors.Is(err, domain.ErrUnavailable) { // the driver looks for it twice a second
		appended, err = l.Append(t.Context(), lost)
	}
	if want := (domain.Appended{Position: 13, Version: 1}); err != nil || appended != want {
		t.Errorf("sent again when the server is back: %+v, %v; want %+v", appended, err, want)
	}
	verify(t, l.LogReader)
	story.Create("new", "fresh")
	catchUp(t, story, c)
	if n := len(find(t, c, projections.Query{}).Items); n != 4 {
		t.Errorf("%d videos found when the server is back, want 4", n)
	}
}

// TestServerDiesUnderLoad kills the server again and again while two logs append to it. Every writer sends a commit
// until it is acknowledged, so that all of them are there in the end, once, in one chain.
func TestServerDiesUnderLoad(t *testing.T) {
	t.Parallel()
	server := backends.StartMongo(t)
	uri := server.URL + "?serverSelectionTimeoutMS=300"
	if _, err := connect(t, uri).Provision(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	const writers, commits, deaths = 8, 25, 4
	logs := []*mongo.Log{openLog(t, uri), openLog(t, uri)}
	progress := make(chan struct{}, writers*commits)
	var retries sync.Map
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			stream := fmt.Sprint("s", i)
			for version := range commits {
				c := domain.Commit{ID: fmt.Sprint(stream, "-", version), Stream: stream, Expected: version, Events: []domain.Event{domain.VideoPublished{}}}
				for {
					a, err := logs[(i+version)%2].Append(t.Context(), c)
					if err == nil && a.Version == version+1 {
						break
					}
					if !errors.Is(err, domain.ErrUnavailable) {
						t.Errorf("%s at %d: %+v, %v", stream, version, a, err)
						return
					}
					retries.Store(c.ID, true)
				}
				progress <- struct{}{}
			}
		})
	}
	for range deaths {
		for range writers * commits / (deaths + 1) {
			<-progress
		}
		server.Stop(t)
		server.Start(t)
	}
	wg.Wait()
	verify(t, logs[0].LogReader)
	if head, err := logs[0].Head(t.Context()); err != nil || head != writers*commits {
		t.Errorf("head %d, %v; want %d", head, err, writers*commits)
	}
	n := 0
	retries.Range(func(any, any) bool { n++; return true })
	if n == 0 {
		t.Error("no append met the server's death: the test shows nothing")
	}
	t.Logf("%d of %d commits were sent more than once", n, writers*commits)
}

// TestAnswerLost cuts the connection after the server has stored a commit and before the log hears of it: sending it
// again gives the first result.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	proxied, proxy := throughProxy(t, uri)
	l := openLog(t, proxied+"?serverSelectionTimeoutMS=1000&retryWrites=false")
	appendSome(t, l)
	c := domain.Commit{ID: uuid.NewString(), Stream: "c", Events: []domain.Event{domain.VideoPublished{}}}
	proxy.swallow(c.ID)
	if _, err := l.Append(t.Context(), c); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("an append whose answer was lost: %v", err)
	}
	direct := openLog(t, uri)
	if events, err := direct.ReadCommit(t.Context(), c.ID); err != nil || len(events) != 1 {
		t.Fatalf("the commit is not stored: %d events, %v: the test shows nothing", len(events), err)
	}
	next := domain.Commit{ID: uuid.NewString(), Stream: "c", Expected: 1, Events: []domain.Event{domain.VideoUnpublished{}}}
	if _, err := direct.Append(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	a, err := l.Append(t.Context(), c)
	for errors.Is(err, domain.ErrUnavailable) {
		a, err = l.Append(t.Context(), c)
	}
	if want := (domain.Appended{Position: 13, Version: 1}); err != nil || a != want {
		t.Errorf("sent again: %+v, %v; want %+v", a, err, want)
	}
	verify(t, l.LogReader)
}

// TestAppendWhoseContextEnds stops the server so that of two appends one is in the running batch and the other waits when
// both contexts end: the one gets the batch's result, the other its context's error.
func TestAppendWhoseContextEnds(t *testing.T) {
	t.Parallel()
	server := backends.StartMongo(t)
	db := connect(t, server.URL+"?serverSelectionTimeoutMS=2000")
	if _, err := db.Provision(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	l, err := mongo.OpenLog(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, l)
	server.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	errs := make(chan error)
	for range 2 {
		go func() {
			_, err := l.Append(ctx, domain.Commit{ID: uuid.NewString(), Stream: uuid.NewString(), Events: []domain.Event{domain.VideoPublished{}}})
			errs <- err
		}()
	}
	if err := <-errs; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("the append that waited: %v", err)
	}
	if err := <-errs; !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("the append in the running batch: %v", err)
	}
}

func TestAppendRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	l := openLog(t, newDatabase(t))
	large := func(n int) domain.Commit {
		return domain.Commit{ID: uuid.NewString(), Stream: uuid.NewString(), Events: []domain.Event{
			domain.SourceRejected{Failure: domain.Failure{Detail: strings.Repeat("x", n)}},
		}}
	}
	if _, err := l.Append(t.Context(), large(15<<20)); !errors.Is(err, domain.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := l.Append(t.Context(), large(15<<20-1000)); err != nil {
		t.Error(err)
	}
}
