package projections_test

import (
	"testing"

	"github.com/cinelog/cinelog/projections"
)

// FuzzCursors gives searches texts and cursors of strangers. A cursor that a search takes is one that it could have given.
func FuzzCursors(f *testing.F) {
	for _, text := range []string{"", "kubernetes", "Straße ÇA"} {
		s, err := projections.Query{Text: text}.Check()
		if err != nil {
			f.Fatal(err)
		}
		cursor, err := s.Cursor(projections.Place{Level: projections.LevelTags, Created: 4711, Title: "a", Duration: 2.5})
		if err != nil {
			f.Fatal(err)
		}
		if s, err = (projections.Query{Text: text, Cursor: cursor}).Check(); err != nil || s.After == nil || s.After.Created != 4711 {
			f.Fatalf("its own cursor: %+v, %v", s.After, err)
		}
		f.Add(text, cursor)
		f.Add(text+"x", cursor)
	}
	f.Add("", "AAAA")
	f.Fuzz(func(t *testing.T, text, cursor string) {
		s, err := projections.Query{Text: text, Cursor: cursor}.Check()
		switch {
		case err != nil || cursor == "":
			return
		case s.After == nil || s.After.Level < 0 || s.After.Level >= projections.Levels:
			t.Fatalf("takes %q and begins at %+v", cursor, s.After)
		}
		again, err := s.Cursor(*s.After)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := (projections.Query{Text: text, Cursor: again}).Check(); err != nil || *other.After != *s.After {
			t.Errorf("%q means %+v, and written again %+v, %v", cursor, s.After, other.After, err)
		}
	})
}
