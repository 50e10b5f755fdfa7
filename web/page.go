package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/go-chi/chi/v5"
)

// The page and what it needs are in the binary: it works on a machine without a network.
//
//go:embed ui
var files embed.FS

// pages serves the page, its files and the API's documentation.
func (s *Server) pages(r chi.Router) {
	page := s.policy("script-src 'self'; style-src 'self'; worker-src 'self' blob:")
	docs := s.policy("script-src 'self'; style-src 'self' 'unsafe-inline'") // Swagger UI sets style attributes
	tags := contentTags(files)
	r.With(page).Get("/", serveFile("ui/index.html", tags))
	r.With(page).Get("/ui/*", serveTree("ui", "/ui/", tags))
	r.With(docs).Get("/docs", serveFile("ui/docs/index.html", tags))
	r.Get("/favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/ui/icon.svg", http.StatusMovedPermanently)
	})
}

// policy is a page's Content-Security-Policy: all from here, and media also from where they are stored.
func (s *Server) policy(own string) func(http.Handler) http.Handler {
	media := strings.TrimSpace("'self' blob: " + s.MediaOrigin)
	value := "default-src 'none'; " + own + "; img-src data: " + media + "; media-src data: " + media + // hls.js makes empty tracks of data
		"; connect-src " + media + "; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", value)
			next.ServeHTTP(w, r)
		})
	}
}

// contentTags are the ETags of all files: those in a binary have no date, and without either a browser would fetch
// everything anew each time.
func contentTags(tree fs.FS) map[string]string {
	tags := map[string]string{}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		sum := sha256.Sum256(content)
		tags[name] = `"` + hex.EncodeToString(sum[:12]) + `"`
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("the files of the page: %v", err)) // they are in this program
	}
	return tags
}

func serveFile(name string, tags map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Etag", tags[name])
		http.ServeFileFS(w, r, files, name) //nolint:gosec // of an embedded tree, which has nothing else
	}
}

// serveTree serves the files below a folder, and no listing of it.
func serveTree(root, prefix string, tags map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := path.Join(root, strings.TrimPrefix(path.Clean(r.URL.Path), prefix))
		if tags[name] == "" || strings.HasSuffix(name, "/index.html") {
			notFound(w, r)
			return
		}
		serveFile(name, tags)(w, r)
	}
}
