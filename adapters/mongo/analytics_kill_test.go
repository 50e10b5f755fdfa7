package mongo_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// TestRebuildOfFactsSurvivesKill kills a process that rebuilds the figures: while it builds, when its build is announced
// and not yet current, and when it is. The figures are those of the log at every moment, and the next rebuild does the rest.
func TestRebuildOfFactsSurvivesKill(t *testing.T) {
	t.Parallel()
	for sign, test := range map[string]struct{ resumed, switched bool }{
		"at 20":     {resumed: true},
		"announced": {},
		"current":   {switched: true},
	} {
		t.Run(sign, func(t *testing.T) {
			t.Parallel()
			uri := newDatabase(t)
			live, story := openAnalytics(t, uri), contract.Uploads(40)
			told := func(n int) { // the messages of the newest
				t.Helper()
				if err := projections.RecordEvents(t.Context(), live, story.Events[len(story.Events)-n:]...); err != nil {
					t.Fatal(err)
				}
			}
			told(40)
			first := factGenerations(t, uri)
			killAt(t, sign, "CINELOG_TEST_REBUILD_FACTS_IN="+uri, "CINELOG_TEST_SIGN="+sign)
			story.Add("later", domain.VideoUploaded{Attempt: 1})
			told(1)
			contract.AllUploads(t, live, story)
			contract.AllUploads(t, openAnalytics(t, uri), story)
			stored, err := live.Stored(t.Context())
			if err != nil || (stored.Generation != first[0]) != test.switched {
				t.Errorf("stored: %+v, %v, at first %v", stored, err, first)
			}
			resumed := false
			done, err := live.Rebuild(t.Context(), story, &projections.RebuildOptions{
				Vouch: alwaysTheSame, Resumed: func(domain.Position) { resumed = true },
			})
			if err != nil || !done.Equal() || done.New || done.Rows != 41 || resumed != test.resumed {
				t.Errorf("rebuilt: %+v, %v, resumed %v", done, err, resumed)
			}
			contract.AllUploads(t, live, story)
			if n := factGenerations(t, uri); len(n) != 2 || slices.Contains(n, first[0]) != test.resumed {
				t.Errorf("generations are %v, at first %v", n, first)
			}
		})
	}
}

// rebuildFactsUntilKilled is the other process. It stops where it gives the sign that it is told to.
func rebuildFactsUntilKilled(uri string) {
	ctx := context.Background()
	db, err := mongo.Open(ctx, uri, time.Now)
	if err != nil {
		panic(err)
	}
	a, err := mongo.OpenAnalytics(ctx, db)
	if err != nil {
		panic(err)
	}
	at := func(sign string) {
		if fmt.Println(sign); sign == os.Getenv("CINELOG_TEST_SIGN") {
			<-ctx.Done() // never
		}
	}
	o := &projections.RebuildOptions{Vouch: alwaysTheSame, Progress: func(p domain.Position) { at(fmt.Sprint("at ", p)) }}
	if os.Getenv("CINELOG_TEST_SIGN") == "at 20" {
		o.Rate = 50
	}
	log := &atSwitch{Story: contract.Uploads(40), then: func() error { at("announced"); return nil }}
	before, err := a.Stored(ctx)
	if err != nil {
		panic(err)
	}
	go func() { // until its end it waits for others to move over
		for now := before; now.Generation == before.Generation; time.Sleep(10 * time.Millisecond) {
			if s, err := a.Stored(ctx); err == nil {
				now = s
			}
		}
		at("current")
	}()
	_, err = a.Rebuild(ctx, log, o)
	panic(fmt.Sprint("it came to its end: ", err))
}
