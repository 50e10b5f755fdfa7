package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// MediaType is the type of a blob by its key, "" for what is not served. These are the only kinds of file that are
// served, with the types that players want (RFC 8216, Apple's HLS authoring rules). Sources are never served: they are
// whatever somebody uploaded.
func MediaType(key string) string {
	switch path.Ext(key) {
	case ".m4s":
		return "video/iso.segment"
	case ".mp4":
		return "video/mp4"
	case ".jpg":
		return "image/jpeg"
	case ".webp":
		return "image/webp"
	case ".vtt":
		return "text/vtt; charset=utf-8"
	}
	return ""
}

// mediaKey is what a key under media/ may look like: no empty part, none that begins with a dot, nothing escaped.
const mediaKey = `^media(/[a-z0-9_-][a-z0-9._-]*)+$`

// serveMedia gives out a blob by its key. Keys name an attempt, so what lies under one never changes.
func (s *Server) serveMedia(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	kind := MediaType(key)
	const maxKey = 512
	if kind == "" || len(key) > maxKey || !regexp.MustCompile(mediaKey).MatchString(key) {
		s.writeError(w, r, fmt.Errorf("%w: no such media", domain.ErrNotFound))
		return
	}
	sum := sha256.Sum256([]byte(key))
	err := s.serveBlob(w, r, blobAnswer{
		key: key, mime: kind, tag: hex.EncodeToString(sum[:12]), cache: "public, max-age=31536000, immutable",
	})
	if err != nil {
		s.writeError(w, r, err)
	}
}

type blobAnswer struct{ key, mime, tag, cache string }

// serveBlob answers with a blob or a range of it. After an error nothing is written.
func (s *Server) serveBlob(w http.ResponseWriter, r *http.Request, a blobAnswer) error {
	blob, size, stored, err := s.Media.Open(r.Context(), a.key)
	if err != nil {
		return fmt.Errorf("open media: %w", err)
	}
	defer blob.Close()
	h := w.Header()
	h.Set("Content-Type", a.mime)
	h.Set("Cache-Control", a.cache)
	h.Set("Etag", `"`+a.tag+`"`)
	if strings.Contains(r.Header.Get("Range"), ",") {
		// net/http would answer thousands of tiny ranges, each with a header; players ask for one. A server may ignore
		// Range (RFC 9110, 14.2).
		r.Header.Del("Range")
	}
	done := s.allowFor(w, size)
	defer done()
	http.ServeContent(w, r, "", stored, blob)
	return nil
}
