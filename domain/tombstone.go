package domain

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// A tombstone is the data of an event whose texts were erased: what is left of it, and the SHA-256 of what it was, which
// the chain is made of. So no hash changes, and everybody sees that something was taken out:
//
//	{"details":{"title":"","visibility":"public"},"erased":{"sha256":"…"}}
//
// What is left is vouched for by a VideoErased later in the stream. That nobody finds the texts by trying what has this
// digest is the salt's work: events that hold texts are stored with a random one, which goes with them.
const (
	tombstoneMark = `,"erased":{"sha256":"`
	tombstoneEnd  = `"}}`
)

// salted adds a salt to the data of an event that holds texts.
func salted(e Event, data []byte) ([]byte, error) {
	if _, texts, err := dataWithoutTexts(e); err != nil || !texts {
		return data, err
	}
	return append(data[:len(data)-1], `,"salt":"`+rand.Text()+`"}`...), nil
}

// tombstone takes a tombstone apart; ok is false for data that are none.
func (e EncodedEvent) tombstone() (left []byte, sum [sha256.Size]byte, ok bool) {
	at := len(e.Data) - len(tombstoneMark) - hex.EncodedLen(len(sum)) - len(tombstoneEnd)
	if at < 1 || !bytes.HasPrefix(e.Data[at:], []byte(tombstoneMark)) || !bytes.HasSuffix(e.Data, []byte(tombstoneEnd)) {
		return nil, sum, false
	}
	if _, err := hex.Decode(sum[:], e.Data[at+len(tombstoneMark):len(e.Data)-len(tombstoneEnd)]); err != nil {
		return nil, sum, false
	}
	return append(bytes.Clone(e.Data[:at]), '}'), sum, true
}

// digest is what the chain has of an event: the SHA-256 of its data as they were recorded.
func (e EncodedEvent) digest() [sha256.Size]byte {
	if _, sum, ok := e.tombstone(); ok {
		return sum
	}
	return sha256.Sum256(e.Data)
}

// erased returns the event's tombstone, and the digest of what it leaves. ErrInvalid: its type has no texts.
func (e EncodedEvent) erased() (tomb EncodedEvent, left string, err error) {
	event, err := DecodeEvent(e.Type, e.Data)
	if err != nil {
		return tomb, "", err
	}
	event, may := withoutTexts(event)
	if !may {
		return tomb, "", fmt.Errorf("%w: there are no texts in %s", ErrInvalid, e.Type)
	}
	_, data, err := EncodeEvent(event)
	if err != nil {
		return tomb, "", err
	}
	left, sum := leftSum(data), e.digest()
	data = append(data[:len(data)-1], tombstoneMark+hex.EncodeToString(sum[:])+tombstoneEnd...)
	return EncodedEvent{Type: e.Type, Data: data}, left, nil
}

// Apply puts tombstones in the places of the events of a commit of its stream that it names, and says which of them
// were not there yet, by their places in the commit. ErrInvalid: this program would leave something else of an event
// than what is recorded.
func (e VideoErased) Apply(c StoredCommit) (events []EncodedEvent, changed []int, err error) {
	events = slices.Clone(c.Events)
	for _, named := range e.Events {
		i := named.Version - c.Commit.Expected - 1
		if i < 0 || i >= len(events) {
			continue
		}
		tomb, left, err := events[i].erased()
		if err == nil && left != named.SHA256 {
			err = fmt.Errorf("%w: what is recorded to be left of it is not what this program leaves", ErrInvalid)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("erase version %d of stream %s: %w", named.Version, c.Commit.Stream, err)
		}
		if !bytes.Equal(events[i].Data, tomb.Data) {
			events[i], changed = tomb, append(changed, i)
		}
	}
	return events, changed, nil
}

// Within is ErrInvalid when it names an event that is not among the first n of the stream.
func (e VideoErased) Within(n int) error {
	for _, named := range e.Events {
		if named.Version < 1 || named.Version > n {
			return fmt.Errorf("%w: there is no version %d", ErrInvalid, named.Version)
		}
	}
	return nil
}

// Tombstones follows a log, or a part of it up to its end, and holds its tombstones against the erasures that are
// recorded. The zero value is at the beginning.
type Tombstones struct {
	seen map[place]*seenTombstone
}

type place struct {
	stream  string
	version int
}

type seenTombstone struct {
	at       Position
	left     string
	recorded bool
}

// Follow takes the next commit. It returns the versions of the commit's stream whose texts were to be erased by it and
// are there, where all of the log was followed.
func (t *Tombstones) Follow(c StoredCommit) (there []int) {
	for i, e := range c.Events {
		if left, _, ok := e.tombstone(); ok {
			if t.seen == nil {
				t.seen = map[place]*seenTombstone{}
			}
			t.seen[place{c.Commit.Stream, c.Commit.Expected + 1 + i}] = &seenTombstone{at: c.First + Position(i), left: leftSum(left)}
			continue
		}
		event, err := e.erasure()
		if err != nil { // it cannot be decoded, which others find
			continue
		}
		for _, named := range event.Events {
			tomb := t.seen[place{c.Commit.Stream, named.Version}]
			switch {
			case tomb == nil:
				there = append(there, named.Version)
			case tomb.left == named.SHA256:
				tomb.recorded = true
			}
		}
	}
	return there
}

// erasure decodes a VideoErased; any other event is one of nothing.
func (e EncodedEvent) erasure() (v VideoErased, err error) {
	if e.Type != EventType(VideoErased{}) {
		return v, nil
	}
	event, err := DecodeEvent(e.Type, e.Data)
	if err == nil {
		v, _ = event.(VideoErased)
	}
	return v, err
}

// Erasures returns what a commit says that was erased of its stream; nothing where it does not.
func (c StoredCommit) Erasures() (all VideoErased, err error) {
	for _, e := range c.Events {
		one, err := e.erasure()
		if err != nil {
			return all, err
		}
		all.Events = append(all.Events, one.Events...)
	}
	return all, nil
}

// Unrecorded returns the positions of tombstones for which no erasure is recorded that leaves what they have.
func (t *Tombstones) Unrecorded() (at []Position) {
	for _, tomb := range t.seen {
		if !tomb.recorded {
			at = append(at, tomb.at)
		}
	}
	slices.Sort(at)
	return at
}
