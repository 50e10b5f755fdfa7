package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// reached says whether a video is as far as somebody waits for, or will not get there by itself.
func reached(v projections.Video, state string) bool {
	if v.Status == domain.StatusFailed {
		return true
	}
	switch state {
	case "playable":
		return v.Playable
	case "ready":
		return v.Status == domain.StatusReady
	}
	return v.Published
}

// await waits until a video is as far as a client wants, and gives what it is when that is so, or when the time is over. It
// looks at the video when the log tells of it, and not before.
func (s *Server) await(ctx context.Context, in *getInput) (projections.Video, error) {
	head, err := s.Events.Head(ctx)
	if err != nil {
		return projections.Video{}, s.problem(ctx, "query", err)
	}
	w := &waiter{video: in.ID, at: head}
	n := s.feed.join(ctx, w, head)
	if n == nil {
		p := newProblem(http.StatusServiceUnavailable, "too many wait for events; try again later")
		return projections.Video{}, huma.ErrorWithHeaders(p, http.Header{"Retry-After": {strconv.Itoa(retryAfterFull)}})
	}
	defer s.feed.leave(n, w)
	waiting, cancel := context.WithTimeout(ctx, time.Duration(in.Timeout)*time.Second)
	defer cancel()
	for {
		if err := s.Freshness.Wait(waiting, w.at); err != nil && waiting.Err() == nil {
			return projections.Video{}, s.problem(ctx, "query", err)
		}
		v, err := s.find(ctx, QueryHeaders{}, in.ID)
		if err != nil || reached(v, in.Wait) {
			return v, err
		}
		for told := false; !told; {
			var changed <-chan struct{}
			if told, changed = w.look(n); told {
				break
			}
			select {
			case <-changed:
				continue
			case <-s.feed.stopping:
			case <-waiting.Done():
			}
			return v, nil
		}
	}
}

// waiter is a follower that waits for news of one video.
type waiter struct {
	video string
	at    domain.Position // it has looked at all up to here
}

// look says whether there is news of the video, and what tells of more.
func (w *waiter) look(n *news) (told bool, changed <-chan struct{}) {
	frames, changed, ok := n.after(w.at)
	if !ok { // too many came meanwhile: there may be
		w.at = n.first()
		return true, changed
	}
	for _, f := range frames {
		w.at = f.position
		told = told || f.video == w.video
	}
	return told, changed
}

func (*waiter) cut() {}

func (*waiter) wantsProgress() bool { return false }
