package domain

import (
	"bytes"
	"fmt"
)

// MaxFindings is where a check of a log gives up: one cause can break everything after it.
const MaxFindings = 100

// ChainCheck follows a log from its first commit and finds where it is not as it was written: positions without a gap,
// versions of every stream from 1 on, events that can be decoded, every commit's hash over the one before it, and
// tombstones where an erasure is recorded and nowhere else. The zero value is at the beginning.
type ChainCheck struct {
	end      ChainEnd
	versions map[string]int
	tombs    Tombstones
	findings []string
}

// Follow checks the next commit. last and version are those of its last event by what the log keeps beside the events,
// and broken is what the log itself finds wrong with it. It goes on from what the commit says, so that one broken
// commit is one finding and not as many as there are commits after it.
func (c *ChainCheck) Follow(s StoredCommit, last Position, version int, broken ...string) {
	find := func(format string, args ...any) {
		c.findings = append(c.findings, fmt.Sprintf("commit at %d: "+format, append([]any{s.First}, args...)...))
	}
	if want := c.end.Position + 1; s.First != want {
		find("expected position %d", want)
	}
	if want := c.versions[s.Commit.Stream]; s.Commit.Expected != want {
		find("version %d of stream %s, expected %d", s.Commit.Expected+1, s.Commit.Stream, want+1)
	}
	for _, b := range broken {
		find("%s", b)
	}
	if n := len(s.Events); n == 0 || last != s.Last() || version != s.Commit.Expected+n {
		find("%d events, but it says that it ends at %d, version %d", n, last, version)
	}
	for i, e := range s.Events {
		if _, err := DecodeEvent(e.Type, e.Data); err != nil {
			find("decode the event at %d: %v", s.First+Position(i), err)
		}
	}
	if !bytes.Equal(s.Hash, ChainHash(c.end.Hash, s.First, s.Commit, s.Events)) {
		find("the hash does not fit to the content and the commit before")
	}
	for _, v := range c.tombs.Follow(s) {
		find("the erasure of version %d of stream %s was not carried out: cinelog erase %s", v, s.Commit.Stream, s.Commit.Stream)
	}
	if c.versions == nil {
		c.versions = map[string]int{}
	}
	c.versions[s.Commit.Stream] = version
	c.end = ChainEnd{Position: max(s.First, last), Hash: bytes.Clone(s.Hash)}
}

// Full says that there are MaxFindings, and no need to go on.
func (c *ChainCheck) Full() bool { return len(c.findings) >= MaxFindings }

// Findings returns what was found up to the log's end, in words for the operator, at most MaxFindings.
func (c *ChainCheck) Findings() []string {
	found := c.findings
	for _, at := range c.tombs.Unrecorded() {
		found = append(found, fmt.Sprintf("event at %d: it is a tombstone, and no erasure is recorded that leaves this of it", at))
	}
	return found[:min(len(found), MaxFindings)]
}
