package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A client must send at least minWindow bytes of a body in every window (about 2 kB/s), and take at least as many of
// an answer: a phone on a bad line does, one that holds the connection on purpose does not.
const (
	slowWindow = 30 * time.Second
	minWindow  = 64 << 10
)

// steadyBody reads a body with a deadline that moves on with what arrives.
type steadyBody struct {
	body     io.Reader
	now      func() time.Time
	deadline func(time.Time) error
	got      int
	started  bool
}

func newSteadyBody(w http.ResponseWriter, body io.Reader, now func() time.Time) *steadyBody {
	return &steadyBody{body: body, now: now, deadline: http.NewResponseController(w).SetReadDeadline}
}

func (b *steadyBody) Read(p []byte) (int, error) {
	if !b.started || b.got >= minWindow {
		b.started, b.got = true, 0
		if err := b.deadline(b.now().Add(slowWindow)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, fmt.Errorf("set a read deadline: %w", err)
		}
	}
	n, err := b.body.Read(p)
	b.got += n
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: %w", errBodyCut, err)
	case errors.Is(err, io.EOF):
		b.stop()
	}
	return n, err //nolint:wrapcheck // io.EOF must stay io.EOF
}

// stop takes the deadline back: net/http goes on reading to notice a client that leaves, and would take a deadline
// that passes for one.
func (b *steadyBody) stop() { _ = b.deadline(time.Time{}) }

// allowFor gives an answer of so many bytes the time that a slow but honest client needs. done takes the deadline back:
// it would otherwise hold for the connection's next request too.
func (s *Server) allowFor(w http.ResponseWriter, size int64) (done func()) {
	c := http.NewResponseController(w)
	window := slowWindow + time.Duration(size/minWindow)*slowWindow
	_ = c.SetWriteDeadline(s.Now().Add(window))
	return func() { _ = c.SetWriteDeadline(time.Time{}) }
}
