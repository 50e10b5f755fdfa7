package streamcheck

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// loader reads a presentation.
type loader struct {
	*fetcher

	options Options
	p       *presentation
	known   map[string]*playlist
	inits   map[string]*initSection
}

func (l *loader) load(ctx context.Context, root *url.URL) error {
	text, res, err := l.get(ctx, root, nil, maxPlaylist)
	if err != nil {
		return err
	}
	if strings.HasSuffix(root.Path, ".mpd") || strings.Contains(string(text[:min(len(text), 1000)]), "<MPD") {
		if l.p.manifest, err = readManifest(l.name(root), root, text, res); err != nil {
			return err
		}
		return l.loadMedia(ctx, l.p.manifest.all())
	}
	p := readPlaylist(l.name(root), root.String(), string(text), res)
	l.p.root, l.p.playlists = p, []*playlist{p}
	l.known[p.address] = p
	for _, r := range p.renditions {
		if uri := r.attributes["URI"]; uri != "" {
			role := roleAudio
			switch r.attributes["TYPE"] {
			case "SUBTITLES":
				role = roleSubtitles
			case "VIDEO":
				role = roleVideo
			}
			r.media = l.playlist(ctx, root, uri, r.place, role)
		}
	}
	for _, v := range p.variants {
		if v.uri == "" {
			continue
		}
		role := roleVideo
		if v.isIFrames() {
			role = roleIFrames
		}
		v.media = l.playlist(ctx, root, v.uri, v.place, role)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped: %w", err)
	}
	var all []*segment
	for _, m := range l.p.playlists {
		all = append(all, m.segments...)
	}
	return l.loadMedia(ctx, all)
}

// name is how people are told of an address.
func (l *loader) name(u *url.URL) string {
	if l.client == nil {
		return strings.TrimPrefix(path.Clean(u.Path), "/")
	}
	return u.Redacted()
}

// playlist reads a media playlist once.
func (l *loader) playlist(ctx context.Context, base *url.URL, uri string, at place, role string) *playlist {
	u, err := base.Parse(uri)
	if err != nil {
		l.p.lost = append(l.p.lost, lost{place: at, address: uri, err: err})
		return nil
	}
	if p := l.known[u.String()]; p != nil {
		return p
	}
	if len(l.p.playlists) >= maxPlaylists {
		l.p.lost = append(l.p.lost, lost{place: at, address: uri, err: fmt.Errorf("the %d playlists before it are enough: %w", maxPlaylists, errTooLarge)})
		return nil
	}
	text, res, err := l.get(ctx, u, nil, maxPlaylist)
	if err != nil {
		l.p.lost = append(l.p.lost, lost{place: at, address: uri, err: err})
		return nil
	}
	p := readPlaylist(l.name(u), u.String(), string(text), res)
	p.role = role
	if p.multivariant { // it cannot stand here; a rule says so
		p.segments = nil
	}
	l.known[u.String()] = p
	l.p.playlists = append(l.p.playlists, p)
	return p
}

// loadMedia reads all segments, a few at a time, and keeps what the rules want to know of them.
func (l *loader) loadMedia(ctx context.Context, all []*segment) error {
	most := cmp.Or(l.options.MaxFiles, defaultFiles)
	if len(all) > most {
		return fmt.Errorf("%d segments, more than the %d that are read: %w", len(all), most, errTooLarge)
	}
	for _, s := range all {
		l.loadInit(ctx, s)
	}
	var mu sync.Mutex
	done := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, s := range all {
		g.Go(func() error {
			l.loadSegment(ctx, s)
			if l.options.Progress != nil {
				mu.Lock()
				done++
				l.options.Progress(done, len(all))
				mu.Unlock()
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("stopped: %w", err)
	}
	for _, s := range all { // in their order, not in that of their arrival
		if s.err != nil {
			l.p.lost = append(l.p.lost, lost{place: s.place, address: s.uri, err: s.err})
		}
	}
	return nil
}

func (l *loader) resolve(s place, base, uri string) (*url.URL, error) {
	b, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("address of %s: %w", s.file, err)
	}
	u, err := b.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", uri, err)
	}
	return u, nil
}

// base is the address of the file that names something.
func (l *loader) base(at place) string {
	for _, p := range l.p.playlists {
		if p.file == at.file {
			return p.address
		}
	}
	if l.p.manifest != nil {
		return l.p.manifest.address
	}
	return ""
}

func (l *loader) loadInit(ctx context.Context, s *segment) {
	if s.init == nil || s.init.movie != nil || s.init.err != nil {
		return
	}
	u, err := l.resolve(s.init.place, l.base(s.init.place), s.init.uri)
	if err == nil {
		s.init.address = u.String()
		key := s.init.address
		if s.init.part != nil {
			key += fmt.Sprint(*s.init.part)
		}
		if have := l.inits[key]; have != nil {
			s.init.movie, s.init.err, s.init.response = have.movie, have.err, have.response
			return
		}
		var data []byte
		if data, s.init.response, err = l.get(ctx, u, s.init.part, maxSegment); err == nil {
			s.init.movie, err = readMovie(data)
		}
		l.inits[key] = s.init
	}
	if s.init.err = err; err != nil {
		l.p.lost = append(l.p.lost, lost{place: s.init.place, address: s.init.uri, err: err, init: true})
	}
}

func (l *loader) loadSegment(ctx context.Context, s *segment) {
	u, err := l.resolve(s.place, l.base(s.place), s.uri)
	if err != nil {
		s.err = err
		return
	}
	s.address = u.String()
	if s.badPart != "" {
		return
	}
	data, res, err := l.get(ctx, u, s.part, maxSegment)
	s.response = res
	switch {
	case err != nil:
		s.err = err
	case s.init == nil:
		s.media = &mediaFacts{bytes: int64(len(data)), whole: true}
		if strings.HasPrefix(strings.TrimPrefix(string(data[:min(len(data), 16)]), "\ufeff"), "WEBVTT") {
			s.captions = string(data[:min(len(data), 4096)])
		}
	case s.init.movie != nil && !s.encrypted:
		offset := int64(0)
		if s.part != nil {
			offset = s.part.offset
		}
		s.media, s.err = readSegment(data, offset, s.init.movie)
		if s.err == nil && s.part == nil && !s.media.whole {
			s.err = fmt.Errorf("%w: it is cut within a box", errMP4)
		}
	}
}
