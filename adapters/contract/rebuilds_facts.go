package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// RebuiltFacts are facts that can be rebuilt, as a catalog can.
type RebuiltFacts interface {
	projections.Facts
	Rebuildable

	// CatchUp takes the facts from the log that no message brought.
	CatchUp(ctx context.Context, log projections.Log, skip func(domain.Position) bool) error
}

// FactsPlace is a place where facts are kept.
type FactsPlace struct {
	Open        func(t *testing.T) RebuiltFacts // as one more process does
	Generations func(t *testing.T) []string     // the names of those that are there
	Rebuilds    int                             // so many while facts come
}

// RebuildsOfFacts checks how the figures are rebuilt. place makes an empty one.
func RebuildsOfFacts(t *testing.T, place func(t *testing.T) FactsPlace) {
	for name, test := range map[string]func(*testing.T, FactsPlace){
		"the past is learned from the log":          factsOfThePast,
		"damage is found and repaired":              damagedFacts,
		"one that is behind is not wrong":           factsBehind,
		"one that had not begun":                    noFacts,
		"no fact is lost between generations":       factsUnderTraffic,
		"a fact that comes at the switch":           factAtTheSwitch,
		"one that was cut off goes on":              resumedFacts,
		"a rollback":                                rollbackOfFacts,
		"skipped events, and what stops the switch": skippedFacts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t))
		})
	}
}

// Uploads is a story of one upload an hour: 24 a day from 2026-01-01 on.
func Uploads(n int) *Story {
	s := &Story{}
	for i := range n {
		s.Add(fmt.Sprint("v", i), domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Bytes: int64(i)}})
	}
	return s
}

func record(t *testing.T, facts projections.Facts, events ...domain.Recorded) {
	t.Helper()
	if err := projections.RecordEvents(t.Context(), facts, events...); err != nil {
		t.Fatal(err)
	}
}

// AllUploads checks that the figures are those of all events of a story of uploads.
func AllUploads(t *testing.T, facts projections.Facts, story *Story) {
	t.Helper()
	want := map[time.Time]*projections.Figures{}
	for _, e := range story.Events {
		day := projections.UTCDay(e.Time)
		if want[day] == nil {
			want[day] = &projections.Figures{}
		}
		want[day].Uploads++
		uploaded, _ := e.Event.(domain.VideoUploaded)
		want[day].UploadedBytes += uploaded.Source.Bytes
	}
	got, err := projections.Summarize(t.Context(), time.Unix(0, 0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), projections.Daily, facts.Each)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(projections.Figures{})); err != nil || diff != "" {
		t.Errorf("%v, figures, want against got:\n%s", err, diff)
	}
}

// What happened before there were figures, or while messages were lost, is learned from the log, once.
func factsOfThePast(t *testing.T, p FactsPlace) {
	story := Uploads(30)
	for range 2 { // opened again, all is there
		facts := p.Open(t)
		record(t, facts, story.Events[7])
		read := 0
		if err := facts.CatchUp(t.Context(), counting{story, &read}, nil); err != nil || read > 30 {
			t.Fatalf("%d events read, %v", read, err)
		}
		AllUploads(t, facts, story)
		if s := kept(t, facts); s.Position != domain.Position(len(story.Events)) || s.Previous != "" {
			t.Errorf("stored: %+v", s)
		}
		story.Add("later", domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Bytes: 5}})
	}
}

func damagedFacts(t *testing.T, p FactsPlace) {
	facts, other := p.Open(t), p.Open(t)
	story := Uploads(24 * 5)
	told := slices.Clone(story.Events)
	told[2].Event = domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Bytes: 77}} // on the first day
	told[79].Time = told[79].Time.AddDate(0, 0, -2)                                  // from the fourth to the second
	told = slices.Delete(told, 29, 30)                                               // on the second
	record(t, facts, told...)
	var last domain.Position
	done, err := facts.Verify(t.Context(), story, progress(func(p domain.Position) { last = p }))
	wantDamage(t, "verify", done, err)
	if last != 24*5 {
		t.Errorf("progress to %d", last)
	}
	first := p.Generations(t)
	done, err = facts.Rebuild(t.Context(), story, nil)
	wantDamage(t, "rebuild", done, err)
	if got := p.Generations(t); len(first) != 1 || len(got) != 2 || !slices.Contains(got, first[0]) {
		t.Errorf("generations %v, then %v", first, got)
	}
	AllUploads(t, facts, story)
	AllUploads(t, other, story) // every handle moves over
	done, err = other.Verify(t.Context(), story, nil)
	if err != nil || !done.Equal() || done.New || done.Rows != 24*5 || done.Position != 24*5 || len(done.Different) > 0 {
		t.Errorf("nothing is wrong, but: %+v, %v", done, err)
	}
}

