package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Row is a row of the read model that the suite keeps.
type Row struct {
	Text  string
	Count int
	List  []string
}

// RowStore is what keeps a read model with both of its sides.
type RowStore interface {
	projections.Rows[Row]
	projections.RowReader[Row]
}

// Rows checks a store of rows. open returns an empty one, usable until the test ends.
func Rows(t *testing.T, open func(t *testing.T) RowStore) {
	for name, test := range map[string]func(*testing.T, RowStore){
		"save, load and scan":            saveLoadScan,
		"rows go by prefix":              dropByPrefix,
		"the checkpoint guards":          checkpointGuards,
		"an error leaves all as it was":  cancelledSave,
		"a model over rows":              modelOverRows,
		"prefixes are no patterns":       prefixesAreLiteral,
		"events by themselves and whole": batchesAgree,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func save(t *testing.T, s RowStore, rows map[string]Row, drop []string, from, to domain.Position) {
	t.Helper()
	if err := s.Save(t.Context(), rows, drop, from, to); err != nil {
		t.Fatalf("Save from %d to %d: %v", from, to, err)
	}
}

func wantScan(t *testing.T, s projections.RowReader[Row], prefix string, want ...Row) {
	t.Helper()
	got, err := s.Scan(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Scan(%q), want against got:\n%s", prefix, diff)
	}
}

func saveLoadScan(t *testing.T, s RowStore) {
	if at, err := s.Checkpoint(t.Context()); at != 0 || err != nil {
		t.Fatalf("a new store's checkpoint: %d, %v", at, err)
	}
	a, b := Row{Text: "a", List: []string{"x", "ü"}}, Row{Text: "b", Count: 3}
	save(t, s, map[string]Row{"k/2": b, "k/1": a, "l": {Text: "l"}}, nil, 0, 7)
	if at, err := s.Checkpoint(t.Context()); at != 7 || err != nil {
		t.Fatalf("the checkpoint: %d, %v, want 7", at, err)
	}
	got, err := s.Load(t.Context(), []string{"k/1", "none", "l"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Row{"k/1": a, "l": {Text: "l"}}, got); diff != "" {
		t.Errorf("Load, want against got:\n%s", diff)
	}
	wantScan(t, s, "k/", a, b)
	wantScan(t, s, "", a, b, Row{Text: "l"})
	wantScan(t, s, "k/3")
	save(t, s, map[string]Row{"k/1": b}, nil, 7, 8)
	wantScan(t, s, "k/", b, b)
}

func dropByPrefix(t *testing.T, s RowStore) {
	save(t, s, map[string]Row{"v1/a": {Text: "1a"}, "v1/b": {Text: "1b"}, "v2/a": {Text: "2a"}, "v10/a": {Text: "10a"}},
		nil, 0, 1)
	save(t, s, map[string]Row{"v1/c": {Text: "1c"}}, []string{"v1/"}, 1, 2)
	wantScan(t, s, "v", Row{Text: "1c"}, Row{Text: "10a"}, Row{Text: "2a"})
	save(t, s, nil, []string{""}, 2, 3)
	wantScan(t, s, "")
}

func checkpointGuards(t *testing.T, s RowStore) {
	save(t, s, map[string]Row{"a": {Count: 1}}, nil, 0, 5)
	for _, from := range []domain.Position{0, 4, 6} {
		if err := s.Save(t.Context(), map[string]Row{"a": {Count: 2}}, []string{""}, from, 9); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("Save from %d at 5: %v, want ErrConflict", from, err)
		}
	}
	wantScan(t, s, "", Row{Count: 1})
	// Of many that save from the same checkpoint, one does.
	const writers = 8
	errs := make(chan error, writers)
	for i := range writers {
		go func() { errs <- s.Save(t.Context(), map[string]Row{"a": {Count: i}}, nil, 5, 6) }()
	}
	won := 0
	for range writers {
		switch err := <-errs; {
		case err == nil:
			won++
		case !errors.Is(err, domain.ErrConflict):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d saves from the same checkpoint went through, want 1", won, writers)
	}
}

func cancelledSave(t *testing.T, s RowStore) {
	save(t, s, map[string]Row{"a": {Count: 1}}, nil, 0, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Save(ctx, map[string]Row{"a": {Count: 2}}, nil, 1, 2); err == nil {
		t.Error("Save with a cancelled context went through")
	}
	wantScan(t, s, "", Row{Count: 1})
	save(t, s, map[string]Row{"a": {Count: 3}}, nil, 1, 2)
}

func prefixesAreLiteral(t *testing.T, s RowStore) {
	save(t, s, map[string]Row{"a%": {Text: "%"}, "ab": {Text: "b"}, "a_": {Text: "_"}, "ü/1": {Text: "ü"}}, nil, 0, 1)
	wantScan(t, s, "a%", Row{Text: "%"})
	wantScan(t, s, "a_", Row{Text: "_"})
	wantScan(t, s, "ü", Row{Text: "ü"})
	save(t, s, nil, []string{"a%"}, 1, 2)
	wantScan(t, s, "a", Row{Text: "_"}, Row{Text: "b"})
}

// countingModel counts a video's events, by version parity; VideoDeleted removes the rows.
func countingModel() projections.Model[Row] {
	return projections.Model[Row]{
		Name: "counting", Version: 1,
		Keys: func(e domain.Recorded) []string {
			if _, ok := e.Event.(domain.VideoDeleted); ok {
				return nil
			}
			return []string{fmt.Sprintf("%s/%d", e.Stream, e.Version%2), e.Stream + "/all"}
		},
		Fold: func(key string, r Row, e domain.Recorded) Row {
			return Row{Text: key, Count: r.Count + 1, List: append(slices.Clip(r.List), strconv.Itoa(e.Version))}
		},
		Drop: func(e domain.Recorded) []string {
			if _, ok := e.Event.(domain.VideoDeleted); ok {
				return []string{e.Stream + "/"}
			}
			return nil
		},
	}
}

func modelOverRows(t *testing.T, s RowStore) {
	m := projections.NewReadModel(countingModel(), s)
	story := &Story{}
	story.Add("a", domain.VideoPublished{}, domain.VideoUnpublished{}, domain.VideoPublished{})
	story.Add("b", domain.VideoPublished{})
	story.Add("a", domain.VideoDeleted{})
	story.Add("a", domain.VideoPublished{})
	if err := m.Apply(t.Context(), story.Events); err != nil {
		t.Fatal(err)
	}
	wantScan(t, s, "", Row{"a/1", 1, []string{"5"}}, Row{"a/all", 1, []string{"5"}},
		Row{"b/1", 1, []string{"1"}}, Row{"b/all", 1, []string{"1"}})
	if err := m.Apply(t.Context(), story.Events); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("the same events again: %v, want ErrConflict", err)
	}
	story.Add("b", domain.VideoDeleted{})
	if err := m.Apply(t.Context(), story.Events[6:]); err != nil {
		t.Fatal(err)
	}
	wantScan(t, s, "b/")
}

// batchesAgree applies the same events one by one; the whole at once is what modelOverRows of the memory gives.
func batchesAgree(t *testing.T, s RowStore) {
	story := &Story{}
	for i := range 60 {
		id := fmt.Sprint("v", i%4)
		story.Add(id, domain.VideoPublished{})
		if i%17 == 5 {
			story.Add(id, domain.VideoDeleted{})
		}
	}
	want := map[string]Row{}
	m := countingModel()
	for _, e := range story.Events {
		for _, prefix := range m.Drop(e) {
			for _, k := range []string{"0", "1", "all"} {
				delete(want, prefix+k)
			}
		}
		for _, k := range m.Keys(e) {
			want[k] = m.Fold(k, want[k], e)
		}
	}
	target := projections.NewReadModel(m, s)
	for i := 0; i < len(story.Events); {
		n := min(1+i%5, len(story.Events)-i)
		if err := target.Apply(t.Context(), story.Events[i:i+n]); err != nil {
			t.Fatal(err)
		}
		i += n
	}
	rows, err := s.Scan(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Row{}
	for _, r := range rows {
		got[r.Text] = r
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want against got:\n%s", diff)
	}
}
