package streamcheck

import (
	"strings"
)

func mediaIsComplete(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		for _, name := range []string{"TYPE", "GROUP-ID", "NAME"} {
			if m.attributes[name] == "" {
				r.found(m.place, name, "none")
			}
		}
		_, has := m.attributes["URI"]
		switch kind := m.attributes["TYPE"]; {
		case kind == "CLOSED-CAPTIONS" && has:
			r.found(m.place, "no URI for closed captions", "URI")
		case kind == "CLOSED-CAPTIONS" && m.attributes["INSTREAM-ID"] == "":
			r.found(m.place, "INSTREAM-ID for closed captions", "none")
		case kind == "SUBTITLES" && !has:
			r.found(m.place, "URI for subtitles", "none")
		case kind != "" && kind != "AUDIO" && kind != "VIDEO" && kind != "SUBTITLES" && kind != "CLOSED-CAPTIONS":
			r.found(m.place, "AUDIO, VIDEO, SUBTITLES or CLOSED-CAPTIONS", "TYPE=%s", kind)
		}
	})
}

func variantsAreComplete(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) {
		if n, ok := v.number("BANDWIDTH"); !ok || n <= 0 {
			r.found(v.place, "BANDWIDTH in bits per second", "%q", v.attributes["BANDWIDTH"])
		}
		if v.uri == "" {
			r.found(v.place, "an address on the next line", "none")
		}
	})
}

func iFrameVariantsAreComplete(p *presentation, r *reporter) {
	p.eachIFrames(func(v *variant) {
		if n, ok := v.number("BANDWIDTH"); !ok || n <= 0 {
			r.found(v.place, "BANDWIDTH in bits per second", "%q", v.attributes["BANDWIDTH"])
		}
		if v.uri == "" {
			r.found(v.place, "URI", "none")
		}
	})
	if top := p.top(); top != nil { // without URI it is no I-frame variant by our reading
		for _, l := range top.tags("EXT-X-I-FRAME-STREAM-INF") {
			if _, has := l.attributes["URI"]; !has {
				r.found(top.at(l.number), "URI", "none")
			}
		}
	}
}

func groupsAreThere(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) {
		for _, kind := range []string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"} {
			id := v.attributes[kind]
			if id == "" || (kind == "CLOSED-CAPTIONS" && id == "NONE") {
				continue
			}
			if len(p.group(kind, id)) == 0 {
				r.found(v.place, "an EXT-X-MEDIA of TYPE="+kind+" with that GROUP-ID", "%s=%q", kind, id)
			}
		}
	})
}

func captionsNoneOnAll(p *presentation, r *reporter) {
	none, others := 0, 0
	p.eachVariant(func(v *variant) {
		if v.attributes["CLOSED-CAPTIONS"] == "NONE" {
			none++
		} else {
			others++
		}
	})
	if none > 0 && others > 0 {
		p.eachVariant(func(v *variant) {
			if v.attributes["CLOSED-CAPTIONS"] != "NONE" {
				r.found(v.place, "CLOSED-CAPTIONS=NONE, as elsewhere", "CLOSED-CAPTIONS=%s", v.attributes["CLOSED-CAPTIONS"])
			}
		})
	}
}

func startHasOffset(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		for _, start := range l.tags("EXT-X-START") {
			if _, ok := start.attributes.number("TIME-OFFSET"); !ok {
				r.found(l.at(start.number), "TIME-OFFSET in seconds", "%q", start.value)
			}
		}
	}
}

func audioIsDeclared(p *presentation, r *reporter) {
	video := false
	p.eachVariant(func(v *variant) { video = video || v.hasVideo() })
	p.eachVariant(func(v *variant) {
		if video && !v.hasVideo() && len(v.codecs()) > 0 && v.media != nil && v.media.role == roleVideo && v.attributes["AUDIO"] == "" {
			r.found(v.place, "EXT-X-MEDIA:TYPE=AUDIO", "a variant of audio alone")
		}
	})
}

func mediaHasLanguage(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		if m.attributes["TYPE"] != "VIDEO" && m.attributes["LANGUAGE"] == "" {
			r.found(m.place, "LANGUAGE", "none")
		}
	})
}

