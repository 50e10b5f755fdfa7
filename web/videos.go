package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

type createInput struct {
	CommandHeaders

	RawBody []byte
	Body    struct {
		Title          string            `json:"title" doc:"1 to 200 characters"`
		Description    string            `json:"description,omitempty" doc:"Up to 10,000 characters"`
		Tags           []string          `json:"tags,omitempty" nullable:"false" doc:"Up to 50, of up to 60 characters"`
		Metadata       map[string]string `json:"metadata,omitempty" doc:"Up to 50 entries"`
		Visibility     string            `json:"visibility,omitempty" enum:"public,unlisted,private" default:"public"`
		Publish        string            `json:"publish,omitempty" enum:"auto,manual" default:"auto" doc:"auto publishes as soon as the video is ready"`
		PlaybackPolicy string            `json:"playback_policy,omitempty" enum:"public,signed" default:"public"`
		Encoding       *EncodingInput    `json:"encoding,omitempty" doc:"What to encode to; what is left out is up to the server's settings"`
	}
}

// EncodingInput says what to encode a video to.
type EncodingInput struct {
	Profile   string   `json:"profile,omitempty" enum:"fast,balanced,small" doc:"How much work an encode may be for the bytes that it saves"`
	Codecs    []string `json:"codecs,omitempty" nullable:"false" doc:"avc, and hevc and av1 beside it"`
	Remux     string   `json:"remux,omitempty" enum:"auto,never" doc:"auto serves the source's own pictures at once where browsers play them"`
	Ladder    string   `json:"ladder,omitempty" enum:"auto,measured,fixed" doc:"measured leaves out the sizes that add nothing; auto does where nobody waits for the measure"`
	AudioOnly *bool    `json:"audio_only,omitempty" doc:"Also offer the sound without pictures"`
}

func (e *EncodingInput) encoding() *domain.Encoding {
	if e == nil {
		return nil
	}
	to := &domain.Encoding{
		Profile: domain.Profile(e.Profile), Remux: domain.Remux(e.Remux), Ladder: domain.LadderChoice(e.Ladder), AudioOnly: e.AudioOnly,
	}
	for _, c := range e.Codecs {
		to.Codecs = append(to.Codecs, domain.Codec(c))
	}
	return to
}

type createdAnswer struct {
	VideoAnswer

	Upload struct {
		PutURL string `json:"put_url" doc:"PUT the file here"`
	} `json:"upload"`
}

type createOutput struct {
	Location string `header:"Location"`
	Position int64  `header:"Cinelog-Position"`
	ETag     string `header:"ETag"`
	Body     createdAnswer
}

// VideoPath names a video in an address. (huma reads embedded structs only where they are exported.)
type VideoPath struct {
	ID string `path:"id" doc:"The video's id, a lower-case UUIDv7"`
}

type commandInput struct {
	CommandHeaders
	VideoPath
}

type commandOutput struct {
	Position int64  `header:"Cinelog-Position"`
	ETag     string `header:"ETag"`
	Body     VideoAnswer
}

func (s *Server) create(ctx context.Context, in *createInput) (*createOutput, error) {
	c := commands.CreateVideo{Event: domain.VideoCreated{
		Details: domain.Details{
			Title: in.Body.Title, Description: in.Body.Description, Tags: in.Body.Tags, Metadata: in.Body.Metadata,
			Visibility: domain.Visibility(in.Body.Visibility),
		},
		Publish: domain.PublishMode(in.Body.Publish), PlaybackPolicy: domain.PlaybackPolicy(in.Body.PlaybackPolicy),
		Encoding: in.Body.Encoding.encoding(),
	}}
	c.Key = in.key("POST /v1/videos", in.RawBody)
	result, err := s.Commands.Create(ctx, c)
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	out, err := s.answerCommand(ctx, result)
	if err != nil {
		return nil, err
	}
	path := "/v1/videos/" + out.Body.ID
	created := &createOutput{Location: path, Position: out.Position, ETag: out.ETag}
	created.Body.VideoAnswer, created.Body.Upload.PutURL = out.Body, path+"/source"
	return created, nil
}

// answerCommand folds the answer from the stream itself: no read model needs to have caught up, and a command repeated
// by its idempotency key is answered with the video as it was then.
func (s *Server) answerCommand(ctx context.Context, r commands.Result) (*commandOutput, error) {
	events, err := s.Commands.History(ctx, r.Video)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	for i, e := range events {
		if e.Version > r.Version {
			events = events[:i]
			break
		}
	}
	v := projections.FoldVideo(events)
	return &commandOutput{Position: int64(r.Position), ETag: etag(v.Version), Body: answerVideo(v)}, nil
}

type getInput struct {
	QueryHeaders
	VideoPath

	Wait        string `query:"wait" enum:"playable,ready,published" doc:"Answer as soon as the video is that far, has failed, or the time is over: status says which"`
	Timeout     int    `query:"timeout" minimum:"1" maximum:"60" default:"30" doc:"Seconds to wait at most"`
	IfNoneMatch string `header:"If-None-Match"`
}

type getOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   VideoAnswer
}

