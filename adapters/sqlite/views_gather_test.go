package sqlite_test

import (
	"fmt"
	"testing"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// What is gathered and not written yet is what is found: a row that was removed is not there, although it is stored.
func TestWhatIsGatheredIsFound(t *testing.T) {
	t.Parallel()
	stored, err := sqlite.OpenRows(t.Context(), t.TempDir(), projections.Model[int]{Name: "numbers", Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, stored)
	rows := stored.Gathered(2)
	for to, step := range []struct {
		rows map[string]int
		drop []string
		want string // what is found then of a/1, a/2 and b/1
	}{
		{rows: map[string]int{"a/1": 1, "b/1": 2}, want: "map[a/1:1 b/1:2]"},
		{rows: map[string]int{"a/2": 3}, want: "map[a/1:1 a/2:3 b/1:2]"}, // written
		{drop: []string{"a/"}, want: "map[b/1:2]"},
		{rows: map[string]int{"a/2": 4}, want: "map[a/2:4 b/1:2]"}, // written
		{rows: map[string]int{"b/1": 5}, drop: []string{"b/"}, want: "map[a/2:4 b/1:5]"},
		{drop: []string{"b/"}, want: "map[a/2:4]"}, // written
	} {
		if err := rows.Save(t.Context(), step.rows, step.drop, domain.Position(to), domain.Position(to+1)); err != nil {
			t.Fatal(err)
		}
		found, err := rows.Load(t.Context(), []string{"a/1", "a/2", "b/1"})
		if err != nil || fmt.Sprint(found) != step.want {
			t.Errorf("after %d: %v, %v, want %s", to+1, found, err, step.want)
		}
	}
}
