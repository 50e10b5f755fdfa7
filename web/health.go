package web

import (
	"context"
	"net/http"
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

// ready says whether the process should get requests now.
func (s *Server) ready(ctx context.Context, in *struct{}) (*healthOutput, error) {
	if s.Ready != nil {
		if err := s.Ready(ctx); err != nil {
			s.Log.WarnContext(ctx, "not ready", "err", err)
			return nil, newProblem(http.StatusServiceUnavailable, "not ready: see the server's log")
		}
	}
	return s.healthy(ctx, in)
}