func (s *Server) get(ctx context.Context, in *getInput) (*getOutput, error) {
	v, err := s.find(ctx, in.QueryHeaders, in.ID)
	if err == nil && in.Wait != "" && !reached(v, in.Wait) {
		v, err = s.await(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	out := &getOutput{Status: http.StatusOK, ETag: etag(v.Version), Body: answerVideo(v)}
	if ifNoneMatch(in.IfNoneMatch, out.ETag) {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

// find reads a video from the catalog.
func (s *Server) find(ctx context.Context, q QueryHeaders, name string) (projections.Video, error) {
	id, err := domain.ParseVideoID(name)
	if err != nil {
		return projections.Video{}, s.problem(ctx, "path", err)
	}
	if err = s.fresh(ctx, q); err != nil {
		return projections.Video{}, err
	}
	v, err := s.Catalog.Video(ctx, id)
	if err != nil {
		return projections.Video{}, s.problem(ctx, "path", err)
	}
	return v, nil
}

type statusInput struct {
	QueryHeaders
	VideoPath
}

type statusOutput struct{ Body statusAnswer }

func (s *Server) status(ctx context.Context, in *statusInput) (*statusOutput, error) {
	v, err := s.find(ctx, in.QueryHeaders, in.ID)
	if err != nil {
		return nil, err
	}
	return &statusOutput{Body: answerStatus(v, s.Now())}, nil
}

type changeInput struct {
	CommandHeaders
	VideoPath

	RawBody []byte
	IfMatch string `header:"If-Match" doc:"The ETag of the video as you know it; 412 when it has changed since"`
	Body    struct {
		Title          *string            `json:"title,omitempty"`
		Description    *string            `json:"description,omitempty"`
		Tags           *[]string          `json:"tags,omitempty" nullable:"false" doc:"Replaces all tags"`
		Metadata       *map[string]string `json:"metadata,omitempty" doc:"Replaces all metadata"`
		Visibility     *domain.Visibility `json:"visibility,omitempty" enum:"public,unlisted,private"`
		PlaybackPolicy *string            `json:"playback_policy,omitempty" enum:"public,signed"`
	}
}

func (s *Server) change(ctx context.Context, in *changeInput) (*commandOutput, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, in.ID, func(id domain.VideoID) (commands.Result, error) {
		return s.Commands.ChangeDetails(ctx, commands.ChangeVideo{
			Video: id, IfVersion: version, Title: in.Body.Title, Description: in.Body.Description,
			Visibility: in.Body.Visibility, PlaybackPolicy: (*domain.PlaybackPolicy)(in.Body.PlaybackPolicy),
			Tags: in.Body.Tags, Metadata: in.Body.Metadata,
			Key: in.key("PATCH "+in.ID+" "+in.IfMatch, in.RawBody),
		})
	})
}

// run does a command on a named video and answers with the video after it.
func (s *Server) run(
	ctx context.Context, name string, do func(domain.VideoID) (commands.Result, error),
) (*commandOutput, error) {
	id, err := domain.ParseVideoID(name)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	result, err := do(id)
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	return s.answerCommand(ctx, result)
}

func (s *Server) publish(ctx context.Context, in *commandInput) (*commandOutput, error) {
	ctx = in.keyed(ctx, "POST publish "+in.ID)
	return s.run(ctx, in.ID, func(id domain.VideoID) (commands.Result, error) { return s.Commands.Publish(ctx, id) })
}

func (s *Server) unpublish(ctx context.Context, in *commandInput) (*commandOutput, error) {
	ctx = in.keyed(ctx, "POST unpublish "+in.ID)
	return s.run(ctx, in.ID, func(id domain.VideoID) (commands.Result, error) { return s.Commands.Unpublish(ctx, id) })
}

type transcodeInput struct {
	CommandHeaders
	VideoPath

	Body *EncodingInput
}

func (s *Server) transcode(ctx context.Context, in *transcodeInput) (*commandOutput, error) {
	to, err := json.Marshal(in.Body)
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	ctx = in.keyed(ctx, "POST transcode "+in.ID+" "+string(to))
	return s.run(ctx, in.ID, func(id domain.VideoID) (commands.Result, error) {
		return s.Commands.Transcode(ctx, id, in.Body.encoding())
	})
}

type deleteOutput struct {
	Position int64 `header:"Cinelog-Position"`
}

func (s *Server) remove(ctx context.Context, in *commandInput) (*deleteOutput, error) {
	id, err := domain.ParseVideoID(in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	result, err := s.Commands.Delete(in.keyed(ctx, "DELETE "+in.ID), id)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return &deleteOutput{Position: int64(result.Position)}, nil
}

type historyOutput struct {
	Body struct {
		Items      []eventAnswer `json:"items" nullable:"false"`
		NextCursor string        `json:"next_cursor,omitempty"`
	}
}

// history answers from the log, so it needs no position to wait for. A deleted video has one too.
func (s *Server) history(ctx context.Context, in *statusInput) (*historyOutput, error) {
	id, err := domain.ParseVideoID(in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	events, err := s.Commands.History(ctx, id)
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("%w: no video %s", domain.ErrNotFound, id)
	}
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	out := &historyOutput{}
	out.Body.Items = make([]eventAnswer, len(events))
	for i, r := range events {
		if out.Body.Items[i], err = answerEvent(r); err != nil {
			return nil, s.problem(ctx, "path", err)
		}
	}
	return out, nil
}
