package domain

import (
	"fmt"

	"github.com/google/uuid"
)

// VideoID names a video and, at the same time, the stream of its events. It is a UUIDv7 (RFC 9562) in its canonical
// lower-case spelling; no other spelling of it is a VideoID, so that one video has one name in URLs, keys and logs.
type VideoID string

// NewVideoID returns a fresh id. Ids made later sort later.
func NewVideoID() (VideoID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make a video id: %w", err)
	}
	return VideoID(id.String()), nil
}

// ParseVideoID accepts the canonical spelling only (uuid.Parse alone would take six). The error wraps ErrNotFound: a
// name that cannot exist is a video that does not exist.
func ParseVideoID(s string) (VideoID, error) {
	id, err := uuid.Parse(s)
	if err != nil || id.String() != s || id.Version() != 7 {
		return "", fmt.Errorf("%w: %q is not the id of a video", ErrNotFound, s)
	}
	return VideoID(s), nil
}

// Position is the place of an event in the whole log: 1, 2, 3 ... without a gap. 0 stands before the first event.
type Position int64
