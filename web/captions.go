package web

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

type captionInput struct {
	QueryHeaders
	VideoPath

	Name string `path:"name" doc:"The name of a caption track" example:"en"`
}

func (s *Server) caption(ctx context.Context, in *captionInput) (*huma.StreamResponse, error) {
	p, err := s.playable(ctx, in.QueryHeaders, in.ID)
	if err != nil {
		return nil, err
	}
	c, err := projections.Caption(p, in.Name)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return s.image(ctx, &masterInput{in.QueryHeaders, in.VideoPath}, "captions", func(projections.Playback) *domain.Blob { return &c.File })
}

func (s *Server) chapters(ctx context.Context, in *masterInput) (*huma.StreamResponse, error) {
	return s.rendered(ctx, in, vtt, projections.Chapters)
}

func (s *Server) chaptersJSON(ctx context.Context, in *masterInput) (*huma.StreamResponse, error) {
	return s.rendered(ctx, in, "application/json", projections.ChaptersJSON)
}

// rendered answers with what is made of what can be played.
func (s *Server) rendered(
	ctx context.Context, in *masterInput, mime string, render func(projections.Playback) ([]byte, error),
) (*huma.StreamResponse, error) {
	p, err := s.playable(ctx, in.QueryHeaders, in.ID)
	if err != nil {
		return nil, err
	}
	text, err := render(p)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return s.playlist(p, mime, text), nil
}
