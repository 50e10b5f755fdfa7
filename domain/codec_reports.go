package domain

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Reports of what was encoded are nine tenths of a log's bytes and half of its events, and reading a log is mostly
// decoding them. So these events are read by hand where they are written just as EncodeEvent writes them; whatever looks
// different is left to encoding/json, which takes about eight times as long.

// decodeChunk reads a ChunkTranscoded; ok is false when it must be read by encoding/json.
func decodeChunk(data string) (e ChunkTranscoded, ok bool) {
	r := readExactly(data)
	r.literal(`{"attempt":`)
	e.Attempt = int(r.integer())
	r.literal(`,"chunk":`)
	e.Chunk = int(r.integer())
	r.literal(`,"renditions":`)
	e.Renditions = list(&r, 5, func() (c RenditionChunk) {
		r.literal(`{"name":`)
		c.Name = r.text()
		r.literal(`,"init":{`)
		c.Init = r.blob()
		r.literal(`},"codecs":`)
		c.Codecs = r.text()
		r.literal(`,"segments":`)
		c.Segments = r.segments()
		r.literal(`}`)
		return c
	})
	r.literal(`}`)
	return e, !r.other && r.rest == ""
}

// decodeAudio reads an AudioTranscoded; ok is false when it must be read by encoding/json.
func decodeAudio(data string) (e AudioTranscoded, ok bool) {
	r := readExactly(data)
	r.literal(`{"attempt":`)
	e.Attempt = int(r.integer())
	r.literal(`,"part":`)
	e.Part = int(r.integer())
	if strings.HasPrefix(r.rest, `,"track":`) {
		r.literal(`,"track":`)
		e.Track = int(r.integer())
	}
	r.literal(`,"init":{`)
	e.Init = r.blob()
	r.literal(`},"codecs":`)
	e.Codecs = r.text()
	r.literal(`,"segments":`)
	e.Segments = r.segments()
	r.literal(`,"final":`)
	if e.Final = strings.HasPrefix(r.rest, `true`); e.Final {
		r.literal(`true}`)
	} else {
		r.literal(`false}`)
	}
	return e, !r.other && r.rest == ""
}

// decodeRemuxed reads a SourceRemuxed, which is written as an AudioTranscoded of the first track is.
func decodeRemuxed(data string) (e SourceRemuxed, ok bool) {
	a, ok := decodeAudio(data)
	return SourceRemuxed{Attempt: a.Attempt, Part: a.Part, Init: a.Init, Codecs: a.Codecs, Segments: a.Segments, Final: a.Final}, ok
}

// decodeRendition reads a RenditionProduced; ok is false when it must be read by encoding/json.
func decodeRendition(data string) (e RenditionProduced, ok bool) {
	r := readExactly(strings.Clone(data)) // read models keep its texts, and need not keep all of a commit for them
	r.literal(`{"attempt":`)
	e.Attempt = int(r.integer())
	r.literal(`,"name":`)
	e.Name = r.text()
	r.literal(`,"width":`)
	e.Width = int(r.integer())
	r.literal(`,"height":`)
	e.Height = int(r.integer())
	r.literal(`,"frame_rate":{"num":`)
	e.FrameRate.Num = int(r.integer())
	r.literal(`,"den":`)
	e.FrameRate.Den = int(r.integer())
	r.literal(`},"codecs":`)
	e.Codecs = r.text()
	r.literal(`,"average_bandwidth":`)
	e.AverageBandwidth = r.integer()
	r.literal(`,"bandwidth":`)
	e.Bandwidth = r.integer()
	r.literal(`,"bytes":`)
	e.Bytes = r.integer()
	r.literal(`,"duration":`)
	e.Duration = r.number()
	r.literal(`}`)
	return e, !r.other && r.rest == ""
}

