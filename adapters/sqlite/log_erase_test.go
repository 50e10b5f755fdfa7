package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

// TestNothingIsLeftOfErasedTexts erases the texts of one video after the other, of many and with texts of any length, so that
// rows become shorter and longer, and pages are split and joined.
func TestNothingIsLeftOfErasedTexts(t *testing.T) {
	t.Parallel()
	const videos = 100
	dir, random := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	log, err := sqlite.OpenLog(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, log)
	word := func(i int) string { return fmt.Sprintf("zanzibar%03d", i) }
	appendTo := func(i, expected int, events ...domain.Event) {
		t.Helper()
		if _, err := log.Append(t.Context(), domain.Commit{
			ID: fmt.Sprintf("%d-%d", i, expected), Stream: fmt.Sprintf("v%03d", i), Expected: expected, Events: events,
		}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		for i := range videos {
			appendTo(i, n, domain.VideoDetailsChanged{Details: domain.Details{Title: "t", Description: word(i) + strings.Repeat("y", random.IntN(3000)>>random.IntN(6))}})
		}
	}
	if len(filesWith(t, dir, word(0))) == 0 {
		t.Fatal("there is nothing to remove")
	}
	for _, i := range random.Perm(videos)[:videos/2] {
		stream := fmt.Sprintf("v%03d", i)
		appendTo(i, 3, domain.VideoDeleted{})
		events, err := log.ReadStream(t.Context(), stream, 0)
		if err != nil {
			t.Fatal(err)
		}
		decided, err := domain.Erase(events)
		if err != nil {
			t.Fatal(err)
		}
		appendTo(i, 4, decided...)
		if err := log.EraseTexts(t.Context(), stream, decided[0].(domain.VideoErased)); err != nil {
			t.Fatal(err)
		}
		if left := filesWith(t, dir, word(i)); len(left) > 0 {
			t.Errorf("%s is still in %q", word(i), left)
		}
	}
}
