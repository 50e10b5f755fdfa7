package streamcheck

import (
	"strings"
)

func playlistsAreZipped(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		if l.response != nil && !l.response.gzip {
			r.found(l.at(0), "Content-Encoding: gzip for a client that accepts it", "none")
		}
	}
}

func contentTypes(p *presentation, r *reporter) {
	for _, l := range p.playlists {
		if l.response != nil && !isPlaylistType(l.response.contentType) {
			r.found(l.at(0), "application/vnd.apple.mpegurl", "%q", l.response.contentType)
		}
	}
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if s.response == nil {
				continue
			}
			if s.captions != "" {
				expectType(r, s.place, s.response, "text/vtt", "text/plain")
			} else if s.init != nil {
				expectType(r, s.place, s.response, "video/iso.segment", "video/mp4", "audio/mp4")
			}
			if s.init != nil && s.init.response != nil {
				expectType(r, s.init.place, s.init.response, "video/mp4", "audio/mp4", "video/iso.segment")
			}
		}
	})
}

func expectType(r *reporter, at place, is *response, wanted ...string) {
	mime, _, _ := strings.Cut(strings.ToLower(is.contentType), ";")
	for _, w := range wanted {
		if strings.TrimSpace(mime) == w {
			return
		}
	}
	r.found(at, strings.Join(wanted, " or "), "%q", is.contentType)
}

func noRedirects(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if s.response != nil && s.response.redirected != "" {
				r.found(s.place, "the media itself", "a redirect to %s", s.response.redirected)
			}
		}
	})
}

// insecure tells that something went over a network without TLS. What this machine serves itself goes over none.
func (p *presentation) insecure(address string) bool {
	return p.overHTTP && !p.loopback && strings.HasPrefix(address, "http:")
}

func multivariantTLS(p *presentation, r *reporter) {
	if top := p.top(); top != nil && p.insecure(top.address) {
		r.found(top.at(0), "https", "http")
	}
}

func playlistTLS(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		if p.insecure(l.address) {
			r.found(l.at(0), "https", "http")
		}
	})
}

func mediaTLS(p *presentation, r *reporter) {
	p.eachMedia(func(l *playlist) {
		for _, s := range l.segments {
			if p.insecure(s.address) {
				r.found(s.place, "https", "http")
			}
		}
	})
}
