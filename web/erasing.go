package web

import (
	"context"
	"net/http"

	"github.com/cinelog/cinelog/domain"
)

type eraseOutput struct {
	Cache    string `header:"Cache-Control"`
	Position int64  `header:"Cinelog-Position"`
	Body     EraseAnswer
}

// EraseAnswer says what is gone of a video.
type EraseAnswer struct {
	Video    string `json:"video"`
	Events   int    `json:"events" doc:"Events of the video whose texts are gone"`
	Position int64  `json:"position" doc:"Of the video's newest event, which records the erasure"`
}

type eraseInput struct {
	ID string `path:"id" doc:"Of a deleted video"`
}

func (s *Server) erase(ctx context.Context, in *eraseInput) (*eraseOutput, error) {
	id, err := domain.ParseVideoID(in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	if s.Eraser == nil {
		return nil, newProblem(http.StatusNotFound, "this server erases nothing")
	}
	done, err := s.Eraser.Erase(ctx, id)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return &eraseOutput{
		Cache: "no-store", Position: int64(done.Position),
		Body: EraseAnswer{Video: in.ID, Events: done.Events, Position: int64(done.Position)},
	}, nil
}