// DecodeMeta reads a Meta, of which every commit has one.
func DecodeMeta(data []byte) (m Meta, err error) {
	r := readExactly(string(data))
	first := true
	field := func(key string, to *string) { // each may be left out
		rest := r.rest
		if !first {
			if !strings.HasPrefix(rest, `,`) {
				return
			}
			rest = rest[1:]
		}
		if strings.HasPrefix(rest, key) {
			r.rest, first = rest[len(key):], false
			*to = r.text()
		}
	}
	r.literal(`{`)
	field(`"actor":`, &m.Actor)
	field(`"correlation":`, &m.Correlation)
	field(`"causation":`, &m.Causation)
	field(`"request":`, &m.Request)
	r.literal(`}`)
	if r.other || r.rest != "" {
		m = Meta{}
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// exactReader reads JSON that is written in one exact way. Once it has met anything else, other is set and what it
// returns means nothing. Texts that it returns share the memory of the whole.
type exactReader struct {
	rest  string
	other bool
}

func readExactly(data string) exactReader {
	if !plain(data) {
		return exactReader{other: true}
	}
	return exactReader{rest: data}
}

// plain says that there are nothing but printable ASCII characters and no backslash, so that every text ends at the
// next quote and means what it says. It looks at eight bytes at a time.
func plain(data string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(data) >= 8; data = data[8:] {
		x := uint64(data[0]) | uint64(data[1])<<8 | uint64(data[2])<<16 | uint64(data[3])<<24 |
			uint64(data[4])<<32 | uint64(data[5])<<40 | uint64(data[6])<<48 | uint64(data[7])<<56
		below := x - ones*' '           // sets the high bit of a byte below ' '
		del := x + ones                 // or of DEL
		slash := (x ^ ones*'\\') - ones // or of a byte that is a backslash
		if (below|del|slash|x)&highs != 0 {
			return false
		}
	}
	for i := range len(data) {
		if c := data[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

func (r *exactReader) fail() { r.rest, r.other = "", true }

func (r *exactReader) literal(want string) {
	if !strings.HasPrefix(r.rest, want) {
		r.fail()
		return
	}
	r.rest = r.rest[len(want):]
}

// text reads a string.
func (r *exactReader) text() string {
	if strings.HasPrefix(r.rest, `"`) {
		if end := strings.IndexByte(r.rest[1:], '"'); end >= 0 {
			s := r.rest[1 : 1+end]
			r.rest = r.rest[end+2:]
			return s
		}
	}
	r.fail()
	return ""
}

// integer reads a number that is not negative.
func (r *exactReader) integer() int64 {
	const most = 18 // digits that surely fit
	n, i := int64(0), 0
	for i < len(r.rest) && '0' <= r.rest[i] && r.rest[i] <= '9' {
		n = n*10 + int64(r.rest[i]-'0')
		if i++; i > most {
			break
		}
	}
	if i == 0 || i > most || (i > 1 && r.rest[0] == '0') {
		r.fail()
		return 0
	}
	r.rest = r.rest[i:]
	return n
}

// number reads a number that is not negative and has no exponent.
func (r *exactReader) number() float64 {
	whole := r.rest
	n := r.integer()
	if !strings.HasPrefix(r.rest, ".") {
		return float64(n)
	}
	digits := 1
	for digits < len(r.rest) && '0' <= r.rest[digits] && r.rest[digits] <= '9' {
		digits++
	}
	f, err := strconv.ParseFloat(whole[:len(whole)-len(r.rest)+digits], 64)
	if err != nil || digits == 1 {
		r.fail()
		return 0
	}
	r.rest = r.rest[digits:]
	return f
}

// blob reads the fields of a Blob, which may stand among others.
func (r *exactReader) blob() (b Blob) {
	r.literal(`"key":`)
	b.Key = r.text()
	r.literal(`,"bytes":`)
	b.Bytes = r.integer()
	r.literal(`,"sha256":`)
	b.SHA256 = r.text()
	return b
}

func (r *exactReader) segments() []Segment {
	return list(r, 4, func() (s Segment) {
		r.literal(`{`)
		s.Blob = r.blob()
		r.literal(`,"duration":`)
		s.Duration = r.number()
		if strings.HasPrefix(r.rest, `,"keyframes":`) {
			r.literal(`,"keyframes":`)
			s.Keyframes = list(r, 2, r.keyframe)
		}
		r.literal(`}`)
		return s
	})
}

func (r *exactReader) keyframe() (k Keyframe) {
	r.literal(`{"offset":`)
	k.Offset = r.integer()
	r.literal(`,"length":`)
	k.Length = r.integer()
	r.literal(`,"time":`)
	k.Time = r.number()
	r.literal(`}`)
	return k
}

// list reads an array of usually so many elements.
func list[T any](r *exactReader, usually int, element func() T) []T {
	r.literal(`[`)
	all := make([]T, 0, usually)
	for !r.other && !strings.HasPrefix(r.rest, `]`) {
		if len(all) > 0 {
			r.literal(`,`)
		}
		all = append(all, element())
	}
	r.literal(`]`)
	return all
}

// decodeExact reads an event by hand, or else by encoding/json.
func decodeExact[E Event](eventType, data string, byHand func(string) (E, bool)) (Event, error) {
	if e, ok := byHand(data); ok {
		return e, nil
	}
	return decode[E](eventType, []byte(data))
}
