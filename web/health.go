package web

import (
	"context"
	"net/http"
	"time"

	"github.com/cinelog/cinelog/projections"
)

type healthOutput struct {
	Cache string `header:"Cache-Control"`
	Body  struct {
		Status string `json:"status" enum:"ok"`
	}
}

// healthy says that the process answers.
func (s *Server) healthy(context.Context, *struct{}) (*healthOutput, error) {
	out := &healthOutput{Cache: "no-store"}
	out.Body.Status = "ok"
	return out, nil
}

type readyOutput struct {
	Cache string `header:"Cache-Control"`
	Body  struct {
		Status string   `json:"status" enum:"ok"`
		Halted []string `json:"halted,omitempty" doc:"Projections that cannot apply an event; what they have is served, and all others go on"`
	}
}

// lookAtProjections bounds what a probe waits for.
const lookAtProjections = time.Second

// ready says whether the process should get requests now. A projection that has halted is no reason against it: another
// process would have the same rows.
func (s *Server) ready(ctx context.Context, _ *struct{}) (*readyOutput, error) {
	if s.Ready != nil {
		if err := s.Ready(ctx); err != nil {
			s.Log.WarnContext(ctx, "not ready", "err", err)
			return nil, newProblem(http.StatusServiceUnavailable, "not ready: see the server's log")
		}
	}
	out := &readyOutput{Cache: "no-store"}
	out.Body.Status = "ok"
	if s.Projections == nil {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookAtProjections)
	defer cancel()
	all, _ := s.Projections.Projections(ctx) // where nobody can say it now, that is somebody else's trouble
	for _, p := range all {
		if p.State == projections.StateHalted {
			out.Body.Halted = append(out.Body.Halted, p.Name)
		}
	}
	return out, nil
}
