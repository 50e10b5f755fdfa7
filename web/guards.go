package web

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// recovered answers a panic with a problem document, or cuts the connection where an answer has begun already.
func (s *Server) recovered(next http.Handler) http.Handler {
	//nolint:contextcheck // the request has it
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watched := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				panic(p)
			}
			s.Log.ErrorContext(r.Context(), "a handler panicked", slog.String("panic", fmt.Sprint(p)),
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("stack", string(debug.Stack())))
			if watched.Status() != 0 {
				panic(http.ErrAbortHandler)
			}
			writeProblem(watched, http.StatusInternalServerError, "an internal error; the server's log says more")
		}()
		next.ServeHTTP(watched, r)
	})
}

// answering tells whoever gives way to requests.
func (s *Server) answering(next http.Handler) http.Handler {
	if s.Answering == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.Answering()()
		next.ServeHTTP(w, r)
	})
}

// securityHeaders are on every answer; the page and the documentation set a policy of their own.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			h.Set("Cache-Control", "no-cache") // a shared cache would hide what a command has just changed
		}
		next.ServeHTTP(w, r)
	})
}

// playableAnywhere lets pages of all sites play, and tell that they do: what is below /play/ and /media/ is reached by an id
// that cannot be guessed, and read without a cookie or key (the Fetch standard's CORS protocol). Everything else stays with
// our own page.
func playableAnywhere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods, headers := "GET, HEAD", "Range, If-None-Match, Cinelog-Min-Position"
		switch {
		case r.URL.Path == beaconsPath:
			methods, headers = "POST", "Content-Type"
		case !strings.HasPrefix(r.URL.Path, "/play/") && !strings.HasPrefix(r.URL.Path, "/media/"):
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, Date, Etag")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", methods)
			h.Set("Access-Control-Allow-Headers", headers)
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost refuses requests for names that are not ours: a page of another site could make its own name point at a
// loopback address and so talk to us as if it were from here (DNS rebinding). Probes of a load balancer have no name
// to give and learn nothing, so health is exempt.
func (s *Server) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" && r.URL.Path != "/readyz" && !hostAllowed(r.Host, s.Hosts) {
			writeProblem(w, http.StatusMisdirectedRequest, "this server does not answer for that host")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed says whether a Host header names us: loopback always; what is in allowed, with or without a port; any
// address where we listen on all of them (no attacker's name is an address); everything where allowed has "*".
func hostAllowed(host string, allowed []string) bool {
	name := bareHost(host)
	addr, err := netip.ParseAddr(name)
	isAddr := err == nil
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || (isAddr && addr.Unmap().IsLoopback()) {
		return true
	}
	return slices.ContainsFunc(allowed, func(a string) bool {
		if a == "*" {
			return true
		}
		a = bareHost(a)
		if listen, err := netip.ParseAddr(a); a == "" || (err == nil && listen.IsUnspecified()) {
			return isAddr
		}
		return a == name
	})
}

func bareHost(s string) string {
	if h, _, err := net.SplitHostPort(s); err == nil {
		s = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(s, "[]"), "."))
}

// sameSite refuses writes that a page of another site makes a browser send, but for those of players.
func sameSite() func(http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.AddInsecureBypassPattern("POST " + beaconsPath)
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusForbidden, "a page of another site may not do this")
	}))
	return protection.Handler
}

// readableURL refuses paths and queries that are not text; net/url leaves out of a query what it cannot decode.
func readableURL(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.QueryUnescape(r.URL.RawQuery)
		if _, parseErr := url.ParseQuery(r.URL.RawQuery); err != nil || parseErr != nil {
			writeProblem(w, http.StatusBadRequest, "the query is not well formed")
			return
		}
		if !utf8.ValidString(query) || !utf8.ValidString(r.URL.Path) || strings.ContainsRune(query+r.URL.Path, 0) {
			writeProblem(w, http.StatusBadRequest, "the address must be valid UTF-8 without U+0000")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// notFound and notAllowed answer as the rest of the API does, where chi would answer in plain text.
func notFound(w http.ResponseWriter, _ *http.Request) {
	writeProblem(w, http.StatusNotFound, "there is nothing at this address")
}

func notAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if r.URL.RawPath != "" {
			path = r.URL.RawPath
		}
		var allow []string
		for _, m := range []string{
			http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		} {
			if routes.Match(chi.NewRouteContext(), m, path) {
				allow = append(allow, m)
				if m == http.MethodGet {
					allow = append(allow, http.MethodHead)
				}
			}
		}
		if len(allow) == 0 {
			notFound(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(allow, ", "))
		writeProblem(w, http.StatusMethodNotAllowed, "this address takes "+strings.Join(allow, ", "))
	}
}
