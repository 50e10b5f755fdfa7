package streamcheck

import (
	"strconv"
	"strings"
)

func channelsAreTrue(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		said, _, _ := strings.Cut(m.attributes["CHANNELS"], "/")
		if m.attributes["TYPE"] != "AUDIO" || said == "" || m.media == nil || m.media.track() == nil {
			return
		}
		if is := m.media.track().sample.channels; is > 0 && strconv.Itoa(is) != said {
			r.found(m.place, strconv.Itoa(is), "CHANNELS=%q", m.attributes["CHANNELS"])
		}
	})
}

func audioHasChannels(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		if m.attributes["TYPE"] == "AUDIO" && m.attributes["CHANNELS"] == "" {
			r.found(m.place, "CHANNELS", "none")
		}
	})
}

func stereoAAC(p *presentation, r *reporter) {
	audio, stereo := 0, 0
	for _, l := range p.media() {
		for _, s := range l.segments {
			if s.init == nil || s.init.movie == nil {
				continue
			}
			for _, t := range s.init.movie.tracks {
				if t.audio {
					audio++
					if t.sample.aac() && t.sample.channels <= 2 {
						stereo++
					}
				}
			}
			break
		}
	}
	if audio > 0 && stereo == 0 {
		r.found(p.root.at(0), "a rendition of stereo AAC", "%d of other kinds", audio)
	}
}

func heAACIsSmall(p *presentation, r *reporter) {
	for _, l := range p.media() {
		t := l.track()
		if t == nil || !t.audio {
			continue
		}
		const limit = 64_000 * 1.05 // with the container
		he := t.sample.codec == "mp4a.40.5" || t.sample.codec == "mp4a.40.29"
		if rate := l.rate().average; he && rate > limit {
			r.found(l.at(0), "AAC-LC above 64 kbit/s", "%s at %.0f bit/s", t.sample.codec, rate)
		}
	}
}

func oneAudioPerSegment(p *presentation, r *reporter) {
	for _, l := range p.media() {
		for _, s := range l.segments {
			if s.media == nil || s.init == nil || s.init.movie == nil {
				continue
			}
			n := 0
			for _, t := range s.init.movie.tracks {
				if t.audio && s.media.tracks[t.id] != nil {
					n++
				}
			}
			if n > 1 {
				r.found(s.place, "one", "%d", n)
			}
		}
	}
}
