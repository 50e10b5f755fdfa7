package projections_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// loading counts the rows that are asked for.
type loading struct {
	*memory.Catalog

	asked int
}

func (l *loading) Load(ctx context.Context, keys []string) (map[string]projections.Video, error) {
	l.asked += len(keys)
	return l.Catalog.Load(ctx, keys)
}

// A read model remembers what was asked for of late, and only that; what it has forgotten it finds again.
func TestRowsAreRememberedForAWhile(t *testing.T) {
	t.Parallel()
	rows := &loading{Catalog: memory.NewCatalog()}
	target := projections.NewReadModel(projections.CatalogModel(), rows)
	story := &contract.Story{}
	applied := 0
	apply := func(wantAsked int, what string) {
		t.Helper()
		rows.asked = 0
		if err := target.Apply(t.Context(), story.Events[applied:]); err != nil {
			t.Fatal(err)
		}
		if applied = len(story.Events); rows.asked != wantAsked {
			t.Errorf("%s: asked for %d rows, want %d", what, rows.asked, wantAsked)
		}
	}
	change := func(id string) {
		story.Add(id, domain.VideoDetailsChanged{Details: domain.Details{Title: "changed", Visibility: domain.Public}})
	}
	created := 0
	create := func(videos int) {
		t.Helper()
		for range videos {
			story.Create(fmt.Sprintf("v%05d", created), "a title")
			created++
		}
		apply(videos, "new ones")
	}
	create(2500)
	create(1000) // of the next age
	change("v00001")
	apply(0, "one of the age before")
	create(1500) // it ends
	change("v00001")
	apply(0, "one that was asked for since")
	change("v00002")
	apply(1, "one that was not")
	found, err := rows.Scan(t.Context(), "v0000")
	if err != nil || len(found) != 10 {
		t.Fatalf("%d rows, %v", len(found), err)
	}
	for i, v := range found {
		changes := map[int]int{1: 2, 2: 1}[i]
		if v.Version != 1+changes || (v.Details.Title == "changed") != (changes > 0) {
			t.Errorf("video %d: version %d, %q", i, v.Version, v.Details.Title)
		}
	}
}
