package web

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func (s *Server) poster(ctx context.Context, in *masterInput) (*huma.StreamResponse, error) {
	return s.image(ctx, in, "poster", func(p projections.Playback) *domain.Blob { return p.Poster })
}

func (s *Server) storyboardImage(ctx context.Context, in *masterInput) (*huma.StreamResponse, error) {
	return s.image(ctx, in, "storyboard", func(p projections.Playback) *domain.Blob {
		if p.Storyboard == nil {
			return nil
		}
		return &p.Storyboard.Image
	})
}

func (s *Server) preview(ctx context.Context, in *masterInput) (*huma.StreamResponse, error) {
	return s.image(ctx, in, "preview", func(p projections.Playback) *domain.Blob { return p.Preview })
}

// image answers with an image that may be another one after the next encode.
func (s *Server) image(
	ctx context.Context, in *masterInput, what string, of func(projections.Playback) *domain.Blob,
) (*huma.StreamResponse, error) {
	p, err := s.playable(ctx, in.QueryHeaders, in.ID)
	if err != nil {
		return nil, err
	}
	image := of(p)
	if image == nil {
		return nil, s.problem(ctx, "path", fmt.Errorf("%w: the video has no %s yet", domain.ErrNotFound, what))
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humachi.Unwrap(ctx)
		err := s.serveBlob(w, r, blobAnswer{
			key: image.Key, mime: MediaType(image.Key), tag: image.SHA256, cache: "public, max-age=60",
		})
		if err != nil {
			s.writeError(w, r, err)
		}
	}}, nil
}

// storyboard says where each moment is in the image, which stands beside it.
func (s *Server) storyboard(ctx context.Context, in *masterInput) (*huma.StreamResponse, error) {
	return s.rendered(ctx, in, vtt, func(p projections.Playback) ([]byte, error) {
		return projections.Storyboard(p, "storyboard.jpg")
	})
}
