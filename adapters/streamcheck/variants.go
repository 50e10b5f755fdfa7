package streamcheck

import (
	"slices"
	"strconv"
	"strings"
)

// top returns the multivariant playlist; nil where a media playlist is checked alone.
func (p *presentation) top() *playlist {
	if p.root != nil && p.root.multivariant {
		return p.root
	}
	return nil
}

// eachVariant calls what with each EXT-X-STREAM-INF.
func (p *presentation) eachVariant(what func(*variant)) {
	if top := p.top(); top != nil {
		for _, v := range top.variants {
			if !v.isIFrames() {
				what(v)
			}
		}
	}
}

func (p *presentation) eachIFrames(what func(*variant)) {
	if top := p.top(); top != nil {
		for _, v := range top.variants {
			if v.isIFrames() {
				what(v)
			}
		}
	}
}

func (p *presentation) eachRendition(what func(*rendition)) {
	if top := p.top(); top != nil {
		for _, one := range top.renditions {
			what(one)
		}
	}
}

// group returns the members of a group.
func (p *presentation) group(kind, id string) []*rendition {
	var members []*rendition
	p.eachRendition(func(one *rendition) {
		if one.attributes["TYPE"] == kind && one.attributes["GROUP-ID"] == id {
			members = append(members, one)
		}
	})
	return members
}

// hasVideo tells whether a variant carries pictures, by its media, else by what it says.
func (v *variant) hasVideo() bool {
	if v.media != nil {
		if t := v.media.track(); t != nil {
			return t.video
		}
	}
	return v.attributes["RESOLUTION"] != "" || slices.ContainsFunc(v.codecs(), isVideoCodec)
}

// resolution reads RESOLUTION.
func (v *variant) resolution() (width, height int, ok bool) {
	w, h, found := strings.Cut(v.attributes["RESOLUTION"], "x")
	width, errW := strconv.Atoi(w)
	height, errH := strconv.Atoi(h)
	return width, height, found && errW == nil && errH == nil
}

// plays are the playlists of which a variant plays one each: its own and the members of its audio group.
func (p *presentation) plays(v *variant) []*playlist {
	var all []*playlist
	if v.media != nil {
		all = append(all, v.media)
	}
	for _, m := range p.group("AUDIO", v.attributes["AUDIO"]) {
		if m.media != nil {
			all = append(all, m.media)
		}
	}
	return all
}

// formats are the codecs of a playlist's media.
func (p *playlist) formats() []string {
	var all []string
	for _, s := range p.segments {
		if s.init == nil || s.init.movie == nil {
			continue
		}
		for _, t := range s.init.movie.tracks {
			if (t.video || t.audio) && !slices.Contains(all, t.sample.codec) {
				all = append(all, t.sample.codec)
			}
		}
	}
	return all
}
