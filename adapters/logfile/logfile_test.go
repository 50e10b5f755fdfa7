package logfile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/logfile"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// sample appends to a log what differs in every part of a line: 9 events in 5 commits.
func sample(t testing.TB, l *memory.Log) {
	t.Helper()
	for i, c := range []domain.Commit{
		{Stream: "a", Events: []domain.Event{
			domain.VideoCreated{Owner: "local", Details: domain.Details{
				Title: "<b>é\u2028\u0000\"\\ 🎬", Tags: []string{"x"}, Metadata: map[string]string{"": "ключ"},
			}},
			domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Key: "sources/a/1", Bytes: 1<<63 - 1}},
			domain.TranscodeRequested{Attempt: 2},
		}, Meta: domain.Meta{Actor: "local", Correlation: "<c>", Causation: "7", Request: "\"r\""}},
		{Stream: "b", Events: []domain.Event{domain.VideoCreated{}}, Time: time.UnixMicro(0)},
		{Stream: "a", Expected: 3, Events: []domain.Event{domain.VideoPublished{}, domain.VideoUnpublished{}}},
		{Stream: "b", Expected: 1, Events: []domain.Event{domain.VideoDeleted{}}, Time: time.UnixMicro(1_772_362_800_000_001)},
		{Stream: "c ü", Events: []domain.Event{domain.CaptionAdded{Language: "de"}, domain.CaptionRemoved{Language: "de"}}},
	} {
		c.ID = fmt.Sprintf("id-%d é", i)
		if _, err := l.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func export(t testing.TB, l commands.CommitReader, after domain.Position) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := logfile.Export(t.Context(), l, &b, after, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func load(ctx context.Context, l commands.CommitLog, file []byte) (logfile.Imported, error) {
	f, err := logfile.NewReader(bytes.NewReader(file))
	if err != nil {
		return logfile.Imported{}, err
	}
	return logfile.Import(ctx, l, f, nil)
}

func mustLoad(t testing.TB, l commands.CommitLog, file []byte) logfile.Imported {
	t.Helper()
	done, err := load(t.Context(), l, file)
	if err != nil {
		t.Fatal(err)
	}
	done.Hash = nil
	return done
}

func head(t testing.TB, l commands.CommitReader) domain.Position {
	t.Helper()
	h, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The format is fixed by what it looks like: files are kept for years.
func TestFormat(t *testing.T) {
	t.Parallel()
	l := memory.NewLog()
	_, err := l.Append(t.Context(), domain.Commit{
		ID: "c-1", Stream: "0198", Time: time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 3600)),
		Meta: domain.Meta{Actor: "local"}, Events: []domain.Event{domain.VideoPublished{}, domain.TranscodeRequested{Attempt: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const hash = "02e7b4af0a8973f81dbcea0ca168eec3aedfde408890844f43cd0b47f31cd8ee"
	want := `{"format":"cinelog-events","format_version":1,"after":0,"after_hash":"","head":2}
{"position":1,"stream":"0198","version":1,"commit":"c-1","time":"2026-03-01T11:00:00.123456Z","meta":{"actor":"local"},"type":"video.published.v1","data":{}}
{"position":2,"stream":"0198","version":2,"commit":"c-1","time":"2026-03-01T11:00:00.123456Z","meta":{"actor":"local"},"type":"video.transcode_requested.v1","hash":"` + hash + `","data":{"attempt":2}}
{"end":{"events":2,"position":2,"hash":"` + hash + `"}}
`
	if diff := cmp.Diff(want, string(export(t, l, 0))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	to := memory.NewLog()
	mustLoad(t, to, []byte(want))
}

func TestACopyIsEqual(t *testing.T) {
	t.Parallel()
	from, to := memory.NewLog(), memory.NewLog()
	if file := export(t, from, 0); bytes.Count(file, []byte("\n")) != 2 {
		t.Errorf("an empty log gives\n%s", file)
	} else {
		mustLoad(t, to, file)
	}
	sample(t, from)
	file := export(t, from, 0)
	for line := range bytes.Lines(file) {
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	}
	want := logfile.Imported{Events: 9, Position: 9, Head: 9}
	if diff := cmp.Diff(want, mustLoad(t, to, file)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !bytes.Equal(export(t, to, 0), file) {
		t.Error("the copy gives another file")
	}
	want.There = 9
	if diff := cmp.Diff(want, mustLoad(t, to, file)); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	from := memory.NewLog()
	sample(t, from)
	whole := export(t, from, 0)
	for _, inside := range []domain.Position{-1, 1, 2, 5, 8, 10, 1000} {
		if _, err := logfile.Export(t.Context(), from, &bytes.Buffer{}, inside, nil); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("the part after %d: %v", inside, err)
		}
	}
	ends := []domain.Position{0, 3, 4, 6, 7, 9}
	for _, there := range ends {
		// The first part: the whole file up to there.
		start := memory.NewLog()
		if err := from.EachCommit(t.Context(), 0, 100, func(c domain.StoredCommit) error {
			if c.First > there {
				return nil
			}
			return start.Import(t.Context(), []domain.StoredCommit{c})
		}); err != nil {
			t.Fatal(err)
		}
		first := export(t, start, 0)
		for _, after := range ends {
			to := memory.NewLog()
			mustLoad(t, to, first)
			part := export(t, from, after)
			if after > there {
				_, err := load(t.Context(), to, part)
				if !errors.Is(err, domain.ErrConflict) || !strings.Contains(err.Error(), fmt.Sprintf("--after %d", there)) {
					t.Errorf("the part after %d into a log up to %d: %v", after, there, err)
				}
				continue
			}
			want := logfile.Imported{Events: int64(9 - after), There: int64(there - after), Position: 9, Head: 9}
			if diff := cmp.Diff(want, mustLoad(t, to, part)); diff != "" {
				t.Errorf("the part after %d into a log up to %d (-want +got):\n%s", after, there, diff)
			}
			if !bytes.Equal(export(t, to, 0), whole) {
				t.Errorf("the part after %d into a log up to %d does not make it whole", after, there)
			}
		}
		// An older file into a log that has gone on: nothing to do.
		to := memory.NewLog()
		mustLoad(t, to, whole)
		want := logfile.Imported{Events: int64(there), There: int64(there), Position: there, Head: 9}
		if diff := cmp.Diff(want, mustLoad(t, to, first)); diff != "" {
			t.Errorf("up to %d into all (-want +got):\n%s", there, diff)
		}
	}
}

// TestExportEndsAtTheHeadOfItsStart appends while an export is under way.
func TestExportEndsAtTheHeadOfItsStart(t *testing.T) {
	t.Parallel()
	from := memory.NewLog()
	sample(t, from)
	want := export(t, from, 0)
	var b bytes.Buffer
	if _, err := logfile.Export(t.Context(), &growing{Log: from, t: t}, &b, 0, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", b.Bytes(), want)
	}
	if h := head(t, from); h == 9 {
		t.Error("nothing was appended meanwhile")
	}
}

// TestALogThatIsAwayForAMoment lets the log be away, before it has stored what it was given and after.
func TestALogThatIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	from := memory.NewLog()
	sample(t, from)
	file := export(t, from, 0)
	for away, want := range map[int]error{1: nil, 5: nil, 6: domain.ErrUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			to := &shaky{Log: memory.NewLog(), away: away}
			if _, err := load(t.Context(), to, file); !errors.Is(err, want) {
				t.Errorf("away %d times: %v, want %v", away, err, want)
			}
			if !bytes.Equal(export(t, to, 0), file) {
				t.Errorf("away %d times: the copy is another log", away)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := load(ctx, &shaky{Log: memory.NewLog(), away: 100}, file); err == nil || time.Since(start) > 2*time.Second {
			t.Errorf("%v, %s after it was told to stop after 2 s", err, time.Since(start))
		}
	})
}

// shaky is a log whose answers are lost a few times.
type shaky struct {
	*memory.Log

	away int
}

func (s *shaky) Import(ctx context.Context, commits []domain.StoredCommit) error {
	err := s.Log.Import(ctx, commits)
	if s.away--; s.away >= 0 {
		return domain.ErrUnavailable
	}
	return err
}

// growing is a log to which somebody appends whenever it is read.
type growing struct {
	*memory.Log

	t testing.TB
	n int
}

func (g *growing) EachCommit(ctx context.Context, after domain.Position, limit int, each func(domain.StoredCommit) error) error {
	g.n++
	_, err := g.Append(ctx, domain.Commit{
		ID: fmt.Sprint("more-", g.n), Stream: fmt.Sprint("more-", g.n), Events: []domain.Event{domain.VideoPublished{}},
	})
	if err != nil {
		g.t.Error(err)
	}
	return g.Log.EachCommit(ctx, after, min(limit, 2), each)
}
