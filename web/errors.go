package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cinelog/cinelog/domain"
)

// statusOf is the one place where a kind of error becomes a status.
func statusOf(err error) int {
	var tooLong *http.MaxBytesError
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, domain.ErrInvalid):
		return http.StatusUnprocessableEntity
	case errors.Is(err, domain.ErrStale):
		return http.StatusPreconditionFailed
	case errors.Is(err, domain.ErrConflict), errors.Is(err, domain.ErrNotAllowed), errors.Is(err, domain.ErrSuperseded):
		return http.StatusConflict
	case errors.Is(err, domain.ErrTooLarge), errors.As(err, &tooLong):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, domain.ErrUnavailable):
		return http.StatusServiceUnavailable
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout // of a connection: the client sent too slowly
	case errors.Is(err, errBodyCut), errors.Is(err, context.Canceled):
		return http.StatusBadRequest // the client is gone; nobody reads this, but it is no fault of ours
	}
	return http.StatusInternalServerError
}

// errBodyCut says that a body ended before its announced length.
var errBodyCut = errors.New("the body ended too early")

// problem turns an error of the core into an answer. in says where the fields that it names stand: "body" or "query".
// Of a fault of ours the caller learns nothing but that it happened; the log has it all.
func (s *Server) problem(ctx context.Context, in string, err error) error {
	status := statusOf(err)
	p := newProblem(status, err.Error())
	if invalid, ok := errors.AsType[*domain.Invalid](err); ok {
		p.Detail = "validation failed"
		for _, f := range invalid.Fields {
			place := in
			if f.Field != "" && f.Field[0] >= 'A' && f.Field[0] <= 'Z' {
				place = "header" // the API's own fields are in lower case
			}
			p.Errors = append(p.Errors, &huma.ErrorDetail{Location: place + "." + f.Field, Message: f.Message})
		}
	}
	switch status {
	case http.StatusInternalServerError:
		s.Log.ErrorContext(ctx, "a request failed", slog.Any("err", err))
		p.Detail = "an internal error; the server's log says more"
	case http.StatusServiceUnavailable:
		s.Log.WarnContext(ctx, "a request could not be served now", slog.Any("err", err))
		p.Detail = "something needed is not available now; try again"
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {"1"}})
	}
	return p
}

// newProblem makes an RFC 9457 document.
func newProblem(status int, detail string) *huma.ErrorModel {
	return &huma.ErrorModel{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: strings.ToValidUTF8(detail, "\uFFFD"),
	}
}

// writeProblem answers where huma has no part in it: unknown routes, middleware, media.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Del("Content-Length")
	h.Del("Etag")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	//nolint:errchkjson // a plain struct; an error here is a connection that is gone
	_ = json.NewEncoder(w).Encode(newProblem(status, detail))
}

// writeError is writeProblem for an error of the core.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	var p *huma.ErrorModel
	if !errors.As(s.problem(r.Context(), "query", err), &p) {
		p = newProblem(http.StatusInternalServerError, "")
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeProblem(w, p.Status, p.Detail)
}

// plainProblems completes the documents that huma makes and takes the offending values out of them: a value may be
// large, and it is the caller's own anyway.
func plainProblems(_ huma.Context, _ string, v any) (any, error) {
	var p *huma.ErrorModel
	if err, ok := v.(error); ok && errors.As(err, &p) {
		p.Type = "about:blank"
		for _, e := range p.Errors {
			e.Value = nil
		}
		return p, nil
	}
	return v, nil
}
