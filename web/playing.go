package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

type masterInput struct {
	QueryHeaders
	VideoPath
}

type playlistInput struct {
	QueryHeaders
	VideoPath

	Rendition string `path:"rendition" doc:"A rendition's name; audio and I-frame playlists are listed in the multivariant playlist"`
}

// playable reads what can be played. A video whose policy asks for signed playback has no address without a token.
func (s *Server) playable(ctx context.Context, q QueryHeaders, name string) (projections.Playback, error) {
	id, err := domain.ParseVideoID(name)
	if err != nil {
		return projections.Playback{}, s.problem(ctx, "path", err)
	}
	if err = s.fresh(ctx, q); err != nil {
		return projections.Playback{}, err
	}
	p, err := s.Playbacks.Playback(ctx, id)
	if err != nil {
		return projections.Playback{}, s.problem(ctx, "path", err)
	}
	if p.PlaybackPolicy == domain.PlaybackSigned {
		return projections.Playback{}, newProblem(http.StatusForbidden, "this video is played with a signed token only")
	}
	return p, nil
}

func (s *Server) master(ctx context.Context, in *masterInput) (*huma.StreamResponse, error) {
	p, err := s.playable(ctx, in.QueryHeaders, in.ID)
	if err != nil {
		return nil, err
	}
	text := s.Multivariant(p, func(rendition string) string { return rendition + ".m3u8" })
	return s.playlist(p, hls, text), nil
}

// manifest answers with the DASH manifest, which names the same segments.
func (s *Server) manifest(ctx context.Context, in *masterInput) (*huma.StreamResponse, error) {
	p, err := s.playable(ctx, in.QueryHeaders, in.ID)
	if err != nil {
		return nil, err
	}
	text, err := s.Manifest(p, s.mediaURL)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return s.playlist(p, dash, text), nil
}

// Types of what lists segments (RFC 8216, 10; ISO/IEC 23009-1, annex C).
const (
	hls  = "application/vnd.apple.mpegurl"
	dash = "application/dash+xml"
	vtt  = "text/vtt; charset=utf-8"
)

func (s *Server) mediaPlaylist(ctx context.Context, in *playlistInput) (*huma.StreamResponse, error) {
	p, err := s.playable(ctx, in.QueryHeaders, in.ID)
	if err != nil {
		return nil, err
	}
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,40}$`).MatchString(in.Rendition) {
		return nil, s.problem(ctx, "path", fmt.Errorf("%w: no such rendition", domain.ErrNotFound))
	}
	text, err := s.MediaPlaylist(p, in.Rendition, s.mediaURL)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return s.playlist(p, hls, text), nil
}

// playlist answers with a playlist. One that still grows must be asked for again each time; one that is complete
// changes only when the video is encoded again or withdrawn, which may take a minute to be seen.
func (s *Server) playlist(p projections.Playback, mime string, text []byte) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humachi.Unwrap(ctx)
		sum := sha256.Sum256(text)
		tag := hex.EncodeToString(sum[:12])
		zipped := acceptsGzip(r.Header.Get("Accept-Encoding"))
		if zipped {
			tag += "-gz"
		}
		h := w.Header()
		h.Set("Content-Type", mime)
		h.Set("Vary", "Accept-Encoding")
		h.Set("Etag", `"`+tag+`"`)
		h.Set("Cache-Control", "no-cache")
		if p.Complete {
			h.Set("Cache-Control", "public, max-age=60")
		}
		if ifNoneMatch(r.Header.Get("If-None-Match"), `"`+tag+`"`) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body := text
		if zipped {
			h.Set("Content-Encoding", "gzip")
			body = gzipped(text)
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		done := s.allowFor(w, int64(len(body)))
		defer done()
		if r.Method != http.MethodHead {
			_, _ = w.Write(body)
		}
	}}
}

func gzipped(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text) // into memory: it cannot fail
	_ = z.Close()
	return b.Bytes()
}

func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(coding, ";")
		if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && name != "*" {
			continue
		}
		weight, given := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !given || (err == nil && q > 0)
	}
	return false
}

func (s *Server) mediaURL(b domain.Blob) string {
	if s.MediaURL != nil {
		return s.MediaURL(b)
	}
	return "/" + b.Key
}
