package contract

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// WholeLog is an event log that can also be copied commit by commit.
type WholeLog interface {
	Log
	commands.CommitLog
}

// CommitLog checks that a log can be copied, to the byte. open returns an empty one, usable until the test ends.
func CommitLog(t *testing.T, open func(t *testing.T) WholeLog) {
	for name, test := range map[string]func(*testing.T, func() WholeLog){
		"the copy is equal":                  copyIsEqual,
		"commits after a position":           commitsAfter,
		"importing again changes nothing":    importAgain,
		"appends go on after an import":      appendAfterImport,
		"what does not follow is refused":    importRefused,
		"readers see no gap in an import":    readersOfImport,
		"two imports at once":                importsAtOnce,
		"an append at once with an import":   appendDuringImport,
		"an error ends the reading":          errorEndsReading,
		"a log that goes on is no less good": importOfPart,
		"texts are erased and nothing else":  textsErased,
		"erasing is done again and at once":  erasedAgain,
		"erasing what is not there":          erasingRefused,
		"a copy is erased as its source was": copyOfErased,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func() WholeLog { return open(t) })
		})
	}
}

// sourceLog appends commits of all shapes and returns them as they are in the log.
func sourceLog(t *testing.T, l WholeLog) []domain.StoredCommit {
	t.Helper()
	mustAppend(t, l, newCommit("a", 0, some(3)...))
	mustAppend(t, l, newCommit("b", 0, domain.VideoCreated{Details: domain.Details{Title: "<b>&\u2028\u0000 \"é\\"}}))
	mustAppend(t, l, newCommit("a", 3, some(commands.MaxCommitEvents)...))
	bare := newCommit("b", 1, domain.VideoDeleted{})
	bare.Meta = domain.Meta{}
	mustAppend(t, l, bare)
	for i := range 20 {
		mustAppend(t, l, newCommit(fmt.Sprint("s", i%7), i/7, TypicalEvent(i)))
	}
	return stored(t, l)
}

