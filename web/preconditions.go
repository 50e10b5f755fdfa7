package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// freshFor is how long a query waits for the position that the client asks for.
const freshFor = 2 * time.Second

// QueryHeaders is what every query takes.
type QueryHeaders struct {
	MinPosition int64 `header:"Cinelog-Min-Position" minimum:"0" doc:"Answer from a read model that has applied this position (the Cinelog-Position of a command); waits up to 2 s"`
}

// fresh waits until the read models have reached what the client asks for.
func (s *Server) fresh(ctx context.Context, q QueryHeaders) error {
	if q.MinPosition <= 0 {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, freshFor)
	defer cancel()
	err := s.Freshness.Wait(waiting, domain.Position(q.MinPosition))
	if err != nil && errors.Is(waiting.Err(), context.DeadlineExceeded) {
		p := newProblem(http.StatusServiceUnavailable, fmt.Sprintf("position %d is not applied yet", q.MinPosition))
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {"1"}})
	}
	if err != nil {
		return s.problem(ctx, "header", err)
	}
	return nil
}

// CommandHeaders is what every command takes.
type CommandHeaders struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"Up to 255 characters. The same key with the same request gives the first answer again, with another request 422."`
}

const maxIdempotencyKey = 255

// Resolve refuses keys that are too long to keep, or not printable.
func (c *CommandHeaders) Resolve(huma.Context) []error {
	printable := !strings.ContainsFunc(c.IdempotencyKey, func(r rune) bool { return r < ' ' || r > '~' })
	if len(c.IdempotencyKey) <= maxIdempotencyKey && printable {
		return nil
	}
	return []error{newProblem(http.StatusBadRequest, "Idempotency-Key must be at most 255 printable ASCII characters")}
}

// key names the request that carries it: which command on what, and its body or that body's digest. The client's key is in
// the digest too, as the log keeps that for ever: without the key nobody finds out by trying what was said.
func (c *CommandHeaders) key(what string, body []byte) commands.IdempotencyKey {
	if c.IdempotencyKey == "" {
		return commands.IdempotencyKey{}
	}
	h := sha256.New()
	for _, part := range []string{c.IdempotencyKey, what} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(body)
	return commands.IdempotencyKey{Key: c.IdempotencyKey, RequestHash: hex.EncodeToString(h.Sum(nil))}
}

// keyed puts the key where commands without a field for it look.
func (c *CommandHeaders) keyed(ctx context.Context, what string) context.Context {
	return commands.WithIdempotencyKey(ctx, c.key(what, nil))
}

func etag(version int) string { return `"` + strconv.Itoa(version) + `"` }

// ifMatch reads If-Match as the version that the client has seen; nil for none and for "*".
func ifMatch(header string) (*int, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return nil, nil //nolint:nilnil // no condition
	}
	tag := regexp.MustCompile(`^(W/)?"([\x21\x23-\x7e]*)"$`).FindStringSubmatch(header)
	if tag == nil {
		return nil, newProblem(http.StatusBadRequest, "If-Match must be one entity tag or *")
	}
	version, err := strconv.Atoi(tag[2])
	if tag[1] != "" || err != nil || etag(version) != header {
		return nil, newProblem(http.StatusPreconditionFailed, "the video has another version")
	}
	return &version, nil
}

// ifNoneMatch says whether the client has this representation already (RFC 9110, 13.1.2: weak comparison).
func ifNoneMatch(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}
