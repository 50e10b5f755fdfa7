package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Log is an event log with both of its sides.
type Log interface {
	commands.EventLog
	projections.Log
}

// EventLog checks an event log. open returns an empty one, usable until the test ends.
func EventLog(t *testing.T, open func(t *testing.T) Log) {
	for name, test := range map[string]func(*testing.T, Log){
		"an empty log":                   emptyLog,
		"all of a commit":                wholeCommit,
		"expected version":               expectedVersion,
		"the same commit id again":       sameCommitAgain,
		"invalid commits":                invalidCommits,
		"reading after a position":       readingAfter,
		"reading a stream":               readingStream,
		"payloads":                       payloads,
		"a cancelled context":            cancelledContext,
		"one of racing writers wins":     racingWriters,
		"one id, sent by many":           racingIDs,
		"a follower misses nothing":      follower,
		"linearizable":                   linearizable,
		"cancelled appends are not torn": cancelledAppends,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// logTime is what the suite's clock says; it has more digits than a log keeps, and another zone.
func logTime() time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))
}

func newCommit(stream string, expected int, events ...domain.Event) domain.Commit {
	return domain.Commit{
		ID: uuid.NewString(), Stream: stream, Expected: expected, Time: logTime(), Events: events,
		Meta: domain.Meta{Actor: "local", Correlation: "c-1", Causation: "7", Request: "abc"},
	}
}

// some returns n events that differ.
func some(n int) []domain.Event {
	events := make([]domain.Event, n)
	for i := range events {
		events[i] = domain.CaptionAdded{Language: fmt.Sprintf("x-%d", i)}
	}
	return events
}

// recorded is what a log must give back for a commit whose first event is at position first.
func recorded(c domain.Commit, first domain.Position) []domain.Recorded {
	out := make([]domain.Recorded, len(c.Events))
	for i, e := range c.Events {
		out[i] = domain.Recorded{
			Position: first + domain.Position(i), Stream: c.Stream, Version: c.Expected + 1 + i,
			Time: c.Time.UTC().Truncate(time.Microsecond), Meta: c.Meta, Event: e,
		}
	}
	return out
}

func mustAppend(t *testing.T, l Log, c domain.Commit) domain.Appended {
	t.Helper()
	a, err := l.Append(t.Context(), c)
	if err != nil {
		t.Fatalf("append to %s at %d: %v", c.Stream, c.Expected, err)
	}
	return a
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// all reads the whole log, in pages of odd size, and checks that positions and versions have no gap.
func all(t *testing.T, l Log) []domain.Recorded {
	t.Helper()
	var out []domain.Recorded
	versions := map[string]int{}
	for {
		page, err := l.ReadAfter(t.Context(), domain.Position(len(out)), 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if want := domain.Position(len(out) + 1); e.Position != want {
				t.Fatalf("position %d where %d must be", e.Position, want)
			}
			if versions[e.Stream]++; e.Version != versions[e.Stream] {
				t.Fatalf("position %d: version %d of %s where %d must be", e.Position, e.Version, e.Stream, versions[e.Stream])
			}
			out = append(out, e)
		}
	}
	head, err := l.Head(t.Context())
	if err != nil || int(head) != len(out) {
		t.Fatalf("head %d, %v; the log has %d events", head, err, len(out))
	}
	return out
}

func emptyLog(t *testing.T, l Log) {
	if events := all(t, l); len(events) != 0 {
		t.Errorf("%d events", len(events))
	}
	for name, read := range map[string]func() ([]domain.Recorded, error){
		"a stream":   func() ([]domain.Recorded, error) { return l.ReadStream(t.Context(), "nobody", 0) },
		"a commit":   func() ([]domain.Recorded, error) { return l.ReadCommit(t.Context(), "nothing") },
		"far beyond": func() ([]domain.Recorded, error) { return l.ReadAfter(t.Context(), 1_000_000, 10) },
	} {
		if events, err := read(); err != nil || len(events) != 0 {
			t.Errorf("%s: %d events, %v", name, len(events), err)
		}
	}
}

func wholeCommit(t *testing.T, l Log) {
	a, b := newCommit("a", 0, some(3)...), newCommit("b", 0, some(commands.MaxCommitEvents)...)
	same(t, "first append", mustAppend(t, l, a), domain.Appended{Position: 3, Version: 3})
	same(t, "second append", mustAppend(t, l, b),
		domain.Appended{Position: 3 + commands.MaxCommitEvents, Version: commands.MaxCommitEvents})
	same(t, "the log", all(t, l), append(recorded(a, 1), recorded(b, 4)...))
	for _, c := range []struct {
		commit domain.Commit
		first  domain.Position
	}{{a, 1}, {b, 4}} {
		got, err := l.ReadCommit(t.Context(), c.commit.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the commit of "+c.commit.Stream, got, recorded(c.commit, c.first))
	}
}

func expectedVersion(t *testing.T, l Log) {
	mustAppend(t, l, newCommit("a", 0, some(2)...))
	for _, expected := range []int{-1, 0, 1, 3, 100} {
		c := newCommit("a", expected, some(1)...)
		if _, err := l.Append(t.Context(), c); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("expected version %d on a stream at 2: %v", expected, err)
		}
		// A refused commit leaves nothing behind, its id neither.
		if events, err := l.ReadCommit(t.Context(), c.ID); err != nil || len(events) > 0 {
			t.Errorf("a refused commit can be read: %d events, %v", len(events), err)
		}
		c.Expected, c.Stream = 0, fmt.Sprint("new", expected)
		mustAppend(t, l, c)
	}
	if _, err := l.Append(t.Context(), newCommit("unknown", 1, some(1)...)); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("expected version 1 of a new stream: %v", err)
	}
	same(t, "next append", mustAppend(t, l, newCommit("a", 2, some(1)...)).Version, 3)
	all(t, l)
}

