package projections

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Text is folded here, not by a database, so that every adapter finds the same videos.

const (
	maxWord    = 64 // code points of a word; longer ones are cut, in texts and in queries
	maxSortKey = 100
)

// Fold returns s without case, compatibility forms and diacritics: "İstanbul" gives "istanbul", "Straße" "strasse",
// "ﬀ" "ff", "Łódź" "lodz". Hangul is left in its letters, so that an unfinished syllable is a prefix.
func Fold(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	s = norm.NFKD.String(s)
	s = cases.Fold().String(s)
	s = norm.NFKD.String(s) // folding can bring composed letters back
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch r {
		case 'ı':
			b.WriteByte('i')
		case 'ł':
			b.WriteByte('l')
		case 'ø':
			b.WriteByte('o')
		case 'đ':
			b.WriteByte('d')
		case 'æ':
			b.WriteString("ae")
		case 'œ':
			b.WriteString("oe")
		default:
			if !unicode.Is(unicode.Mn, r) {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Words returns the folded words of a text in their order: runs of letters and digits, and each Han, Hiragana or
// Katakana character by itself, since those scripts put no spaces between words.
func Words(texts ...string) []string {
	var words []string
	for _, t := range texts {
		t = Fold(t)
		start, n := -1, 0 // of the current word; n counts its code points
		end := func(i int) {
			if start >= 0 {
				words = append(words, t[start:i])
				start, n = -1, 0
			}
		}
		skipping := false // the rest of a word that was cut
		for i, r := range t {
			switch {
			case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
				end(i)
				skipping = false
				words = append(words, string(r))
			case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Mc, r):
				switch {
				case skipping:
				case n == maxWord:
					end(i)
					skipping = true
				default:
					if start < 0 {
						start = i
					}
					n++
				}
			default:
				end(i)
				skipping = false
			}
		}
		end(len(t))
	}
	return words
}

// SearchText is what of a video is searched: the distinct words of each part, sorted.
type SearchText struct {
	Title       []string
	Tags        []string
	Metadata    []string // values only
	Description []string
}

// SearchText returns the words of a video.
func (v Video) SearchText() SearchText {
	metadata := make([]string, 0, len(v.Details.Metadata))
	for _, k := range slices.Sorted(maps.Keys(v.Details.Metadata)) {
		metadata = append(metadata, v.Details.Metadata[k])
	}
	return SearchText{
		Title:       distinct(Words(v.Details.Title)),
		Tags:        distinct(Words(v.Details.Tags...)),
		Metadata:    distinct(Words(metadata...)),
		Description: distinct(Words(v.Details.Description)),
	}
}

func distinct(words []string) []string {
	slices.Sort(words)
	return slices.Compact(words)
}

// TitleKey is what titles are sorted by.
func (v Video) TitleKey() string {
	k := Fold(v.Details.Title)
	n := 0
	for i := range k {
		if n == maxSortKey {
			return k[:i]
		}
		n++
	}
	return k
}

// Level ranks a match by where the words stand. It does not depend on other videos, so that results keep their order
// while videos come and go; within a level, newer videos come first.
type Level int

// The levels, best first. Each takes the words of those before it too.
const (
	LevelTitleExact  Level = iota // all words stand in the title, whole
	LevelTitle                    // all words begin a word of the title
	LevelTags                     // of the title or a tag
	LevelMetadata                 // or of a metadata value
	LevelDescription              // or of the description
	Levels
)

// Level returns how well a text matches all words, each as a prefix. ok is false when it does not.
func (t SearchText) Level(words []string) (level Level, ok bool) {
	if len(words) == 0 {
		return 0, false
	}
	exact := true
	for _, w := range words {
		if _, found := slices.BinarySearch(t.Title, w); !found {
			exact = false
		}
		switch {
		case hasPrefix(t.Title, w):
			level = max(level, LevelTitle)
		case hasPrefix(t.Tags, w):
			level = max(level, LevelTags)
		case hasPrefix(t.Metadata, w):
			level = max(level, LevelMetadata)
		case hasPrefix(t.Description, w):
			level = max(level, LevelDescription)
		default:
			return 0, false
		}
	}
	if exact {
		return LevelTitleExact, true
	}
	return level, true
}

func hasPrefix(sorted []string, prefix string) bool {
	i, _ := slices.BinarySearch(sorted, prefix)
	return i < len(sorted) && strings.HasPrefix(sorted[i], prefix)
}
