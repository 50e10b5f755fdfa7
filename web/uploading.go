package web

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// uploadInput has no Body field, so huma leaves the body alone; Resolve keeps its reader. A source of any size goes
// through in pieces of some kilobytes.
type uploadInput struct {
	CommandHeaders
	VideoPath

	Filename           string `query:"filename" doc:"What you call the file" maxLength:"1000"`
	ContentDisposition string `header:"Content-Disposition" doc:"Its filename parameter is used where the query has none"`
	ContentDigest      string `header:"Content-Digest" doc:"RFC 9530; sha-256 is checked"`

	body   *steadyBody
	length int64
}

// Resolve keeps the body's reader. Nothing is read yet, so a client that waits for "100 Continue" has sent nothing.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	r, w := humachi.Unwrap(ctx)
	if r.Header.Get("Content-Encoding") != "" {
		return []error{newProblem(http.StatusUnsupportedMediaType, "the file must be sent as it is, without Content-Encoding")}
	}
	if r.Header.Get("Content-Range") != "" {
		return []error{newProblem(http.StatusBadRequest, "the file must be sent whole: Content-Range has no meaning here")}
	}
	in.length = r.ContentLength
	in.body = newSteadyBody(w, r.Body, nil)
	return nil
}

func (s *Server) uploadSource(ctx context.Context, in *uploadInput) (*commandOutput, error) {
	id, err := domain.ParseVideoID(in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	sum, err := contentDigest(in.ContentDigest)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, err.Error())
	}
	if s.MaxSourceBytes > 0 && in.length > s.MaxSourceBytes {
		return nil, newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("a source may have %d bytes", s.MaxSourceBytes))
	}
	if in.Filename == "" {
		if _, params, parseErr := mime.ParseMediaType(in.ContentDisposition); parseErr == nil {
			in.Filename = params["filename"]
		}
	}
	in.body.now = s.Now
	defer in.body.stop()
	result, err := s.Commands.UploadSource(ctx, commands.UploadSource{
		Video: id, Filename: in.Filename, Body: in.body, Bytes: max(0, in.length), SHA256: sum, Key: in.key("PUT "+in.ID+"/source", sum),
	})
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	return s.answerCommand(ctx, result)
}

// contentDigest returns the SHA-256 of a Content-Digest field (RFC 9530), nil where there is none: "sha-256=:BASE64:".
// Digests by other algorithms are not looked at, as the RFC allows.
func contentDigest(field string) ([]byte, error) {
	const sha256Length = 32
	for member := range strings.SplitSeq(field, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		if !strings.EqualFold(name, "sha-256") {
			continue
		}
		coded, opened := strings.CutPrefix(value, ":")
		coded, closed := strings.CutSuffix(coded, ":")
		sum, err := base64.StdEncoding.DecodeString(coded)
		if !opened || !closed || err != nil || len(sum) != sha256Length {
			return nil, errors.New("Content-Digest: sha-256 must be 32 bytes in base64 between colons")
		}
		return sum, nil
	}
	return nil, nil
}
