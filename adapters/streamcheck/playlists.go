package streamcheck

import (
	"strconv"
	"strings"
)

// presentation is all that an address leads to.
type presentation struct {
	root      *playlist
	playlists []*playlist // each once, the root first
	manifest  *manifest   // where the root is an MPD; then it has no playlists
	lost      []lost
	overHTTP  bool
	loopback  bool // served by this machine: a rule about networks says nothing here
}

// lost is something that was named and could not be had.
type lost struct {
	place

	address string
	err     error
	init    bool // an initialization section
}

// playlist is a multivariant or a media playlist.
type playlist struct {
	file     string // for people
	address  string
	text     string
	lines    []line
	response *response // nil for a file

	// Of a multivariant playlist.
	multivariant bool
	variants     []*variant
	renditions   []*rendition

	// Of a media playlist.
	segments []*segment
	target   float64
	kind     string // EXT-X-PLAYLIST-TYPE
	ended    bool
	iFrames  bool
	role     string // how the multivariant playlist names it: video, audio, i-frames, subtitles; video where there is none
}

// variant is an EXT-X-STREAM-INF or an EXT-X-I-FRAME-STREAM-INF.
type variant struct {
	place
	attributes

	uri   string
	media *playlist // nil where it could not be had
}

// rendition is an EXT-X-MEDIA.
type rendition struct {
	place
	attributes

	media *playlist // nil where it has no address, or could not be had
}

// segment is a media segment as a playlist or a manifest names it, with what is in it.
type segment struct {
	place

	duration      float64 // seconds that are announced
	hasDuration   bool
	uri           string
	part          *byteRange // nil for the whole file
	badPart       string
	discontinuity bool
	init          *initSection
	encrypted     bool

	address  string
	response *response
	media    *mediaFacts // nil where it could not be had or read
	captions string      // the text of a WebVTT segment
	err      error       // why it could not be read
}

// initSection is an EXT-X-MAP with what is in it.
type initSection struct {
	place

	uri      string
	part     *byteRange
	address  string
	response *response
	movie    *movie
	err      error
}

// readPlaylist takes the text of a playlist apart; it is lenient, the rules are not.
func readPlaylist(file, address, text string, r *response) *playlist {
	p := &playlist{file: file, address: address, text: text, lines: readLines(text), response: r}
	for _, l := range p.lines {
		switch l.tag {
		case "EXT-X-STREAM-INF", "EXT-X-MEDIA", "EXT-X-I-FRAME-STREAM-INF":
			p.multivariant = true
		}
	}
	if p.multivariant {
		p.readVariants()
	} else {
		p.readSegments()
	}
	return p
}

func (p *playlist) at(line int) place { return place{p.file, line} }

// tags returns the lines with a tag.
func (p *playlist) tags(name string) []line {
	var found []line
	for _, l := range p.lines {
		if l.tag == name {
			found = append(found, l)
		}
	}
	return found
}

// isIFrames tells whether a variant has keyframes only.
func (v *variant) isIFrames() bool { _, has := v.attributes["URI"]; return has }

func (p *playlist) readVariants() {
	for i, l := range p.lines {
		switch l.tag {
		case "EXT-X-MEDIA":
			p.renditions = append(p.renditions, &rendition{place: p.at(l.number), attributes: l.attributes})
		case "EXT-X-I-FRAME-STREAM-INF":
			p.variants = append(p.variants, &variant{place: p.at(l.number), attributes: l.attributes, uri: l.attributes["URI"]})
		case "EXT-X-STREAM-INF":
			v := &variant{place: p.at(l.number), attributes: l.attributes}
			if i+1 < len(p.lines) && p.lines[i+1].tag == "" {
				v.uri = p.lines[i+1].value
			}
			delete(v.attributes, "URI") // it has none; isIFrames asks for it
			p.variants = append(p.variants, v)
		}
	}
}

func (p *playlist) readSegments() {
	next := &segment{}
	var init *initSection
	encrypted := false
	ends := map[string]int64{} // by address: where the last part ended
	for _, l := range p.lines {
		switch l.tag {
		case "EXT-X-TARGETDURATION":
			p.target, _ = strconv.ParseFloat(strings.TrimSpace(l.value), 64)
		case "EXT-X-PLAYLIST-TYPE":
			p.kind = l.value
		case "EXT-X-ENDLIST":
			p.ended = true
		case "EXT-X-I-FRAMES-ONLY":
			p.iFrames = true
		case "EXT-X-DISCONTINUITY":
			next.discontinuity = true
		case "EXT-X-KEY":
			encrypted = l.attributes["METHOD"] != "NONE"
		case "EXT-X-MAP":
			init = &initSection{place: p.at(l.number), uri: l.attributes["URI"]}
			if r, ok := readByteRange(l.attributes["BYTERANGE"]); ok {
				r.offset = max(r.offset, 0)
				init.part = &r
			}
		case "EXTINF":
			value, _, _ := strings.Cut(l.value, ",")
			d, err := strconv.ParseFloat(value, 64)
			next.duration, next.hasDuration = d, err == nil && d >= 0
		case "EXT-X-BYTERANGE":
			if r, ok := readByteRange(l.value); ok {
				next.part = &r
			} else {
				next.badPart = l.value
			}
		case "":
			next.place, next.uri, next.init, next.encrypted = p.at(l.number), l.value, init, encrypted
			if r := next.part; r != nil {
				if r.offset < 0 {
					end, known := ends[next.uri]
					r.offset = end
					if !known {
						next.badPart = "no offset, and no part of the same file before"
					}
				}
				ends[next.uri] = r.offset + r.length
			}
			p.segments = append(p.segments, next)
			next = &segment{}
		}
	}
}

// media returns the media playlists that are not of keyframes only.
func (p *presentation) media() []*playlist {
	var all []*playlist
	for _, l := range p.playlists {
		if !l.multivariant && !l.iFrames && l.role != roleSubtitles {
			all = append(all, l)
		}
	}
	return all
}

// videos returns those that carry pictures.
func (p *presentation) videos() []*playlist {
	var all []*playlist
	for _, l := range p.media() {
		if t := l.track(); t != nil && t.video {
			all = append(all, l)
		}
	}
	return all
}

// track returns the main track: the pictures where there are some, else the sound; nil where nothing could be read.
func (p *playlist) track() *track {
	for _, s := range p.segments {
		if s.init != nil && s.init.movie != nil {
			return s.init.movie.main()
		}
	}
	return nil
}

const (
	roleVideo     = "video"
	roleAudio     = "audio"
	roleIFrames   = "i-frames"
	roleSubtitles = "subtitles"
)
