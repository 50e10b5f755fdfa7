package web

import (
	"embed"
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
	r.With(page).Get("/", serveFile("ui/index.html"))
	r.With(page).Get("/ui/*", serveTree("ui", "/ui/"))
	r.With(docs).Get("/docs", serveFile("ui/docs/index.html"))
	r.Get("/favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/ui/icon.svg", http.StatusMovedPermanently)
	})
}

// policy is a page's Content-Security-Policy: all from here, and media also from where they are stored.
func (s *Server) policy(own string) func(http.Handler) http.Handler {
	media := strings.TrimSpace("'self' blob: " + s.MediaOrigin)
	value := "default-src 'none'; " + own + "; img-src data: " + media + "; media-src " + media +
		"; connect-src " + media + "; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", value)
			next.ServeHTTP(w, r)
		})
	}
}

func serveFile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, files, name)
	}
}

// serveTree serves the files below a folder, and no listing of it.
func serveTree(root, prefix string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := path.Join(root, strings.TrimPrefix(path.Clean(r.URL.Path), prefix))
		if info, err := fs.Stat(files, name); err != nil || info.IsDir() || strings.HasSuffix(name, "/index.html") {
			notFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, files, name) //nolint:gosec // of an embedded tree, which has nothing else
	}
}
