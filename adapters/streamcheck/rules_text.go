package streamcheck

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

func everythingIsThere(p *presentation, r *reporter) {
	for _, l := range p.lost {
		if !errors.Is(l.err, errMP4) {
			r.found(l.place, "a file that can be read", "%s: %v", l.address, l.err)
		}
	}
}

func beginsWithEXTM3U(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		first, _, _ := strings.Cut(l.text, "\n")
		if strings.TrimRight(first, "\r") != "#EXTM3U" {
			r.found(l.at(1), "#EXTM3U", "%.40q", first)
		}
	}
}

func isPlainText(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		if strings.HasPrefix(l.text, "\ufeff") {
			r.found(l.at(1), "no byte order mark", "a byte order mark")
		}
		if !utf8.ValidString(l.text) {
			r.found(l.at(0), "UTF-8", "bytes that are no UTF-8")
		}
		number := 0
		for text := range strings.SplitSeq(l.text, "\n") {
			number++
			text = strings.TrimSuffix(text, "\r")
			if i := strings.IndexFunc(text, unicode.IsControl); i >= 0 {
				r.found(l.at(number), "no control characters", "%q", text[i:i+1])
			}
		}
	}
}

func attributesAreWellFormed(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		for _, one := range l.lines {
			if one.broken != "" {
				r.found(l.at(one.number), "NAME=value, separated by commas", "%s", one.broken)
			}
		}
	}
}

func oneVersion(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		for i, v := range l.tags("EXT-X-VERSION") {
			if i > 0 {
				r.found(l.at(v.number), "one", "a second one")
			}
			if _, err := strconv.ParseUint(v.value, 10, 16); err != nil {
				r.found(l.at(v.number), "a whole number", "%q", v.value)
			}
		}
	}
}

func versionIsEnough(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		version := 1
		for _, v := range l.tags("EXT-X-VERSION") {
			version, _ = strconv.Atoi(v.value)
		}
		for _, one := range l.lines {
			if needs := neededVersion(l, one); needs > version {
				r.found(l.at(one.number), "EXT-X-VERSION "+strconv.Itoa(needs)+" or more", "%d, with %s", version, one.tag)
				break
			}
		}
	}
}

// neededVersion is the lowest version in which a line may stand.
func neededVersion(p *playlist, l line) int {
	switch l.tag {
	case "EXTINF":
		if value, _, _ := strings.Cut(l.value, ","); strings.Contains(value, ".") {
			return 3
		}
	case "EXT-X-KEY":
		if l.attributes["IV"] != "" {
			return 2
		}
		if l.attributes["KEYFORMAT"] != "" {
			return 5
		}
	case "EXT-X-BYTERANGE", "EXT-X-I-FRAMES-ONLY":
		return 4
	case "EXT-X-MAP":
		if p.iFrames {
			return 5
		}
		return 6
	case "EXT-X-MEDIA":
		if strings.HasPrefix(l.attributes["INSTREAM-ID"], "SERVICE") {
			return 7
		}
	}
	return 1
}

func noMediaTags(p *presentation, r *reporter) {
	media := []string{
		"EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME", "EXT-X-DATERANGE",
		"EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST", "EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY",
	}
	for _, l := range p.playlists {
		for _, one := range l.lines {
			if l.multivariant && slices.Contains(media, one.tag) {
				r.found(l.at(one.number), "tags of multivariant playlists only", "%s", one.tag)
			}
		}
	}
}

func noMultivariantTags(p *presentation, r *reporter) {
	for _, l := range p.playlists[1:] {
		if l.multivariant {
			r.found(l.at(0), "a media playlist", "a multivariant playlist in a multivariant playlist")
		}
	}
}

func playlistIsKnown(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		name := l.file
		if i := strings.IndexAny(name, "?#"); i >= 0 {
			name = name[:i]
		}
		byName := strings.HasSuffix(name, ".m3u8") || strings.HasSuffix(name, ".m3u")
		if !byName && (l.response == nil || !isPlaylistType(l.response.contentType)) {
			r.found(l.at(0), "a name that ends with .m3u8, or application/vnd.apple.mpegurl", "%s", l.file)
		}
	}
}

func isPlaylistType(contentType string) bool {
	mime, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch strings.TrimSpace(mime) {
	case "application/vnd.apple.mpegurl", "audio/mpegurl":
		return true
	}
	return false
}