func wantDamage(t *testing.T, what string, done projections.Rebuilt, err error) {
	t.Helper()
	want := []string{"2026-01-01", "2026-01-02", "2026-01-04"}
	if err != nil || done.Equal() || done.Rows != 24*5 || !slices.Equal(done.Different, want) {
		t.Errorf("%s: found %+v, %v; want %v to differ", what, done, err, want)
	}
}

// Facts of which no message has come yet make no difference.
func factsBehind(t *testing.T, p FactsPlace) {
	facts, story := p.Open(t), Uploads(50)
	record(t, facts, story.Events[:40]...)
	done, err := facts.Rebuild(t.Context(), story, nil)
	if err != nil || !done.Equal() || done.New || done.Rows != 50 {
		t.Errorf("%+v, %v", done, err)
	}
	AllUploads(t, facts, story)
}

func noFacts(t *testing.T, p FactsPlace) {
	facts, story := p.Open(t), Uploads(50)
	if done, err := facts.Verify(t.Context(), &Story{}, nil); err != nil || !done.New || done.Rows != 0 {
		t.Errorf("of an empty log: %+v, %v", done, err)
	}
	done, err := facts.Rebuild(t.Context(), story, nil)
	if err != nil || !done.Equal() || !done.New || done.Rows != 50 {
		t.Errorf("%+v, %v", done, err)
	}
	AllUploads(t, facts, story)
}

