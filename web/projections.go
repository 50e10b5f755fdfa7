package web

import (
	"context"
	"net/http"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Projections is how the read models stand, and what people can say to them. An error wraps one of the kinds in
// domain/errors.go, or is a fault of ours.
type Projections interface {
	Projections(ctx context.Context) ([]projections.Status, error)
	// Projection is one of them. ErrNotFound.
	Projection(ctx context.Context, name string) (projections.Status, error)
	Pause(ctx context.Context, name string) error
	Resume(ctx context.Context, name string) error
	// Skip has a projection go without an event, for good.
	Skip(ctx context.Context, name string, at domain.Position, reason string) error
	// Start starts a replay, of rate events per second at most where that is not 0. ErrConflict: one is running.
	Start(ctx context.Context, projection string, dryRun bool, rate int) (projections.Replay, error)
	// Replays are the newest, the newest first.
	Replays(ctx context.Context) ([]projections.Replay, error)
	Replay(ctx context.Context, id string) (projections.Replay, error)
	// Cancel has a replay end. ErrNotAllowed: it has ended.
	Cancel(ctx context.Context, id string) error
}

// ProjectionAnswer is a projection as the API answers it.
type ProjectionAnswer struct {
	Name        string        `json:"name"`
	State       string        `json:"state" enum:"live,halted,paused,rebuilding,catching_up"`
	Version     int           `json:"version" doc:"Of the read model in this program"`
	Generation  string        `json:"generation" doc:"The build of the read model that is in use"`
	Stored      int           `json:"generation_version" doc:"Of the read model that is in use; another one than version is served until it is rebuilt"`
	Previous    string        `json:"previous_generation,omitempty" doc:"To which a rollback goes"`
	Position    int64         `json:"position" doc:"The last event that is applied"`
	Head        int64         `json:"head" doc:"The newest event"`
	LagEvents   int64         `json:"lag_events"`
	LagSeconds  float64       `json:"lag_seconds" doc:"Age of the oldest event that is not applied"`
	PausedSince *time.Time    `json:"paused_since,omitempty"`
	Error       *haltAnswer   `json:"error" doc:"Why it does not go on; null while it does"`
	Skips       []skipAnswer  `json:"skips" nullable:"false" doc:"Events that it is not given"`
	Replay      *ReplayAnswer `json:"replay,omitempty" doc:"The rebuild that is running"`
}

type haltAnswer struct {
	Position int64     `json:"position"`
	Type     string    `json:"type,omitempty" doc:"Of the event"`
	Video    string    `json:"video,omitempty"`
	Detail   string    `json:"detail"`
	Since    time.Time `json:"since"`
}

type skipAnswer struct {
	Position int64     `json:"position"`
	Reason   string    `json:"reason"`
	Time     time.Time `json:"time"`
}

// NewProjectionAnswer is how a projection stands, for programs.
func NewProjectionAnswer(p projections.Status) ProjectionAnswer {
	a := ProjectionAnswer{
		Name: p.Name, State: string(p.State), Version: p.Version, Generation: p.Stored.Generation, Stored: p.Stored.Version,
		Previous: p.Stored.Previous, Position: int64(p.Stored.Position), Head: int64(p.Head), LagEvents: p.Lag,
		LagSeconds: p.LagTime.Seconds(), Skips: []skipAnswer{},
	}
	if p.Control.Paused {
		a.PausedSince = &p.Control.PausedSince
	}
	if h := p.Control.Halt; h != nil {
		a.Error = &haltAnswer{int64(h.Position), h.Type, string(h.Video), h.Error, h.Since}
	}
	for _, s := range p.Control.Skips {
		a.Skips = append(a.Skips, skipAnswer{int64(s.Position), s.Reason, s.Time})
	}
	if p.Replay != nil {
		r := NewReplayAnswer(*p.Replay)
		a.Replay = &r
	}
	return a
}

type projectionsOutput struct {
	Cache string `header:"Cache-Control"`
	Body  struct {
		Items []ProjectionAnswer `json:"items" nullable:"false"`
	}
}

type projectionOutput struct {
	Cache string `header:"Cache-Control"`
	Body  ProjectionAnswer
}

// ProjectionPath names a projection in an address.
type ProjectionPath struct {
	Name string `path:"name" doc:"catalog, playback or analytics"`
}

type skipInput struct {
	ProjectionPath

	Body struct {
		Position int64  `json:"position" doc:"Of the event" minimum:"1"`
		Reason   string `json:"reason" doc:"Why; it is kept"`
	}
}

func (s *Server) listProjections(ctx context.Context, _ *struct{}) (*projectionsOutput, error) {
	if s.Projections == nil {
		return nil, newProblem(http.StatusNotFound, "this server has no projections")
	}
	all, err := s.Projections.Projections(ctx)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	out := &projectionsOutput{Cache: "no-store"}
	out.Body.Items = make([]ProjectionAnswer, len(all))
	for i, p := range all {
		out.Body.Items[i] = NewProjectionAnswer(p)
	}
	return out, nil
}

func (s *Server) getProjection(ctx context.Context, in *ProjectionPath) (*projectionOutput, error) {
	return s.afterwards(ctx, in.Name, func() error { return nil })
}

func (s *Server) pauseProjection(ctx context.Context, in *ProjectionPath) (*projectionOutput, error) {
	return s.afterwards(ctx, in.Name, func() error { return s.Projections.Pause(ctx, in.Name) })
}

func (s *Server) resumeProjection(ctx context.Context, in *ProjectionPath) (*projectionOutput, error) {
	return s.afterwards(ctx, in.Name, func() error { return s.Projections.Resume(ctx, in.Name) })
}

func (s *Server) skipEvent(ctx context.Context, in *skipInput) (*projectionOutput, error) {
	return s.afterwards(ctx, in.Name, func() error {
		return s.Projections.Skip(ctx, in.Name, domain.Position(in.Body.Position), in.Body.Reason)
	})
}

// afterwards does something to a projection and answers how that stands then.
func (s *Server) afterwards(ctx context.Context, name string, do func() error) (*projectionOutput, error) {
	if s.Projections == nil {
		return nil, newProblem(http.StatusNotFound, "this server has no projections")
	}
	if err := do(); err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	p, err := s.Projections.Projection(ctx, name)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return &projectionOutput{Cache: "no-store", Body: NewProjectionAnswer(p)}, nil
}
