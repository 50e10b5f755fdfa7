package ffmpeg

import (
	"bytes"
	"strings"
	"unicode"
)

const tailBytes = 4 << 10

// tail keeps the end of what FFmpeg says, however much that is: a broken file makes it say a line for each macroblock.
type tail struct {
	kept  []byte
	lines int
	noise int // lines about macroblocks that could not be decoded
}

func (t *tail) Write(b []byte) (int, error) {
	n := len(b)
	t.lines += bytes.Count(b, []byte{'\n'})
	t.noise += bytes.Count(b, []byte("while decoding MB")) + bytes.Count(b, []byte("concealing"))
	if len(b) > tailBytes {
		b = b[len(b)-tailBytes:]
	}
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return n, nil
}

func (t *tail) text() string { return clean(t.kept) }

// clean makes foreign text safe for logs and events: one line, printable, without addresses that differ every time.
func clean(b []byte) string {
	s := strings.ToValidUTF8(string(b), "?")
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, l := range lines {
		l = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, l)
		if at := strings.Index(l, " @ 0x"); at > 0 {
			if end := strings.IndexByte(l[at:], ']'); end > 0 {
				l = l[:at] + l[at+end:]
			}
		}
		lines[i] = strings.TrimSpace(l)
	}
	if n := len(lines); n > 6 {
		lines = lines[n-6:]
	}
	return strings.Join(lines, " | ")
}
