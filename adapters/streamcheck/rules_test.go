package streamcheck_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cinelog/cinelog/adapters/streamcheck"
)

// broken is a way to break a good clip, and the rule that must be found broken.
type broken struct {
	clause   string
	severity streamcheck.Severity
	recipe   func(*recipe)          // before it is made
	change   func(*testing.T, clip) // after it
	place    string                 // file:line; not looked at when empty
}

func text(file, old, with string) func(*testing.T, clip) {
	return func(t *testing.T, c clip) { t.Helper(); c.replace(t, file, old, with) }
}

func made(change func(*recipe)) func(*recipe) { return change }

const (
	e = streamcheck.Error
	w = streamcheck.Warning
)

func ways() []broken {
	return slices.Concat(textWays(), multivariantWays(), mediaWays(), formatWays(), timeWays(), otherWays())
}

// TestEachRuleFindsWhatBreaksIt breaks a good clip in every way, and asks of every rule that it found something.
func TestEachRuleFindsWhatBreaksIt(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	fired := map[streamcheck.Clause]bool{}
	t.Run("ways", func(t *testing.T) { //nolint:tparallel // all are done when it ends
		for i, b := range slices.Concat(ways(), manifestWays()) {
			t.Run(fmt.Sprintf("%s %d", b.clause, i), func(t *testing.T) {
				t.Parallel()
				for _, f := range b.find(t) {
					mu.Lock()
					fired[streamcheck.Clause{Clause: f.Clause, Severity: f.Severity, Text: f.Rule}] = true
					mu.Unlock()
				}
			})
		}
	})
	for _, rule := range streamcheck.Clauses() {
		if !fired[rule] && !slices.Contains(elsewhere(), rule.Clause) {
			t.Errorf("nothing breaks %s: %s", rule.Clause, rule.Text)
		}
	}
}

// find makes the clip, breaks it, and returns what is found; the test fails where the clause is not among it.
func (b broken) find(t *testing.T) []streamcheck.Finding {
	t.Helper()
	r := goodRecipe()
	if b.recipe != nil {
		b.recipe(&r)
	}
	c := r.make(t)
	if b.change != nil {
		b.change(t, c)
	}
	c["master2.m3u8"], c["audio2.m3u8"] = c["master.m3u8"], c["audio.m3u8"]
	c["low-0.ts"] = []byte("G")
	root := "/master.m3u8"
	if strings.HasPrefix(b.clause, "ISO") {
		root = "/clip.mpd"
	}
	report := check(t, c.store(t)+root)
	var all []string
	for _, f := range report.Findings {
		at := fmt.Sprintf("%s:%d", f.File, f.Line)
		if f.Clause == b.clause && f.Severity == b.severity && (b.place == "" || b.place == at) {
			if f.Measured == "" || f.Wanted == "" || f.Advice == "" || f.Rule == "" {
				t.Errorf("it lacks something: %+v", f)
			}
			return report.Findings
		}
		all = append(all, fmt.Sprintf("%s %s %s is %s, wanted %s", f.Severity, f.Clause, at, f.Measured, f.Wanted))
	}
	t.Errorf("not found at %q, but:\n%s", b.place, strings.Join(all, "\n"))
	return report.Findings
}