// lacks reports variants without an attribute.
func lacks(name string, needed func(*variant) bool) func(*variant, *reporter) {
	return func(v *variant, r *reporter) {
		if v.attributes[name] == "" && needed(v) {
			r.found(v.place, name, "none")
		}
	}
}

func always(*variant) bool { return true }

func variantHasCodecs(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) { lacks("CODECS", always)(v, r) })
}

func variantHasResolution(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) { lacks("RESOLUTION", (*variant).hasVideo)(v, r) })
}

func variantHasFrameRate(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) { lacks("FRAME-RATE", (*variant).hasVideo)(v, r) })
}

func iFramesHaveCodecs(p *presentation, r *reporter) {
	p.eachIFrames(func(v *variant) { lacks("CODECS", always)(v, r) })
}

func iFramesHaveResolution(p *presentation, r *reporter) {
	p.eachIFrames(func(v *variant) { lacks("RESOLUTION", always)(v, r) })
}

func hasAverage(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) { lacks("AVERAGE-BANDWIDTH", always)(v, r) })
	p.eachIFrames(func(v *variant) { lacks("AVERAGE-BANDWIDTH", always)(v, r) })
}

func audioIsSeparate(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) {
		if v.media == nil || len(v.media.segments) == 0 || v.media.segments[0].init == nil || v.media.segments[0].init.movie == nil {
			return
		}
		audio, video := false, false
		for _, t := range v.media.segments[0].init.movie.tracks {
			audio, video = audio || t.audio, video || t.video
		}
		if audio && video {
			r.found(v.place, "video alone", "video and audio in the same segments")
		}
	})
}

func severalVariants(p *presentation, r *reporter) {
	rates := map[string]bool{}
	video := false
	p.eachVariant(func(v *variant) {
		if v.hasVideo() {
			video = true
			rates[v.attributes["BANDWIDTH"]] = true
		}
	})
	if video && len(rates) < 2 {
		r.found(p.root.at(0), "two or more", "one")
	}
}

func twoAtTheTop(p *presentation, r *reporter) {
	most, at, count := 0, place{}, 0
	p.eachVariant(func(v *variant) {
		w, h, ok := v.resolution()
		switch {
		case !ok || w*h < most:
		case w*h > most:
			most, at, count = w*h, v.place, 1
		default:
			count++
		}
	})
	const hd = 1280 * 720
	if most >= hd && count < 2 {
		r.found(at, "two variants at the highest resolution", "%d", count)
	}
}

func independentInMultivariant(p *presentation, r *reporter) {
	if top := p.top(); top != nil && len(p.videos()) > 0 && len(top.tags("EXT-X-INDEPENDENT-SEGMENTS")) == 0 {
		r.found(top.at(0), "EXT-X-INDEPENDENT-SEGMENTS", "none")
	}
}

func independentSomewhere(p *presentation, r *reporter) {
	if top := p.top(); top == nil || len(top.tags("EXT-X-INDEPENDENT-SEGMENTS")) > 0 {
		return
	}
	for _, l := range p.videos() {
		if len(l.tags("EXT-X-INDEPENDENT-SEGMENTS")) == 0 {
			r.found(l.at(0), "EXT-X-INDEPENDENT-SEGMENTS here or in the multivariant playlist", "none")
		}
	}
}

func hasVideoRange(p *presentation, r *reporter) {
	const pq, hlg = 16, 18 // ISO/IEC 23091-2, table 3
	hdr := false
	want := func(v *variant) string {
		if v.media == nil || v.media.track() == nil {
			return "SDR"
		}
		switch v.media.track().sample.transfer {
		case pq:
			return "PQ"
		case hlg:
			return "HLG"
		}
		return "SDR"
	}
	each := func(what func(*variant)) { p.eachVariant(what); p.eachIFrames(what) }
	each(func(v *variant) { hdr = hdr || want(v) != "SDR" })
	each(func(v *variant) {
		said := v.attributes["VIDEO-RANGE"]
		if (hdr && said != want(v)) || (said != "" && said != want(v)) {
			r.found(v.place, "VIDEO-RANGE="+want(v), "VIDEO-RANGE=%s", strings.TrimSpace(said))
		}
	})
}
