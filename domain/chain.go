package domain

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

// EncodedEvent is an event as the log stores it.
type EncodedEvent struct {
	Type string
	Data []byte
}

// Encode encodes all events of a commit, to be stored: those that hold texts with a salt, another one each time.
func (c Commit) Encode() ([]EncodedEvent, error) {
	out := make([]EncodedEvent, len(c.Events))
	for i, e := range c.Events {
		t, data, err := EncodeEvent(e)
		if err != nil {
			return nil, err
		}
		if data, err = salted(e, data); err != nil {
			return nil, err
		}
		out[i] = EncodedEvent{Type: t, Data: data}
	}
	return out, nil
}

// ChainHash ties a commit to the one before it, so that a changed, missing or added event anywhere in the log is found
// by folding the chain again. Each event enters by the SHA-256 of its data, not by the data, so that texts can be
// erased later without breaking the chain. first is the position of the commit's first event.
func ChainHash(previous []byte, first Position, c Commit, events []EncodedEvent) []byte {
	h := sha256.New()
	h.Write(previous)
	number(h, int64(first))
	number(h, int64(c.Expected))
	number(h, c.Time.UnixMicro())
	text(h, c.ID)
	text(h, c.Stream)
	for _, m := range []string{c.Meta.Actor, c.Meta.Correlation, c.Meta.Causation, c.Meta.Request} {
		text(h, m)
	}
	number(h, int64(len(events)))
	for _, e := range events {
		text(h, e.Type)
		sum := e.digest()
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

// StoredCommit is a commit to the byte, as a log keeps it: what it takes to put the same commit into another log.
type StoredCommit struct {
	First  Position // of its first event
	Commit Commit   // without Events
	Events []EncodedEvent
	Hash   []byte // ChainHash over the hash of the commit before
}

// Last returns the position of the last event.
func (c StoredCommit) Last() Position { return c.First + Position(len(c.Events)) - 1 }

// ChainEnd is where a log, or the part of it before some commit, ends: the zero value is that of an empty log.
type ChainEnd struct {
	Position Position // of the last event
	Hash     []byte   // of the last commit
}

// Follow returns the end after c. ErrInvalid: c does not come next, or is not what was hashed.
func (e ChainEnd) Follow(c StoredCommit) (ChainEnd, error) {
	switch {
	case c.First != e.Position+1:
		return e, fmt.Errorf("%w: position %d where %d must be", ErrInvalid, c.First, e.Position+1)
	case len(c.Events) == 0, c.Commit.ID == "", c.Commit.Stream == "", c.Commit.Expected < 0:
		return e, fmt.Errorf("%w: the commit at position %d lacks its events, id, stream or version", ErrInvalid, c.First)
	case !bytes.Equal(c.Hash, ChainHash(e.Hash, c.First, c.Commit, c.Events)):
		return e, fmt.Errorf("%w: the hash of the commit at position %d does not fit to its content and the commit before",
			ErrInvalid, c.First)
	}
	return ChainEnd{Position: c.Last(), Hash: bytes.Clone(c.Hash)}, nil
}

func number(h hash.Hash, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)) //nolint:gosec // the bits matter, not the sign
	h.Write(b[:])
}

func text(h hash.Hash, s string) {
	number(h, int64(len(s)))
	h.Write([]byte(s))
}
