package streamcheck

import (
	"strconv"
	"strings"
)

// line is a line of a playlist that is not empty: a tag, an address, or a comment, which is left out.
type line struct {
	number     int
	tag        string // "EXT-X-VERSION"; empty for an address
	value      string // of a tag, or the address
	attributes attributes
	broken     string // what is wrong with the attribute list
}

// attributes are the attributes of a tag; quoted strings without their quotes.
type attributes map[string]string

// hasAttributes tells whether the value of a tag is an attribute list.
func hasAttributes(tag string) bool {
	switch tag {
	case "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-MEDIA", "EXT-X-MAP", "EXT-X-KEY", "EXT-X-START",
		"EXT-X-SESSION-DATA", "EXT-X-SESSION-KEY", "EXT-X-DATERANGE":
		return true
	}
	return false
}

// readLines takes a playlist apart.
func readLines(text string) []line {
	var lines []line
	number := 0
	for l := range strings.SplitSeq(text, "\n") {
		number++
		l = strings.TrimSuffix(l, "\r")
		switch {
		case strings.TrimSpace(l) == "":
		case strings.HasPrefix(l, "#EXT"):
			tag, value, _ := strings.Cut(l[1:], ":")
			one := line{number: number, tag: tag, value: value}
			if hasAttributes(tag) {
				one.attributes, one.broken = readAttributes(value)
			}
			lines = append(lines, one)
		case strings.HasPrefix(l, "#"):
		default:
			lines = append(lines, line{number: number, value: l})
		}
	}
	return lines
}

// readAttributes reads an attribute list (RFC 8216, 4.2); broken says what is wrong with it, if anything is.
func readAttributes(list string) (found attributes, broken string) {
	found = attributes{}
	for list != "" {
		name, rest, ok := strings.Cut(list, "=")
		if !ok {
			return found, "no = after " + strconv.Quote(list)
		}
		if name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			broken = "attribute name " + strconv.Quote(name)
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				return found, "a quoted string of " + name + " that does not end"
			}
			value, rest = rest[1:1+end], rest[end+2:]
			if rest != "" && rest[0] != ',' {
				broken = "text after the quoted string of " + name
			}
			_, list, _ = strings.Cut(rest, ",")
		} else {
			value, list, _ = strings.Cut(rest, ",")
			if strings.ContainsAny(value, "\" \t") {
				broken = "white space or a quote in " + name
			}
		}
		if _, twice := found[name]; twice {
			broken = name + " twice"
		}
		found[name] = value
	}
	return found, broken
}

// number reads a decimal number; ok is false where the attribute is missing or none.
func (a attributes) number(name string) (n float64, ok bool) {
	n, err := strconv.ParseFloat(a[name], 64)
	return n, err == nil
}

// codecs are the formats that the CODECS attribute names.
func (a attributes) codecs() []string { return splitCodecs(a["CODECS"]) }

func splitCodecs(list string) []string {
	var all []string
	for c := range strings.SplitSeq(list, ",") {
		if c = strings.TrimSpace(c); c != "" {
			all = append(all, c)
		}
	}
	return all
}

// byteRange is a part of a file.
type byteRange struct{ offset, length int64 }

// readByteRange reads "length[@offset]"; the offset is -1 where it is not given.
func readByteRange(s string) (byteRange, bool) {
	length, offset, given := strings.Cut(s, "@")
	r := byteRange{offset: -1}
	var err error
	if r.length, err = strconv.ParseInt(length, 10, 64); err != nil || r.length <= 0 {
		return r, false
	}
	if given {
		if r.offset, err = strconv.ParseInt(offset, 10, 64); err != nil || r.offset < 0 {
			return r, false
		}
	}
	return r, true
}
