package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cinelog/cinelog/domain"
)

type followInput struct {
	After       int64    `query:"after" minimum:"-1" default:"-1" doc:"Begin after this position; -1: from now on"`
	Types       []string `query:"type,explode" doc:"Only events of this type, or of the types that begin like one with a * at the end (video.caption_*); repeat for several. progress, as a type, tells how far encodes are"`
	Video       string   `query:"video" doc:"Only events of this video"`
	LastEventID string   `header:"Last-Event-ID" doc:"Go on after this position, which the last event or heartbeat had as its id; wins over after"`

	after    domain.Position // -1: from now on
	progress bool            // is wanted too
}

// Resolve checks what a schema cannot say.
func (in *followInput) Resolve(huma.Context) []error {
	var bad []error
	refuse := func(place, message string) {
		bad = append(bad, &huma.ErrorDetail{Location: place, Message: message})
	}
	events := slices.DeleteFunc(slices.Clone(in.Types), func(t string) bool { return t == progressType })
	in.progress = len(events) < len(in.Types)
	if wrong := domain.CheckTypeFilters(events); wrong != "" {
		refuse("query.type", wrong)
	}
	if in.Video != "" {
		if _, err := domain.ParseVideoID(in.Video); err != nil {
			refuse("query.video", "is no id of a video")
		}
	}
	in.after = domain.Position(in.After)
	if in.LastEventID != "" {
		at, err := strconv.ParseInt(in.LastEventID, 10, 64)
		if err != nil || at < 0 {
			return []error{newProblem(http.StatusBadRequest, "Last-Event-ID must be a position, as the feed's ids are")}
		}
		in.after = domain.Position(at)
	}
	return bad
}

func (in *followInput) wants(kind, video string) bool {
	return (in.Video == "" || video == in.Video) && domain.WantsEventType(in.Types, kind)
}

// follow is the live feed: every event after a position, in order, each once, and those that come.
func (s *Server) follow(ctx context.Context, in *followInput) (*huma.StreamResponse, error) {
	head, err := s.Events.Head(ctx)
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	if in.after < 0 {
		in.after = head
	}
	if in.after > head { // of another log, or of this one before something was lost: nothing would come for long
		return nil, newProblem(http.StatusBadRequest, fmt.Sprintf("there is no position %d yet: the log ends at %d", in.after, head))
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) { //nolint:contextcheck // huma's has the request's
		r, w := humachi.Unwrap(ctx)
		out := &eventStream{w: w, conn: http.NewResponseController(w), feed: s.feed, at: in.after, heartbeat: s.Heartbeat, progress: in.progress}
		n := s.feed.join(r.Context(), out, head)
		if n == nil {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfterFull))
			writeProblem(w, http.StatusServiceUnavailable, "too many follow the events; try again later")
			return
		}
		defer s.feed.leave(n, out)
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // nginx would keep events to itself
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodHead {
			return
		}
		if err := out.run(r.Context(), in, n); err != nil && !errors.Is(err, context.Canceled) {
			s.Log.DebugContext(r.Context(), "a follower was left", "position", out.at, "error", err) // it comes again, with the last id
		}
	}}, nil
}

const (
	retryAfterFull   = 5 // seconds
	defaultHeartbeat = 15 * time.Second
	// comeAgain is when clients that were cut off do, up to twice that: all at once would be many.
	comeAgain = time.Second
	// lastMoment is for the end of an answer when the server stops.
	lastMoment = time.Second
)

// eventStream is one follower.
type eventStream struct {
	w         http.ResponseWriter
	conn      *http.ResponseController
	feed      *feed
	heartbeat time.Duration
	progress  bool

	at      domain.Position // all up to here is sent, or not wanted
	written int             // bytes since the deadline was set; 0 when all was flushed
}

// run sends events until the client or the server goes. Nothing but ids tells where the client would resume, so
// heartbeats have one too: an event without data sets it and is no event (WHATWG HTML, 9.2.6).
func (e *eventStream) run(ctx context.Context, in *followInput, n *news) error {
	every := time.NewTicker(cmp.Or(e.heartbeat, defaultHeartbeat))
	defer every.Stop()
	again := comeAgain + rand.N(comeAgain) //nolint:gosec // jitter is no secret
	if err := e.mark(fmt.Sprintf("retry: %d\n", again.Milliseconds())); err != nil {
		return err
	}
	for {
		changed, err := e.sendNew(ctx, in, n)
		if err != nil {
			return err
		}
		select {
		case <-changed:
			continue
		case <-ctx.Done():
			return ctx.Err()
		case <-e.feed.stopping:
			return nil
		case <-every.C:
		}
		if err := e.mark(":\n"); err != nil {
			return err
		}
	}
}

// sendNew sends what there is after e.at, and returns what tells of more.
func (e *eventStream) sendNew(ctx context.Context, in *followInput, n *news) (changed <-chan struct{}, err error) {
	for {
		frames, changed, ok := n.after(e.at)
		if !ok {
			if frames, err = e.feed.readBehind(ctx, e.at, in.wants); err != nil {
				return nil, err
			}
		}
		for _, f := range frames {
			if f.text != nil && in.wants(f.kind, f.video) {
				if err := e.write(f.text); err != nil {
					return nil, err
				}
			}
			if f.progress != nil && in.progress && (in.Video == "" || f.video == in.Video) {
				if err := e.write(f.progress); err != nil {
					return nil, err
				}
			}
			e.at = f.position
		}
		if err := e.flush(); err != nil || ok {
			return changed, err
		}
	}
}

// mark sends where the client would resume.
func (e *eventStream) mark(before string) error {
	if err := e.write(fmt.Appendf(nil, "%sid: %d\n\n", before, e.at)); err != nil {
		return err
	}
	return e.flush()
}

// write gives the client as long for each minWindow as it has to take any other answer. What it does not take in time it
// gets when it comes again.
func (e *eventStream) write(text []byte) error {
	if e.written == 0 || e.written >= minWindow {
		_ = e.conn.SetWriteDeadline(e.feed.now().Add(slowWindow))
		e.written = 0
		select {
		case <-e.feed.stopping:
			return context.Canceled
		default:
		}
	}
	n, err := e.w.Write(text)
	e.written += n
	if err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	return nil
}

func (e *eventStream) flush() error {
	if e.written == 0 {
		return nil
	}
	e.written = 0
	if err := e.conn.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("send events: %w", err)
	}
	return nil
}

func (e *eventStream) wantsProgress() bool { return e.progress }

// cut makes a write that waits for the client fail soon.
func (e *eventStream) cut() { _ = e.conn.SetWriteDeadline(e.feed.now().Add(lastMoment)) }
