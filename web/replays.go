package web

import (
	"context"
	"net/http"
	"time"

	"github.com/cinelog/cinelog/projections"
)

// ReplayAnswer is a replay as the API answers it.
type ReplayAnswer struct {
	ID              string    `json:"id"`
	Projection      string    `json:"projection"`
	Kind            string    `json:"kind" enum:"rebuild,dry_run,rollback,version"`
	State           string    `json:"state" enum:"running,done,failed,cancelled,lost" doc:"lost: the process that did it is gone; the next one goes on where it had come"`
	Rate            int       `json:"rate,omitempty" doc:"Events per second at most"`
	Started         time.Time `json:"started"`
	Updated         time.Time `json:"updated"`
	Resumed         int64     `json:"resumed,omitempty" doc:"Where it went on with a build that was cut off"`
	Position        int64     `json:"position"`
	Head            int64     `json:"head" doc:"Where it builds up to"`
	EventsPerSecond float64   `json:"events_per_second"`
	ETASeconds      *float64  `json:"eta_seconds,omitempty" doc:"While it is running"`
	Outcome         *outcome  `json:"outcome,omitempty" doc:"When it is done"`
	Error           string    `json:"error,omitempty" doc:"When it has failed"`
}

type outcome struct {
	Rows      int      `json:"rows"`
	Equal     bool     `json:"equal" doc:"What was in use was what the log gives"`
	New       bool     `json:"new" doc:"There was nothing of this version to compare with"`
	Different []string `json:"different" nullable:"false" doc:"Keys of rows that differed, the first few"`
	Switched  bool     `json:"switched"`
}

// NewReplayAnswer is how a replay stands, for programs.
func NewReplayAnswer(r projections.Replay) ReplayAnswer {
	a := ReplayAnswer{
		ID: r.ID, Projection: r.Projection, Kind: string(r.Kind), State: string(r.State), Rate: r.Rate, Started: r.Started, Updated: r.Updated,
		Resumed: int64(r.Resumed), Position: int64(r.Position), Head: int64(r.Head), EventsPerSecond: r.PerSecond(), Error: r.Error,
	}
	switch r.State {
	case projections.ReplayRunning:
		left := r.Left().Seconds()
		a.ETASeconds = &left
	case projections.ReplayDone:
		a.Outcome = &outcome{
			Rows: r.Rows, Equal: r.Equal, New: r.New, Different: append([]string{}, r.Different...), Switched: r.Kind != projections.ReplayDryRun,
		}
	case projections.ReplayFailed, projections.ReplayCancelled, projections.ReplayLost:
	}
	return a
}

type startReplayInput struct {
	Body struct {
		Projection string `json:"projection" doc:"catalog, playback or analytics"`
		DryRun     bool   `json:"dry_run,omitempty" doc:"Build and compare, do not switch"`
		Rate       int    `json:"rate,omitempty" minimum:"0" maximum:"10000000" doc:"Events per second at most; as fast as it goes by default"`
	}
}

type replayOutput struct {
	Location string `header:"Location"`
	Cache    string `header:"Cache-Control"`
	Body     ReplayAnswer
}

type replaysOutput struct {
	Cache string `header:"Cache-Control"`
	Body  struct {
		Items []ReplayAnswer `json:"items" nullable:"false"`
	}
}

type replayPath struct {
	ID string `path:"id" doc:"The replay's id"`
}

func (s *Server) startReplay(ctx context.Context, in *startReplayInput) (*replayOutput, error) {
	if s.Projections == nil {
		return nil, newProblem(http.StatusNotFound, "this server does no replays")
	}
	r, err := s.Projections.Start(ctx, in.Body.Projection, in.Body.DryRun, in.Body.Rate)
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	return &replayOutput{Location: "/v1/admin/replays/" + r.ID, Cache: "no-store", Body: NewReplayAnswer(r)}, nil
}

func (s *Server) listReplays(ctx context.Context, _ *struct{}) (*replaysOutput, error) {
	if s.Projections == nil {
		return nil, newProblem(http.StatusNotFound, "this server does no replays")
	}
	all, err := s.Projections.Replays(ctx)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	out := &replaysOutput{Cache: "no-store"}
	out.Body.Items = make([]ReplayAnswer, len(all))
	for i, r := range all {
		out.Body.Items[i] = NewReplayAnswer(r)
	}
	return out, nil
}

func (s *Server) getReplay(ctx context.Context, in *replayPath) (*replayOutput, error) {
	if s.Projections == nil {
		return nil, newProblem(http.StatusNotFound, "this server does no replays")
	}
	r, err := s.Projections.Replay(ctx, in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return &replayOutput{Cache: "no-store", Body: NewReplayAnswer(r)}, nil
}

func (s *Server) cancelReplay(ctx context.Context, in *replayPath) (*struct{}, error) {
	if s.Projections == nil {
		return nil, newProblem(http.StatusNotFound, "this server does no replays")
	}
	if err := s.Projections.Cancel(ctx, in.ID); err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return nil, nil
}
