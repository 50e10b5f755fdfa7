package contract

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/domain"
)

// secret is in every text of toldLog's streams, and in nothing else of them.
const secret = "Zanzibar"

// toldLog appends the life of two videos, in turn, both deleted at the end.
func toldLog(t *testing.T, l WholeLog) {
	t.Helper()
	said := domain.Details{Title: secret, Description: "about " + secret, Tags: []string{secret}, Metadata: map[string]string{secret: secret}, Visibility: domain.Private}
	for i, events := range [][]domain.Event{
		{domain.VideoCreated{Owner: secret, Details: said, Publish: domain.PublishAuto}},
		{domain.VideoDetailsChanged{Details: said}, domain.PlaybackPolicyChanged{PlaybackPolicy: domain.PlaybackSigned}, domain.VideoDetailsChanged{Details: said}},
		{domain.VideoUploaded{Attempt: 1, Filename: secret + ".mov", Source: domain.Blob{Key: "sources/v/u", Bytes: 7, SHA256: "ab"}}},
		{TypicalEvent(1)},
		{domain.CaptionAdded{Language: "en", Label: secret}, domain.VideoDeleted{}},
	} {
		for _, stream := range []string{"a", "b"} {
			mustAppend(t, l, newCommit(stream, []int{0, 1, 4, 5, 6}[i], events...))
		}
	}
}

// recordErasure appends what is to be erased of a, if anything is.
func recordErasure(t *testing.T, l WholeLog) domain.VideoErased {
	t.Helper()
	events := ofStream(t, l, "a")
	decided, err := domain.Erase(events)
	if err != nil {
		t.Fatal(err)
	}
	if len(decided) > 0 {
		mustAppend(t, l, newCommit("a", len(events), decided...))
	}
	return domain.Erased(ofStream(t, l, "a"))
}

func ofStream(t *testing.T, l WholeLog, stream string) []domain.Recorded {
	t.Helper()
	events, err := l.ReadStream(t.Context(), stream, 0)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func mustErase(t *testing.T, l WholeLog, e domain.VideoErased) {
	t.Helper()
	if err := l.EraseTexts(t.Context(), "a", e); err != nil {
		t.Fatal(err)
	}
}

// findings follows the chain as verify does.
func findings(t *testing.T, l WholeLog) []string {
	t.Helper()
	var check domain.ChainCheck
	for _, c := range stored(t, l) {
		check.Follow(c, c.Last(), c.Commit.Expected+len(c.Events))
	}
	return check.Findings()
}

// told says whether anything that can be read of a stream still has the secret.
func told(t *testing.T, l WholeLog, stream string) bool {
	t.Helper()
	for _, c := range stored(t, l) {
		if c.Commit.Stream == stream && slices.ContainsFunc(c.Events, func(e domain.EncodedEvent) bool { return bytes.Contains(e.Data, []byte(secret)) }) {
			return true
		}
	}
	events := ofStream(t, l, stream)
	for _, e := range all(t, l) {
		if e.Stream == stream {
			events = append(events, e)
		}
	}
	return strings.Contains(fmt.Sprintf("%+v", events), secret)
}

func textsErased(t *testing.T, open func() WholeLog) {
	l := open()
	toldLog(t, l)
	e := recordErasure(t, l)
	if got := len(e.Events); got != 5 {
		t.Fatalf("%d events of a are to be erased, want 5", got)
	}
	before, other := stored(t, l), ofStream(t, l, "b")
	was := ofStream(t, l, "a")
	if n := len(findings(t, l)); n != 5 {
		t.Errorf("%d findings before the erasure, want one for each event: %q", n, findings(t, l))
	}
	mustErase(t, l, e)
	after := stored(t, l) // it folds the chain
	if told(t, l, "a") || !told(t, l, "b") {
		t.Errorf("a tells it: %v, b tells it: %v", told(t, l, "a"), told(t, l, "b"))
	}
	if f := findings(t, l); len(f) > 0 {
		t.Errorf("found %q", f)
	}
	same(t, "the other stream", ofStream(t, l, "b"), other)
	for i, c := range after { // but for the data of the named events nothing is changed
		for j := range c.Events {
			named := c.Commit.Stream == "a" && slices.ContainsFunc(e.Events, func(e domain.ErasedEvent) bool { return e.Version == c.Commit.Expected+1+j })
			if bytes.Equal(c.Events[j].Data, before[i].Events[j].Data) == named {
				t.Errorf("position %d: %s, to be erased: %v", c.First+domain.Position(j), c.Events[j].Data, named)
			}
			c.Events[j].Data = before[i].Events[j].Data
		}
	}
	same(t, "the commits", after, before)
	now := ofStream(t, l, "a")
	same(t, "an upload", now[4].Event, domain.Event(domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Key: "sources/v/u", Bytes: 7, SHA256: "ab"}}))
	same(t, "a chunk", now[5], was[5])
	// A commit that was erased is still known by its id, and appends go on.
	again := newCommit("a", 0, some(1)...)
	again.ID = before[0].Commit.ID
	same(t, "an old id again", mustAppend(t, l, again), domain.Appended{Position: 1, Version: 1})
	mustAppend(t, l, newCommit("c", 0, some(2)...))
	stored(t, l)
}

