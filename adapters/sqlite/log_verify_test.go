package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
)

// appendSome appends three commits of two events to each of two streams: positions 1 to 12.
func appendSome(t *testing.T, l *sqlite.Log) {
	t.Helper()
	for version := 0; version < 6; version += 2 {
		for _, stream := range []string{"a", "b"} {
			_, err := l.Append(t.Context(), domain.Commit{
				ID: uuid.NewString(), Stream: stream, Expected: version,
				Events: []domain.Event{domain.TranscodeRequested{Attempt: version}, domain.VideoPublished{}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestVerifyChainFindsEveryChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, finding string }{
		"a changed event": {
			`UPDATE commits SET body = CAST(replace(body, '"attempt":2', '"attempt":3') AS BLOB) WHERE position = 5`,
			"commit at 5: the hash",
		},
		"a changed time":            {"UPDATE commits SET time = time + 1 WHERE position = 5", "commit at 5: the hash"},
		"a changed actor":           {`UPDATE commits SET meta = '{"actor":"somebody"}' WHERE position = 5`, "commit at 5: the hash"},
		"a changed id":              {"UPDATE commits SET id = 'other' WHERE position = 5", "commit at 5: the hash"},
		"a changed hash":            {"UPDATE commits SET hash = x'00' WHERE position = 5", "commit at 5: the hash"},
		"a commit of another video": {"UPDATE commits SET stream = 'c' WHERE position = 5", "version 3 of stream c, expected 1"},
		"a missing commit":          {"DELETE FROM commits WHERE position = 5", "commit at 7: expected position 5"},
		"a broken body":             {"UPDATE commits SET body = x'7b' WHERE position = 5", "commit at 5: the body is not JSON"},
		"an unknown event": {
			"UPDATE commits SET body = CAST(replace(body, 'video.published', 'video.prohibited') AS BLOB) WHERE position = 5",
			"unknown event",
		},
		"a wrong number of events": {"UPDATE commits SET events = 1 WHERE position = 11", "commit at 11: 2 events, but it says that it ends at 11, version 5"},
		"a missing first commit":   {"DELETE FROM commits WHERE position = 1", "commit at 3: expected position 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := openLog(t, dir)
			appendSome(t, l)
			verify(t, l.LogReader)
			db, err := sqlite.OpenDB(t.Context(), filepath.Join(dir, "events.db"), sqlite.Full)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			if _, err := db.ExecContext(t.Context(), c.change); err != nil {
				t.Fatal(err)
			}
			findings, err := l.VerifyChain(t.Context())
			if err != nil || !strings.Contains(strings.Join(findings, "\n"), c.finding) {
				t.Errorf("found %q, %v; want %q", findings, err, c.finding)
			}
		})
	}
}

// TestVerifyChainFindsFlippedBits flips one bit of the file at a time: whatever it hits of what is in use is found, or
// the file does not open.
func TestVerifyChainFindsFlippedBits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLog(t, dir)
	appendSome(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "events.db"))
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(whole), `"attempt":4`)
	if at < 0 {
		t.Fatal("the event is not in the file")
	}
	for _, offset := range []int{at + 3, at + len(`"attempt":`), at - 20, 4096 + 1} {
		broken := append([]byte(nil), whole...)
		broken[offset] ^= 1
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "events.db"), broken, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := sqlite.OpenLogReadOnly(t.Context(), dir)
		if err != nil {
			continue
		}
		findings, err := r.VerifyChain(t.Context())
		if err == nil && len(findings) == 0 {
			t.Errorf("a flipped bit at %d was not found", offset)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenLogReadOnlyBesideAWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := sqlite.OpenLogReadOnly(t.Context(), dir); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("no log there: %v", err)
	}
	l := openLog(t, dir)
	r, err := sqlite.OpenLogReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	appendSome(t, l)
	if head, err := r.Head(t.Context()); err != nil || head != 12 {
		t.Errorf("head %d, %v", head, err)
	}
	verify(t, r)
}
