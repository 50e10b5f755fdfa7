package contract

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/cinelog/cinelog/domain"
)

// race runs n functions at once and returns when all are done.
func race(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

func racingWriters(t *testing.T, l Log) {
	const rounds, writers = 10, 8
	for round := range rounds {
		var won, lost atomic.Int32
		race(writers, func(int) {
			switch _, err := l.Append(t.Context(), newCommit("a", 2*round, some(2)...)); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, domain.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 || lost.Load() != writers-1 {
			t.Fatalf("round %d: %d won, %d lost", round, won.Load(), lost.Load())
		}
	}
	if n := len(all(t, l)); n != 2*rounds {
		t.Errorf("%d events, want %d", n, 2*rounds)
	}
}

func racingIDs(t *testing.T, l Log) {
	c := newCommit("a", 0, some(3)...)
	race(8, func(int) {
		a, err := l.Append(t.Context(), c)
		if want := (domain.Appended{Position: 3, Version: 3}); err != nil || a != want {
			t.Errorf("%+v, %v; want %+v", a, err, want)
		}
	})
	same(t, "the log", all(t, l), recorded(c, 1))
}

// follower reads while many write, and must see every position once and in order: no N+1 before N.
func follower(t *testing.T, l Log) {
	const writers, commits, followers = 8, 30, 2
	var total atomic.Int64
	written := make(chan struct{})
	var wg sync.WaitGroup
	for range followers {
		wg.Go(func() {
			var at domain.Position
			for ended := false; ; {
				select {
				case <-written:
					ended = true
				default:
				}
				events, err := l.ReadAfter(t.Context(), at, 50)
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
				if ended && len(events) == 0 {
					break
				}
			}
			if int64(at) != total.Load() {
				t.Errorf("saw %d of %d events", at, total.Load())
			}
		})
	}
	race(writers, func(i int) {
		version := 0
		for range commits {
			n := 1 + rand.IntN(4)
			a, err := l.Append(t.Context(), newCommit(fmt.Sprint("s", i), version, some(n)...))
			if err != nil {
				t.Error(err)
				return
			}
			version = a.Version
			total.Add(int64(n))
			// Acknowledged means readable, for everybody and at once.
			if head, err := l.Head(t.Context()); err != nil || head < a.Position {
				t.Errorf("head %d, %v after an append at %d", head, err, a.Position)
			}
		}
	})
	close(written)
	wg.Wait()
	all(t, l)
}

// cancelledAppends cancels appends at any moment: each must be there as a whole or not at all, and one that reported
// success must be there.
func cancelledAppends(t *testing.T, l Log) {
	race(8, func(i int) {
		for j := range 20 {
			c := newCommit(fmt.Sprint("s", i, "-", j), 0, some(3)...)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Int64N(int64(3*time.Millisecond))))
			_, err := l.Append(ctx, c)
			cancel()
			events, readErr := l.ReadCommit(t.Context(), c.ID)
			if readErr != nil {
				t.Error(readErr)
			}
			if n := len(events); n != 3 && (n != 0 || err == nil) {
				t.Errorf("append: %v, and %d of 3 events are there", err, n)
			}
		}
	})
	all(t, l)
}

// The linearizability check: clients append with right and wrong versions, send ids again and read, all at once; there
// must be one order of all these, in keeping with when each began and ended, in which a log in one variable would have
// answered the same.
const (
	linearStreams = 3
	linearClients = 6
	linearOps     = 40 // per client
)

// logState is the model's log. Arrays, so that states are compared by value.
type logState struct {
	head     domain.Position
	versions [linearStreams]int
	results  [linearClients * linearOps]domain.Appended
}

type logInput struct {
	stream   int
	read     bool
	id       int
	expected int
	events   int
}

type logOutput struct {
	conflict bool
	result   domain.Appended // of a read: only Version
}

func logModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return logState{} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(logState), input.(logInput), output.(logOutput)
			switch {
			case in.read:
				return out.result.Version == s.versions[in.stream], s
			case s.results[in.id].Position > 0:
				return !out.conflict && out.result == s.results[in.id], s
			case s.versions[in.stream] != in.expected:
				return out.conflict, s
			}
			s.head += domain.Position(in.events)
			s.versions[in.stream] += in.events
			s.results[in.id] = domain.Appended{Position: s.head, Version: s.versions[in.stream]}
			return !out.conflict && out.result == s.results[in.id], s
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	}
}

func linearizable(t *testing.T, l Log) {
	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now() //nolint:forbidigo // the history needs real time, and the monotonic clock
	race(linearClients, func(client int) {
		var known [linearStreams]int // versions as this client last saw them: often too old
		var last domain.Commit
		var lastInput logInput
		for op := range linearOps {
			in := logInput{stream: rand.IntN(linearStreams), id: client*linearOps + op, events: 1 + rand.IntN(3)}
			in.expected = known[in.stream]
			c := newCommit(fmt.Sprint("s", in.stream), in.expected, some(in.events)...)
			switch kind := rand.IntN(10); {
			case kind < 3:
				in.read = true
			case kind == 3 && last.ID != "":
				c, in = last, lastInput
			}
			var out logOutput
			called := time.Since(start)
			if in.read {
				events, err := l.ReadStream(t.Context(), c.Stream, 0)
				if err != nil {
					t.Error(err)
					return
				}
				out.result.Version = len(events)
				known[in.stream] = len(events)
			} else {
				var err error
				out.result, err = l.Append(t.Context(), c)
				out.conflict = errors.Is(err, domain.ErrConflict)
				if err != nil && !out.conflict {
					t.Error(err)
					return
				}
				if err == nil {
					known[in.stream] = out.result.Version
				}
				last, lastInput = c, in
			}
			returned := time.Since(start)
			mu.Lock()
			history = append(history, porcupine.Operation{
				ClientId: client, Input: in, Output: out, Call: called.Nanoseconds(), Return: returned.Nanoseconds(),
			})
			mu.Unlock()
		}
	})
	switch porcupine.CheckOperationsTimeout(logModel(), history, time.Minute) {
	case porcupine.Illegal:
		for _, op := range history {
			t.Logf("%d: %d-%d %+v -> %+v", op.ClientId, op.Call, op.Return, op.Input, op.Output)
		}
		t.Error("no order of these operations explains the answers")
	case porcupine.Unknown:
		t.Log("the history was too long to be checked within a minute")
	case porcupine.Ok:
	}
	all(t, l)
}