func erasedAgain(t *testing.T, open func() WholeLog) {
	l := open()
	toldLog(t, l)
	whole := recordErasure(t, l)
	// As if the first one had been killed half way, and several do the rest at once, beside appends.
	mustErase(t, l, domain.VideoErased{Events: whole.Events[:2]})
	race(4, func(i int) {
		switch i {
		case 0:
			for n := range 5 {
				mustAppend(t, l, newCommit("c", n, some(1)...))
			}
		case 1:
			mustErase(t, l, domain.VideoErased{Events: whole.Events[1:3]})
		default:
			mustErase(t, l, whole)
		}
	})
	if f := findings(t, l); told(t, l, "a") || len(f) > 0 {
		t.Errorf("it is told: %v; found %q", told(t, l, "a"), f)
	}
	done := stored(t, l)
	same(t, "what is recorded when it is decided again", recordErasure(t, l), whole)
	mustErase(t, l, whole)
	same(t, "the log after doing it again", stored(t, l), done)
}

func erasingRefused(t *testing.T, open func() WholeLog) {
	l := open()
	toldLog(t, l)
	e := recordErasure(t, l)
	before := stored(t, l)
	for name, events := range map[string][]domain.ErasedEvent{
		"a version that is not there": {{Version: 40, SHA256: e.Events[0].SHA256}},
		"version 0":                   {{SHA256: e.Events[0].SHA256}},
		"an event without texts":      {{Version: 6, SHA256: e.Events[0].SHA256}},
		"something else is left":      {{Version: 1, SHA256: e.Events[1].SHA256}},
	} {
		if err := l.EraseTexts(t.Context(), "a", domain.VideoErased{Events: events}); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.EraseTexts(t.Context(), "unknown", e); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("an unknown stream: %v", err)
	}
	same(t, "the log", stored(t, l), before)
	mustErase(t, l, e) // and the right one can follow
}

// copyOfErased carries tombstones into another log, over what was copied before them too.
func copyOfErased(t *testing.T, open func() WholeLog) {
	from, early, late := open(), open(), open()
	toldLog(t, from)
	mustImport(t, early, stored(t, from))
	mustErase(t, from, recordErasure(t, from))
	commits := stored(t, from)
	mustImport(t, late, commits)
	same(t, "a copy made afterwards", stored(t, late), commits)
	mustImport(t, early, commits)
	if !told(t, early, "a") || len(findings(t, early)) == 0 {
		t.Error("an import alone changes what is there")
	}
	e, err := commits[len(commits)-1].Erasures()
	if err != nil || len(e.Events) == 0 {
		t.Fatalf("the last commit records %v, %v", e, err)
	}
	mustErase(t, early, e)
	same(t, "a copy made before", stored(t, early), commits)
	if f := findings(t, early); len(f) > 0 {
		t.Errorf("found %q", f)
	}
}
