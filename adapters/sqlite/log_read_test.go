package sqlite_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/domain"
)

// What owners write may look like the inside of a commit: the events come back as they went in.
func TestCommitsComeBackWhateverTheyHold(t *testing.T) {
	t.Parallel()
	l := openLog(t, t.TempDir())
	piece := rapid.SampledFrom([]string{`"`, `\`, `{`, `}`, `}]`, `},{"type":"`, `","data":`, `[`, "a", "ü", "\n", "\u2028", "<"})
	text := rapid.Custom(func(r *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(r, "pieces"), "")
	})
	rapid.Check(t, func(r *rapid.T) {
		var events []domain.Event
		for range rapid.IntRange(1, 4).Draw(r, "events") {
			details := domain.Details{Title: text.Draw(r, "title"), Description: text.Draw(r, "description"), Tags: []string{text.Draw(r, "tag")}}
			events = append(events, rapid.SampledFrom([]domain.Event{
				domain.VideoCreated{Details: details}, domain.VideoDetailsChanged{Details: details}, domain.VideoPublished{},
			}).Draw(r, "event"))
		}
		id := uuid.NewString()
		if _, err := l.Append(t.Context(), domain.Commit{ID: id, Stream: id, Events: events}); err != nil {
			r.Fatal(err)
		}
		recorded, err := l.ReadCommit(t.Context(), id)
		if err != nil {
			r.Fatal(err)
		}
		var got []domain.Event
		for _, e := range recorded {
			got = append(got, e.Event)
		}
		if diff := cmp.Diff(events, got); diff != "" {
			r.Fatalf("appended against read:\n%s", diff)
		}
	})
}