// stored reads all commits, in pages of odd size, and folds the chain over them.
func stored(t *testing.T, l commands.CommitReader) (out []domain.StoredCommit) {
	t.Helper()
	var end domain.ChainEnd
	for more := true; more; {
		more = false
		err := l.EachCommit(t.Context(), end.Position, 7, func(c domain.StoredCommit) (err error) {
			if end, err = end.Follow(c); err != nil {
				return err
			}
			out, more = append(out, keepCommit(c)), true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// keepCommit copies what is good only while it is looked at.
func keepCommit(c domain.StoredCommit) domain.StoredCommit {
	c.Hash, c.Events = bytes.Clone(c.Hash), slices.Clone(c.Events)
	for i := range c.Events {
		c.Events[i].Data = bytes.Clone(c.Events[i].Data)
	}
	return c
}

func mustImport(t *testing.T, l WholeLog, commits []domain.StoredCommit) {
	t.Helper()
	if err := l.Import(t.Context(), commits); err != nil {
		t.Fatalf("import %d commits: %v", len(commits), err)
	}
}

func copyIsEqual(t *testing.T, open func() WholeLog) {
	from, to := open(), open()
	commits := sourceLog(t, from)
	if len(commits) != 24 {
		t.Fatalf("%d commits, want 24", len(commits))
	}
	for len(commits) > 0 {
		n := min(5, len(commits))
		mustImport(t, to, commits[:n])
		commits = commits[n:]
	}
	same(t, "commits", stored(t, to), stored(t, from))
	same(t, "events", all(t, to), all(t, from))
	for _, c := range stored(t, from) {
		want, err := from.ReadCommit(t.Context(), c.Commit.ID)
		if err != nil || len(want) == 0 {
			t.Fatalf("commit %s: %d events, %v", c.Commit.ID, len(want), err)
		}
		got, err := to.ReadCommit(t.Context(), c.Commit.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "commit "+c.Commit.ID, got, want)
	}
}

func commitsAfter(t *testing.T, open func() WholeLog) {
	l := open()
	commits := sourceLog(t, l)
	for _, after := range []domain.Position{-1, 0, 1, 2, 3, 4, 5, 258, 259, 260, 261, 262, 280, 281, 1000} {
		for _, limit := range []int{-1, 0, 1, 4, 100} {
			var got, want []domain.Position
			err := l.EachCommit(t.Context(), after, limit, func(c domain.StoredCommit) error {
				got = append(got, c.First)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range commits {
				if c.First > after && len(want) < limit {
					want = append(want, c.First)
				}
			}
			same(t, fmt.Sprintf("after %d, limit %d", after, limit), got, want)
		}
	}
}

func importAgain(t *testing.T, open func() WholeLog) {
	from, to := open(), open()
	commits := sourceLog(t, from)
	mustImport(t, to, nil)
	mustImport(t, to, commits[:10])
	mustImport(t, to, commits[:10])
	mustImport(t, to, commits[3:7])
	mustImport(t, to, commits[5:15]) // what an import whose answer was lost does
	mustImport(t, to, commits)
	mustImport(t, to, commits)
	same(t, "commits", stored(t, to), commits)
}

// importOfPart sends an old part to a log that has gone on since.
func importOfPart(t *testing.T, open func() WholeLog) {
	from, to := open(), open()
	commits := sourceLog(t, from)
	mustImport(t, to, commits)
	mustAppend(t, to, newCommit("new", 0, some(2)...))
	before := stored(t, to)
	mustImport(t, to, commits)
	same(t, "commits", stored(t, to), before)
	// But what comes after must follow the log's own end.
	next := mustAppend(t, from, newCommit("other", 0, some(2)...))
	err := to.Import(t.Context(), stored(t, from))
	if !errors.Is(err, domain.ErrConflict) {
		t.Errorf("another commit at position %d: %v", next.Position-1, err)
	}
	same(t, "commits", stored(t, to), before)
}

func appendAfterImport(t *testing.T, open func() WholeLog) {
	from, to := open(), open()
	mustAppend(t, to, newCommit("x", 0, some(1)...)) // so that it knows something that the import makes old
	early := stored(t, to)
	mustImport(t, from, early)
	commits := sourceLog(t, from)
	mustImport(t, to, commits)
	head := commits[len(commits)-1].Last()

	c := newCommit("a", 3+commands.MaxCommitEvents, some(2)...)
	same(t, "the next append", mustAppend(t, to, c), domain.Appended{Position: head + 2, Version: 5 + commands.MaxCommitEvents})
	old := newCommit("a", 0, some(3)...) // the first result, for an id that came with the import
	old.ID = commits[1].Commit.ID
	same(t, "an old id again", mustAppend(t, to, old), domain.Appended{Position: 4, Version: 3})
	if _, err := to.Append(t.Context(), newCommit("a", 3, some(1)...)); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("an old version: %v", err)
	}
	if n := len(all(t, to)); n != int(head)+2 {
		t.Errorf("%d events, want %d", n, head+2)
	}
	stored(t, to) // folds the chain
}

func importRefused(t *testing.T, open func() WholeLog) {
	from := open()
	commits := sourceLog(t, from)
	// rehash makes a chain that is right in itself.
	rehash := func(commits []domain.StoredCommit) []domain.StoredCommit {
		var end domain.ChainEnd
		for i, c := range commits {
			c.First = end.Position + 1
			c.Hash = domain.ChainHash(end.Hash, c.First, c.Commit, c.Events)
			commits[i], end = c, domain.ChainEnd{Position: c.Last(), Hash: c.Hash}
		}
		return commits
	}
	changed := func(change func(c *domain.StoredCommit)) []domain.StoredCommit {
		all := slices.Clone(commits)
		all[5] = keepCommit(all[5])
		change(&all[5])
		return all
	}
	to := open()
	for _, c := range []struct {
		name    string
		commits []domain.StoredCommit
		want    error
		there   int // of the commits, at most
	}{
		{"not from the first on", commits[1:], domain.ErrInvalid, 0},
		{"one left out", append(slices.Clone(commits[:4]), commits[5:]...), domain.ErrInvalid, 4},
		{"another order", append(slices.Clone(commits[:4]), commits[5], commits[4]), domain.ErrInvalid, 4},
		{"other data", changed(func(c *domain.StoredCommit) { c.Events[0].Data[3] ^= 1 }), domain.ErrInvalid, 5},
		{"another time", changed(func(c *domain.StoredCommit) { c.Commit.Time = c.Commit.Time.Add(1000) }), domain.ErrInvalid, 5},
		{"other metadata", changed(func(c *domain.StoredCommit) { c.Commit.Meta.Actor = "x" }), domain.ErrInvalid, 5},
		{"another hash", changed(func(c *domain.StoredCommit) { c.Hash[0] ^= 1 }), domain.ErrInvalid, 5},
		{"no hash", changed(func(c *domain.StoredCommit) { c.Hash = nil }), domain.ErrInvalid, 5},
		{"an id twice", rehash(changed(func(c *domain.StoredCommit) { c.Commit.ID = commits[2].Commit.ID })), domain.ErrConflict, 5},
		{"a version twice", rehash(changed(func(c *domain.StoredCommit) { c.Commit.Stream, c.Commit.Expected = "a", 0 })), domain.ErrConflict, 5},
		{"more events than a commit", rehash(changed(func(c *domain.StoredCommit) { c.Events = slices.Repeat(c.Events, 300) })), domain.ErrTooLarge, 5},
	} {
		if err := to.Import(t.Context(), c.commits); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		// What is there is a part of what was right.
		there := stored(t, to)
		if len(there) > c.there {
			t.Fatalf("%s: %d commits are there, %d were right", c.name, len(there), c.there)
		}
		if len(there) > 0 {
			same(t, c.name, there, commits[:len(there)])
		}
	}
	mustImport(t, to, commits) // and the right ones can follow
	same(t, "the right ones", stored(t, to), commits)
	foreign := open()
	mustAppend(t, foreign, newCommit("a", 0, some(3)...))
	before := stored(t, foreign)
	for name, part := range map[string][]domain.StoredCommit{"all": commits, "the rest": commits[1:]} {
		if err := foreign.Import(t.Context(), part); !errors.Is(err, domain.ErrConflict) && !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s into another log: %v", name, err)
		}
	}
	same(t, "the other log", stored(t, foreign), before)
}

func readersOfImport(t *testing.T, open func() WholeLog) {
	from, to := open(), open()
	commits := sourceLog(t, from)
	head := commits[len(commits)-1].Last()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for at := domain.Position(0); at < head; {
				events, err := to.ReadAfter(t.Context(), at, 50)
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range events {
					if e.Position != at+1 {
						t.Errorf("saw position %d after %d", e.Position, at)
						return
					}
					at = e.Position
				}
			}
		})
	}
	for i := 0; i < len(commits); i += 3 {
		mustImport(t, to, commits[i:i+3])
	}
	wg.Wait()
}

func importsAtOnce(t *testing.T, open func() WholeLog) {
	from, to := open(), open()
	commits := sourceLog(t, from)
	race(4, func(i int) {
		for n := 2 + i; ; n += 3 {
			if err := to.Import(t.Context(), commits[:min(n, len(commits))]); err != nil {
				t.Error(err)
			}
			if n >= len(commits) {
				return
			}
		}
	})
	same(t, "commits", stored(t, to), commits)
}

// appendDuringImport lets an append come between: one of the two loses, and the log has no gap.
func appendDuringImport(t *testing.T, open func() WholeLog) {
	from, to := open(), open()
	commits := sourceLog(t, from)
	race(2, func(i int) {
		if i == 0 {
			mustAppend(t, to, newCommit("between", 0, some(1)...))
			return
		}
		for i := 0; i < len(commits); i += 2 {
			err := to.Import(t.Context(), commits[:i+2])
			if err != nil && !errors.Is(err, domain.ErrConflict) && !errors.Is(err, domain.ErrInvalid) {
				t.Error(err)
			}
		}
	})
	between, err := to.ReadStream(t.Context(), "between", 0)
	if err != nil || len(between) != 1 {
		t.Errorf("the append is not there: %d events, %v", len(between), err)
	}
	all(t, to)
	stored(t, to)
}

func errorEndsReading(t *testing.T, open func() WholeLog) {
	l := open()
	sourceLog(t, l)
	enough, calls := errors.New("enough"), 0
	err := l.EachCommit(t.Context(), 0, 10, func(domain.StoredCommit) error {
		if calls++; calls == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
