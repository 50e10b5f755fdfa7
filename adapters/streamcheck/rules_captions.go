package streamcheck

import (
	"fmt"
	"strings"
)

func captionsHaveMap(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if s.captions == "" {
				continue
			}
			head, _, _ := strings.Cut(strings.ReplaceAll(s.captions, "\r\n", "\n"), "\n\n")
			if !strings.Contains(head, "X-TIMESTAMP-MAP=") {
				r.found(s.place, "X-TIMESTAMP-MAP in the head of the file", "none in %s", s.uri)
			}
		}
	})
}

func captionsCoverAll(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		if m.attributes["TYPE"] != "SUBTITLES" || m.media == nil || !m.media.ended {
			return
		}
		for _, l := range p.videos() {
			if lasts := m.media.seconds(); lasts < l.seconds()-inSync-1 {
				r.found(m.media.at(0), fmt.Sprintf("%.1f s, as %s", l.seconds(), l.file), "%.1f s", lasts)
				return
			}
		}
	})
}

func accessibleIsSelected(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		accessible := strings.Contains(m.attributes["CHARACTERISTICS"], "public.accessibility.transcribes-spoken-dialog")
		if accessible && m.attributes["AUTOSELECT"] != "YES" {
			r.found(m.place, "AUTOSELECT=YES", "AUTOSELECT=%s", m.attributes["AUTOSELECT"])
		}
	})
}

func defaultIsSelected(p *presentation, r *reporter) {
	p.eachRendition(func(m *rendition) {
		if said, has := m.attributes["AUTOSELECT"]; has && said != "YES" && m.attributes["DEFAULT"] == "YES" {
			r.found(m.place, "AUTOSELECT=YES", "AUTOSELECT=%s", said)
		}
	})
}
