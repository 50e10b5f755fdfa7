package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// jsonFormat reads JSON as strictly as encoding/json does not: one object and nothing after it, valid UTF-8 and whole
// surrogate pairs, no member twice, names spelled exactly.
func jsonFormat() huma.Format {
	return huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshalStrict}
}

func unmarshalStrict(data []byte, v any) error {
	switch {
	case !utf8.Valid(data):
		return errors.New("must be valid UTF-8")
	case !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")):
		return errors.New("must be a JSON object")
	case !json.Valid(data):
		return syntaxProblem(data)
	}
	if err := checkEscapes(data); err != nil {
		return err
	}
	if err := checkRepeated(json.NewDecoder(bytes.NewReader(data))); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	// huma and encoding/json would both take "Title" for "title". Under a name that no field has, huma refuses it.
	if whole, ok := v.(*any); ok {
		if members, isObject := (*whole).(map[string]any); isObject {
			for name, value := range members {
				if !fieldName(name) {
					delete(members, name)
					members[name+" "] = value
				}
			}
		}
	}
	return nil
}

func syntaxProblem(data []byte) error {
	var v any
	err := json.Unmarshal(data, &v)
	if err == nil {
		return errors.New("malformed JSON")
	}
	return fmt.Errorf("malformed JSON: %w", err)
}

func fieldName(s string) bool {
	for _, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// checkEscapes refuses half a surrogate pair, which encoding/json would silently turn into U+FFFD. data is valid JSON,
// so a backslash stands only in a string and \u has four digits.
func checkEscapes(data []byte) error {
	unit := func(i int) (uint64, bool) {
		if i+6 > len(data) || data[i] != '\\' || data[i+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(data[i+2:i+6]), 16, 16)
		return n, err == nil
	}
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		n, escaped := unit(i)
		switch {
		case !escaped:
			i++
		case n >= 0xD800 && n <= 0xDBFF:
			if low, ok := unit(i + 6); !ok || low < 0xDC00 || low > 0xDFFF {
				return fmt.Errorf("half a surrogate pair at byte %d", i)
			}
			i += 11
		case n >= 0xDC00 && n <= 0xDFFF:
			return fmt.Errorf("half a surrogate pair at byte %d", i)
		default:
			i += 5
		}
	}
	return nil
}

// checkRepeated refuses a member that an object has twice: of two readers one takes the first and one the last.
func checkRepeated(d *json.Decoder) error {
	var open []map[string]bool // by depth; nil for an array
	name := false              // the next string is a member's name
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("malformed JSON: %w", err)
		}
		text, isText := t.(string)
		delim, isDelim := t.(json.Delim)
		switch {
		case isDelim && delim == '{':
			open = append(open, map[string]bool{})
		case isDelim && delim == '[':
			open = append(open, nil)
		case isDelim:
			open = open[:len(open)-1]
		case isText && name:
			members := open[len(open)-1]
			if members[text] {
				return fmt.Errorf("%q stands there twice", text)
			}
			members[text] = true
			name = false
			continue
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}
