package logfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cinelog/cinelog/adapters/logfile"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const secret = "Zanzibar"

// deletedVideo appends a video with a secret, which is deleted, and another one.
func deletedVideo(t *testing.T, l *memory.Log) {
	t.Helper()
	for i, c := range []domain.Commit{
		{Stream: "a", Events: []domain.Event{domain.VideoCreated{Details: domain.Details{Title: secret}}, domain.VideoUploaded{Attempt: 1, Filename: secret}}},
		{Stream: "b", Events: []domain.Event{domain.VideoCreated{Details: domain.Details{Title: "kept"}}}},
		{Stream: "a", Expected: 2, Events: []domain.Event{domain.VideoDeleted{}}},
	} {
		c.ID = fmt.Sprint("id-", i)
		if _, err := l.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// eraseA records what is to be erased of a, and does it where carryOut says so.
func eraseA(t *testing.T, l *memory.Log, carryOut bool) {
	t.Helper()
	events, err := l.ReadStream(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	decided, err := domain.Erase(events)
	if err == nil {
		_, err = l.Append(t.Context(), domain.Commit{ID: "erase", Stream: "a", Expected: len(events), Events: decided})
	}
	if err == nil && carryOut {
		err = l.EraseTexts(t.Context(), "a", decided[0].(domain.VideoErased))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Copies follow: the next part of a log takes the texts out of a copy that had them, also where the import was cut off
// before that, and one of all of it has none.
func TestCopiesAreErasedAsTheLog(t *testing.T) {
	t.Parallel()
	for _, carriedOut := range []bool{true, false} { // a log where the erasure was killed half way exports, too
		from, early, cut, late := memory.NewLog(), memory.NewLog(), memory.NewLog(), memory.NewLog()
		deletedVideo(t, from)
		before := export(t, from, 0)
		mustLoad(t, early, before)
		mustLoad(t, cut, before)
		eraseA(t, from, carriedOut)
		all, part := export(t, from, 0), export(t, from, 4)
		if bytes.Contains(all, []byte(secret)) == carriedOut {
			t.Fatalf("carried out: %v; the export is\n%s", carriedOut, all)
		}
		if done := mustLoad(t, early, part); done.Erased != 1 {
			t.Errorf("the part erases %d videos, want 1", done.Erased)
		}
		eraseless{cut}.load(t, part)
		mustLoad(t, cut, part)
		mustLoad(t, late, all)
		events, err := from.ReadStream(t.Context(), "a", 0)
		if err == nil {
			err = from.EraseTexts(t.Context(), "a", domain.Erased(events))
		}
		if err != nil {
			t.Fatal(err)
		}
		for name, l := range map[string]*memory.Log{"early": early, "cut off": cut, "late": late} {
			if got := export(t, l, 0); !bytes.Equal(got, export(t, from, 0)) || bytes.Contains(got, []byte(secret)) {
				t.Errorf("the copy %s is\n%s", name, got)
			}
		}
		// An old backup changes nothing in a log that has forgotten.
		mustLoad(t, late, before)
		if bytes.Contains(export(t, late, 0), []byte(secret)) {
			t.Error("an old backup brings the texts back")
		}
	}
}

// eraseless is a log whose process is killed before it erases anything.
type eraseless struct{ *memory.Log }

var errKilled = errors.New("killed")

func (eraseless) EraseTexts(ctx context.Context, stream string, e domain.VideoErased) error {
	return errKilled
}

func (l eraseless) load(t *testing.T, file []byte) {
	t.Helper()
	if _, err := load(t.Context(), l, file); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
}

func TestWhatIsLeftIsHeldAgainstTheErasure(t *testing.T) {
	t.Parallel()
	l := memory.NewLog()
	deletedVideo(t, l)
	eraseA(t, l, true)
	file := export(t, l, 0)
	changed := bytes.Replace(file, []byte(`"attempt":1`), []byte(`"attempt":2`), 1)
	if bytes.Equal(changed, file) {
		t.Fatalf("there is nothing to change in\n%s", file)
	}
	if _, err := load(t.Context(), memory.NewLog(), changed); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a tombstone that leaves something else: %v", err)
	}
}

// erasing erases in a log while it is read.
type erasing struct {
	*memory.Log
	t *testing.T
}

func (l erasing) EachCommit(ctx context.Context, after domain.Position, limit int, each func(domain.StoredCommit) error) error {
	eraseA(l.t, l.Log, true)
	return l.Log.EachCommit(ctx, after, limit, each)
}

func TestAnErasureDuringAnExportIsNoticed(t *testing.T) {
	t.Parallel()
	l := memory.NewLog()
	deletedVideo(t, l)
	var log commands.CommitReader = erasing{l, t}
	if _, err := logfile.Export(t.Context(), log, &bytes.Buffer{}, 0, nil); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("it gives %v", err)
	}
}
