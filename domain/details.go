package domain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what may be said about a video. Lengths count Unicode code points; a text is also at most four times as
// many bytes, which is what that many code points can need.
const (
	MaxTitle         = 200
	MaxDescription   = 10_000
	MaxTags          = 50
	MaxTag           = 60
	MaxMetadata      = 50
	MaxMetadataKey   = 60
	MaxMetadataValue = 500
	MaxFilename      = 255
)

// Clean returns the details as they are stored (outer white space trimmed, repeated tags dropped), or an *Invalid that
// names every field that breaks a rule.
func (d Details) Clean() (Details, error) {
	var bad []FieldError
	check := func(field, text string, least, most int, multiline bool) string {
		text = strings.TrimSpace(text)
		if msg := textProblem(text, least, most, multiline); msg != "" {
			bad = append(bad, FieldError{field, msg})
		}
		return text
	}
	d.Title = check("title", d.Title, 1, MaxTitle, false)
	d.Description = check("description", d.Description, 0, MaxDescription, true)
	if len(d.Tags) > MaxTags {
		bad = append(bad, FieldError{"tags", fmt.Sprintf("at most %d tags", MaxTags)})
	} else {
		var tags []string
		for i, t := range d.Tags {
			if t = check(fmt.Sprintf("tags[%d]", i), t, 1, MaxTag, false); !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
		d.Tags = tags
	}
	if len(d.Metadata) > MaxMetadata {
		bad = append(bad, FieldError{"metadata", fmt.Sprintf("at most %d entries", MaxMetadata)})
	} else {
		for _, k := range slices.Sorted(maps.Keys(d.Metadata)) {
			if msg := textProblem(k, 1, MaxMetadataKey, false); msg != "" {
				bad = append(bad, FieldError{"metadata", "a key: " + msg})
			}
			if msg := textProblem(d.Metadata[k], 0, MaxMetadataValue, true); msg != "" {
				bad = append(bad, FieldError{"metadata", "a value: " + msg})
			}
		}
	}
	switch d.Visibility {
	case Public, Unlisted, Private:
	default:
		bad = append(bad, FieldError{"visibility", "must be public, unlisted or private"})
	}
	if len(bad) > 0 {
		return d, &Invalid{Fields: bad}
	}
	return d, nil
}

// CleanFilename returns what a client called its file, made fit to be shown: never used as a path.
func CleanFilename(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	if r := []rune(name); len(r) > MaxFilename {
		name = string(r[:MaxFilename])
	}
	return name
}

func textProblem(s string, least, most int, multiline bool) string {
	if !utf8.ValidString(s) {
		return "must be valid UTF-8"
	}
	n := utf8.RuneCountInString(s)
	switch {
	case n < least:
		return "must not be empty"
	case n > most:
		return fmt.Sprintf("at most %d characters, this has %d", most, n)
	}
	for _, r := range s {
		if unicode.IsControl(r) && (!multiline || (r != '\n' && r != '\r' && r != '\t')) {
			return fmt.Sprintf("must not contain the control character U+%04X", r)
		}
	}
	return ""
}

func (d Details) equal(o Details) bool {
	return d.Title == o.Title && d.Description == o.Description && d.Visibility == o.Visibility &&
		slices.Equal(d.Tags, o.Tags) && maps.Equal(d.Metadata, o.Metadata)
}
