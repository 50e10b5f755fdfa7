package mongo_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func TestAnalyticsComesFromTheLogAndIsMended(t *testing.T) {
	t.Parallel()
	db := connect(t, newDatabase(t))
	a, err := mongo.OpenAnalytics(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	log := memory.NewLog()
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, e := range []domain.Event{
		domain.VideoCreated{}, domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Bytes: 5}}, domain.VideoPublished{},
	} {
		c := domain.Commit{ID: string(rune('a' + i)), Stream: "v", Expected: i, Time: day.AddDate(0, 0, i), Events: []domain.Event{e}}
		if _, err := log.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := a.Verify(t.Context(), log, nil); err != nil || !done.New || !done.Equal() {
		t.Fatalf("nothing is there yet: %+v, %v", done, err)
	}
	if err := a.CatchUp(t.Context(), log, nil); err != nil {
		t.Fatal(err)
	}
	sound := func() map[time.Time]*projections.Figures {
		t.Helper()
		days, err := projections.Summarize(t.Context(), day.AddDate(0, 0, -1), day.AddDate(0, 0, 9), projections.Daily, a.Each)
		if err != nil {
			t.Fatal(err)
		}
		return days
	}
	second, third := projections.UTCDay(day.AddDate(0, 0, 1)), projections.UTCDay(day.AddDate(0, 0, 2))
	if days := sound(); len(days) != 2 || days[second].Uploads != 1 || days[third].Publications != 1 {
		t.Fatalf("from the log: %+v", days)
	}
	// A fact of an event that was never there, and one that is wrong.
	collection := mongo.Collection(db, "facts_2")
	if _, err := collection.DeleteOne(t.Context(), map[string]any{"_id": 2}); err != nil {
		t.Fatal(err)
	}
	err = a.Record(t.Context(), []projections.Fact{
		{Position: 1, Kind: projections.FactFailed, Time: day, Code: domain.Internal},
		{Position: 2, Kind: projections.FactUploaded, Time: day.AddDate(0, 0, 1), Video: "v", Attempt: 1, Bytes: 6},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, mend := range []bool{false, true} {
		compare := a.Verify
		if mend {
			compare = a.Rebuild
		}
		done, err := compare(t.Context(), log, nil)
		if err != nil || done.Equal() || !slices.Equal(done.Different, []string{"2026-03-01", "2026-03-02"}) {
			t.Errorf("mend %v: %+v, %v", mend, done, err)
		}
	}
	if done, err := a.Verify(t.Context(), log, nil); err != nil || !done.Equal() || done.Position != 3 || done.Rows != 2 {
		t.Errorf("after mending: %+v, %v", done, err)
	}
	if days := sound(); len(days) != 2 || days[second].UploadedBytes != 5 {
		t.Errorf("after mending: %+v", days)
	}
}
