package projections

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// captionsPrefix begins the names of playlists of captions.
const captionsPrefix = "captions-"

// CaptionName returns what a caption track is called in addresses.
func CaptionName(c domain.CaptionAdded) string { return cmp.Or(c.Name, strings.ToLower(c.Language)) }

// Caption returns a caption track by its name. ErrNotFound.
func Caption(p Playback, name string) (domain.CaptionAdded, error) {
	for _, c := range p.Captions {
		if CaptionName(c) == name {
			return c, nil
		}
	}
	return domain.CaptionAdded{}, fmt.Errorf("captions %q of video %s: %w", name, p.ID, domain.ErrNotFound)
}

// captionTitles are what people read of the tracks. Names in a group are unique (RFC 8216, 4.3.4.1.1).
func (p Playback) captionTitles() (titles []string) {
	for _, c := range p.Captions {
		label := cmp.Or(quotable(c.Label), cmp.Or(languageTag(c.Language), "und"))
		name := label
		for n := 2; slices.Contains(titles, name); n++ {
			name = fmt.Sprintf("%s (%d)", label, n)
		}
		titles = append(titles, name)
	}
	return titles
}

// captionGroup writes the EXT-X-MEDIA tags of the captions, and returns the attribute that names their group.
func captionGroup(b *strings.Builder, p Playback, uri func(string) string) (attribute string) {
	chosen, titles := map[string]bool{}, p.captionTitles()
	for i, c := range p.Captions {
		tag := languageTag(c.Language) // players choose by it: one of each, see audioGroup
		fmt.Fprintf(b, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"captions\",NAME=\"%s\",%sDEFAULT=NO,AUTOSELECT=%s,FORCED=NO,URI=\"%s\"\n",
			titles[i], languageAttribute(c.Language), yes(!chosen[tag]), uri(captionsPrefix+CaptionName(c)))
		chosen[tag] = true
		attribute = `,SUBTITLES="captions"`
	}
	return attribute
}

// quotable drops what would end a quoted string (RFC 8216, 4.2).
func quotable(s string) string {
	return strings.NewReplacer("\"", "'", "\n", " ", "\r", " ").Replace(s)
}

// captionPlaylist names the whole track as one segment: text is small.
func captionPlaylist(p Playback, c domain.CaptionAdded, uri func(domain.Blob) string) []byte {
	return fmt.Appendf(nil, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"+
		"#EXTINF:%.5f,\n%s\n#EXT-X-ENDLIST\n", int(math.Ceil(p.Duration)), p.Duration, uri(c.File))
}

// captionSets are the AdaptationSets of the captions: each a file of its own, which a Representation without segments names
// by its BaseURL (ISO/IEC 23009-1, 5.3.9.1).
func captionSets(p Playback, uri func(domain.Blob) string) (sets []mpdSet) {
	for i, c := range p.Captions {
		sets = append(sets, mpdSet{
			ContentType: "text", MimeType: "text/vtt", Language: languageTag(c.Language), Label: p.captionTitles()[i],
			Role: mpdDescriptor{"urn:mpeg:dash:role:2011", "subtitle"},
			Representations: []mpdRepresentation{{
				ID: captionsPrefix + CaptionName(c), Bandwidth: max(1, int64(math.Ceil(float64(8*c.File.Bytes)/max(1, p.Duration)))),
				BaseURL: uri(c.File),
			}},
		})
	}
	return sets
}