func sameCommitAgain(t *testing.T, l Log) {
	c := newCommit("a", 0, some(2)...)
	first := mustAppend(t, l, c)
	mustAppend(t, l, newCommit("a", 2, some(1)...))
	same(t, "sent again", mustAppend(t, l, c), first)
	other := newCommit("b", 5, some(4)...)
	other.ID = c.ID
	same(t, "sent again with other content", mustAppend(t, l, other), first)
	if n := len(all(t, l)); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

func invalidCommits(t *testing.T, l Log) {
	noID, noStream := newCommit("a", 0, some(1)...), newCommit("", 0, some(1)...)
	noID.ID = ""
	for name, c := range map[string]domain.Commit{
		"no events":       newCommit("a", 0),
		"too many events": newCommit("a", 0, some(commands.MaxCommitEvents+1)...),
		"no id":           noID,
		"no stream":       noStream,
	} {
		if _, err := l.Append(t.Context(), c); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(all(t, l)); n != 0 {
		t.Errorf("%d events", n)
	}
}

func readingAfter(t *testing.T, l Log) {
	var want []domain.Recorded
	for i, n := range []int{1, 5, 2, 1, 9} {
		c := newCommit(fmt.Sprint("s", i), 0, some(n)...)
		mustAppend(t, l, c)
		want = append(want, recorded(c, domain.Position(len(want)+1))...)
	}
	for after := -1; after <= len(want)+1; after++ {
		for _, limit := range []int{0, 1, 2, 3, 8, 100} {
			from := min(max(after, 0), len(want))
			got, err := l.ReadAfter(t.Context(), domain.Position(after), limit)
			if err != nil {
				t.Fatal(err)
			}
			// Whether there are none is what callers ask: nil or empty is the same.
			if expected := want[from:min(from+limit, len(want))]; len(got)+len(expected) > 0 {
				same(t, fmt.Sprintf("after %d, limit %d", after, limit), got, expected)
			}
		}
	}
}

func readingStream(t *testing.T, l Log) {
	var want []domain.Recorded
	position := domain.Position(1)
	for _, n := range []int{3, 1, 4} {
		c := newCommit("a", len(want), some(n)...)
		mustAppend(t, l, c)
		want = append(want, recorded(c, position)...)
		mustAppend(t, l, newCommit(fmt.Sprint("other", n), 0, some(1)...))
		position += domain.Position(n + 1)
	}
	for after := -1; after <= len(want)+1; after++ {
		got, err := l.ReadStream(t.Context(), "a", after)
		if err != nil {
			t.Fatal(err)
		}
		if expected := want[min(max(after, 0), len(want)):]; len(got)+len(expected) > 0 {
			same(t, fmt.Sprintf("after version %d", after), got, expected)
		}
	}
}

func payloads(t *testing.T, l Log) {
	long := strings.Repeat("long. ", 200_000)
	events := []domain.Event{
		domain.VideoCreated{
			Owner: "local", Publish: domain.PublishAuto, PlaybackPolicy: domain.PlaybackPublic,
			Details: domain.Details{
				Title: "İstanbul \u0000 <b>&amp;</b> \u2028 ﬀ 🎬 العربية", Description: long, Visibility: domain.Public,
				Tags: []string{"a'b", `"`, `\`, "%_", "--"}, Metadata: map[string]string{"": "empty", "ключ": "значение"},
			},
		},
		domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Key: "k", Bytes: 1<<63 - 1, SHA256: "00"}},
		domain.VideoPublished{},
	}
	c := newCommit("stream'ü", 0, events...)
	c.ID = "id '\" ü"
	c.Meta = domain.Meta{Actor: "<ü>"}
	mustAppend(t, l, c)
	same(t, "the log", all(t, l), recorded(c, 1))
	got, err := l.ReadCommit(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the commit", got, recorded(c, 1))
}

func cancelledContext(t *testing.T, l Log) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ctx, newCommit("a", 0, some(1)...)); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	if _, err := l.ReadStream(ctx, "a", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("read a stream: %v", err)
	}
	if _, err := l.ReadAfter(ctx, 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("read after: %v", err)
	}
	if n := len(all(t, l)); n != 0 {
		t.Errorf("%d events", n)
	}
}
