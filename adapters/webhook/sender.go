// Package webhook sends messages to whoever asked for them, over HTTP, as Standard Webhooks says
// (https://www.standardwebhooks.com). The addresses are other people's, and so are the answers: what is dialled is looked
// at, redirects are not followed, and no answer may be long or slow. It implements ports of webhooks and may import that
// and domain, no other adapter.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/cinelog/cinelog/webhooks"
)

// Options tune a Sender; the zero value is for the Internet.
type Options struct {
	// Private allows addresses of this machine and its networks, and http.
	Private bool
	// Resolver finds hosts; the system's own when nil.
	Resolver *net.Resolver
	// TLS says whom to trust; the system's roots when nil.
	TLS *tls.Config
	// UserAgent is how it introduces itself.
	UserAgent string
}

// Sender sends messages.
type Sender struct {
	private  bool
	resolver *net.Resolver
	agent    string
	client   *http.Client
}

var _ webhooks.Sender = (*Sender)(nil)

// What an exchange may cost; the time of all of it is the caller's.
const (
	dialTime   = 5 * time.Second
	idleTime   = 30 * time.Second
	maxHeaders = 64 << 10
	maxAnswer  = 64 << 10
	idleConns  = 200
)

// New returns a Sender. Close it.
func New(o Options) *Sender {
	s := &Sender{private: o.Private, resolver: o.Resolver, agent: o.UserAgent}
	if s.resolver == nil {
		s.resolver = net.DefaultResolver
	}
	dialer := &net.Dialer{Timeout: dialTime, Resolver: s.resolver, ControlContext: s.control}
	s.client = &http.Client{
		Transport: &http.Transport{ // without a proxy: that would dial for us, and look at nothing
			DialContext: dialer.DialContext, TLSClientConfig: o.TLS, TLSHandshakeTimeout: dialTime,
			ForceAttemptHTTP2: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeaders,
			MaxIdleConns: idleConns, IdleConnTimeout: idleTime,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// Close ends idle connections.
func (s *Sender) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// errRefused says that an address may not be sent to.
var errRefused = errors.New("its address is not public")

// Send implements webhooks.Sender. Only an answer of 2xx that comes to its end, or to as much of it as is read, is a
// success. What an error says is for the endpoint's owner, and nothing of the answer's body is in it.
func (s *Sender) Send(ctx context.Context, address string, keys []string, m webhooks.Message) webhooks.Result {
	if _, err := s.parse(address); err != nil {
		return webhooks.Result{Err: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(m.Body))
	if err != nil {
		return webhooks.Result{Err: errors.New("its address is no address")}
	}
	if err := sign(r.Header, keys, m); err != nil {
		return webhooks.Result{Err: err}
	}
	r.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	r.Header.Set("User-Agent", s.agent)
	resp, err := s.client.Do(r)
	if err != nil {
		return webhooks.Result{Err: plain(ctx, err)}
	}
	defer resp.Body.Close()
	result := webhooks.Result{Code: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	// As much as lets a connection be used again; whoever sends more loses it.
	if _, err := io.CopyN(io.Discard, resp.Body, maxAnswer); err != nil && !errors.Is(err, io.EOF) {
		result.Err = fmt.Errorf("answered %d, then: %w", resp.StatusCode, plain(ctx, err))
		return result
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		result.Err = fmt.Errorf("answered %d", resp.StatusCode)
	}
	return result
}

// sign sets the headers of Standard Webhooks: a signature with each key.
func sign(h http.Header, keys []string, m webhooks.Message) error {
	var signatures []string
	for _, key := range keys {
		w, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			return errors.New("its secret is no secret")
		}
		signature, err := w.Sign(m.ID, m.Time, m.Body)
		if err != nil {
			return fmt.Errorf("cannot be signed: %w", err)
		}
		signatures = append(signatures, signature)
	}
	h.Set(standardwebhooks.HeaderWebhookID, m.ID)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(m.Time.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// plain says in a few words why there was no answer, without the address.
func plain(ctx context.Context, err error) error {
	var dns *net.DNSError
	var netErr net.Error
	switch {
	case errors.Is(err, errRefused):
		return errRefused
	case ctx.Err() != nil, errors.As(err, &netErr) && netErr.Timeout():
		return errors.New("no whole answer in time")
	case errors.As(err, &dns):
		return errors.New("its host cannot be found")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection ended before the answer did")
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err
}

// retryAfter reads the header in seconds; a date is left to our own pause.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	const longest = 24 * 60 * 60
	return time.Duration(min(n, longest)) * time.Second
}
