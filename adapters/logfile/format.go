package logfile

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/cinelog/cinelog/domain"
)

const (
	formatName = "cinelog-events"
	// formatVersion is the newest that this program can read, and the one that it writes.
	formatVersion = 1
)

// timeFormat has as many digits as the log.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

// Header is the first line.
type Header struct {
	Format        string          `json:"format"`
	FormatVersion int             `json:"format_version"`
	After         domain.Position `json:"after"`      // the events are those after it
	AfterHash     hexBytes        `json:"after_hash"` // of the commit that ends there
	Head          domain.Position `json:"head"`       // position of the last event
}

// Start is where the file's events begin.
func (h Header) Start() domain.ChainEnd {
	return domain.ChainEnd{Position: h.After, Hash: h.AfterHash}
}

// eventLine is the line of an event. The writer puts data at the end by itself.
type eventLine struct {
	Position domain.Position `json:"position"`
	Stream   string          `json:"stream"`
	Version  int             `json:"version"`
	Commit   string          `json:"commit"`
	Time     string          `json:"time"`
	Meta     domain.Meta     `json:"meta"`
	Type     string          `json:"type"`
	Hash     hexBytes        `json:"hash,omitempty"` // of the commit, with its last event
}

// anyLine is what a line after the first may be.
type anyLine struct {
	eventLine

	Data json.RawMessage `json:"data"`
	End  *closing        `json:"end"`
}

// closing is the content of the last line.
type closing struct {
	Events   int64           `json:"events"`
	Position domain.Position `json:"position"`
	Hash     hexBytes        `json:"hash"`
}

// hexBytes is bytes as hex digits in JSON.
type hexBytes []byte

// MarshalText implements encoding.TextMarshaler.
func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	if *h, err = hex.AppendDecode(nil, text); err != nil {
		return fmt.Errorf("not a hash in hex: %.80q", text)
	}
	return nil
}