// factsUnderTraffic has messages come as soon as their events are in the log, while the figures are rebuilt again and again.
func factsUnderTraffic(t *testing.T, p FactsPlace) {
	rebuilder := p.Open(t)
	log := &shared{story: Uploads(20)}
	record(t, rebuilder, log.story.Events...)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range 3 {
		facts := p.Open(t)
		running.Go(func() {
			for n := 0; ctx.Err() == nil && n < 1000; n++ {
				e := log.upload(fmt.Sprintf("w%d-%d", i, n))
				ctx := context.WithoutCancel(ctx)
				err := projections.RecordEvents(ctx, facts, e)
				for errors.Is(err, domain.ErrUnavailable) { // the message comes again
					err = projections.RecordEvents(ctx, facts, e)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range p.Rebuilds {
		if done, err := rebuilder.Rebuild(t.Context(), log, nil); err != nil || !done.Equal() {
			t.Errorf("%+v, %v", done, err)
		}
	}
	stop()
	running.Wait()
	AllUploads(t, rebuilder, log.story)
	if len(log.story.Events) <= 20 {
		t.Error("nothing came meanwhile")
	}
}

// upload appends an upload and returns its event.
func (s *shared) upload(id string) domain.Recorded {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story.Add(id, domain.VideoUploaded{Attempt: 1})
	return s.story.Events[len(s.story.Events)-1]
}

// factAtTheSwitch has two messages come when all is built: one before anybody can know of the new generation, and one whose
// event was appended after the switch had read the log, before anybody can know that it is current.
func factAtTheSwitch(t *testing.T, p FactsPlace) {
	rebuilder, subscriber := p.Open(t), p.Open(t)
	story := Uploads(10)
	record(t, subscriber, story.Events...)
	recorded := make(chan error, 1)
	log := &hookedLog{Story: story, afterHead: func(call int) {
		if call != 2 { // the first one is that of the build
			return
		}
		story.Add("late", domain.VideoUploaded{Attempt: 1})
		ctx := &signallingContext{Context: t.Context(), asked: make(chan struct{})}
		go func() { recorded <- projections.RecordEvents(ctx, subscriber, story.Events[11]) }()
		<-ctx.asked
	}}
	done, err := rebuilder.Rebuild(t.Context(), log, &projections.RebuildOptions{Settled: func(ctx context.Context) error {
		story.Add("before", domain.VideoUploaded{Attempt: 1})
		return projections.RecordEvents(ctx, subscriber, story.Events[10])
	}})
	if err != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	if err := <-recorded; err != nil {
		t.Fatal(err)
	}
	AllUploads(t, rebuilder, story)
}

// hookedLog calls a function after the head was read and before it is answered.
type hookedLog struct {
	*Story

	calls     int
	afterHead func(call int)
}

func (l *hookedLog) Head(ctx context.Context) (domain.Position, error) {
	head, err := l.Story.Head(ctx)
	l.calls++
	l.afterHead(l.calls)
	return head, err
}

// signallingContext says when it is asked for the first time whether it has ended: when the database is.
type signallingContext struct {
	context.Context //nolint:containedctx // it is one

	once  sync.Once
	asked chan struct{}
}

func (c *signallingContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.asked) })
	return c.Context.Done()
}

func resumedFacts(t *testing.T, p FactsPlace) {
	facts, story := p.Open(t), Uploads(40)
	record(t, facts, story.Events...)
	for _, test := range []struct {
		name    string
		cause   error
		vouch   string
		resumed bool
	}{
		{name: "after it was called off", vouch: "same", cause: projections.ErrCancelled},
		{name: "by somebody who vouches for something else", vouch: "another"},
		{name: "as it was", vouch: "same", resumed: true},
	} {
		cutOff(t, facts, story, 20, "same", test.cause)
		AllUploads(t, facts, story)
		var resumed domain.Position
		read := 0
		done, err := p.Open(t).Rebuild(t.Context(), counting{story, &read}, &projections.RebuildOptions{
			Vouch: vouching(test.vouch), Resumed: func(p domain.Position) { resumed = p },
		})
		if err != nil || !done.Equal() || done.New || done.Rows != 40 {
			t.Errorf("%s: %+v, %v", test.name, done, err)
		}
		if (resumed > 0) != test.resumed || (resumed > 0 && (resumed < 20 || read > 40-int(resumed))) {
			t.Errorf("%s: resumed at %d and read %d events, want it to: %v", test.name, resumed, read, test.resumed)
		}
		AllUploads(t, facts, story)
		if got := p.Generations(t); len(got) != 2 {
			t.Errorf("%s: generations %v, want two", test.name, got)
		}
	}
}

func rollbackOfFacts(t *testing.T, p FactsPlace) {
	facts, subscriber := p.Open(t), p.Open(t)
	story := Uploads(20)
	record(t, subscriber, story.Events...)
	if _, err := facts.Rollback(t.Context(), story, nil); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("where nothing was replaced: %v, want ErrNotFound", err)
	}
	before := kept(t, facts)
	if before.Previous != "" || before.Position != 20 {
		t.Errorf("at first: %+v", before)
	}
	if _, err := facts.Rebuild(t.Context(), story, nil); err != nil {
		t.Fatal(err)
	}
	after := kept(t, facts)
	if after.Generation == before.Generation || after.Previous != before.Generation || after.Position != 20 {
		t.Errorf("after a rebuild: %+v, before it %+v", after, before)
	}
	story.Add("new", domain.VideoUploaded{Attempt: 1})
	record(t, subscriber, story.Events[20])
	done, err := facts.Rollback(t.Context(), story, nil)
	if err != nil || done.Rows != 21 || done.Position != 21 {
		t.Fatalf("rolled back: %+v, %v", done, err)
	}
	if now := kept(t, facts); now.Generation != before.Generation || now.Previous != after.Generation || now.Position != 21 {
		t.Errorf("after the rollback: %+v", now)
	}
	AllUploads(t, facts, story)
	// Every handle goes on there, and a rebuild replaces it.
	story.Add("newer", domain.VideoUploaded{Attempt: 1})
	record(t, subscriber, story.Events[21])
	AllUploads(t, facts, story)
	if done, err := facts.Rebuild(t.Context(), story, nil); err != nil || !done.Equal() || done.New {
		t.Errorf("rebuilt afterwards: %+v, %v", done, err)
	}
	if now := kept(t, facts); now.Previous != before.Generation || now.Generation == after.Generation {
		t.Errorf("after one more rebuild: %+v", now)
	}
	AllUploads(t, subscriber, story)
	if got := p.Generations(t); len(got) != 2 {
		t.Errorf("generations: %v", got)
	}
}

func skippedFacts(t *testing.T, p FactsPlace) {
	facts, story := p.Open(t), Uploads(10)
	record(t, facts, story.Events...)
	unsettled(t, facts, story, p.Generations)
	o := &projections.RebuildOptions{Skip: func(p domain.Position) bool { return p == 4 }}
	if done, err := facts.Rebuild(t.Context(), story, o); err != nil || done.Rows != 9 || !slices.Equal(done.Different, []string{"2026-01-01"}) {
		t.Errorf("rebuilt without one: %+v, %v", done, err)
	}
	if done, err := facts.Verify(t.Context(), story, o); err != nil || done.Rows != 9 || !done.Equal() {
		t.Errorf("compared again: %+v, %v", done, err)
	}
}
