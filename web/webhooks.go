package web

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

// WebhookPath names an endpoint in an address.
type WebhookPath struct {
	ID string `path:"id" maxLength:"100" doc:"The endpoint's id"`
}

// WebhookAnswer is an endpoint as it is shown: without its secret.
type WebhookAnswer struct {
	ID             string    `json:"id"`
	URL            string    `json:"url"`
	Types          []string  `json:"types" nullable:"false" doc:"What it is told of; everything when empty"`
	Description    string    `json:"description"`
	Enabled        bool      `json:"enabled"`
	DisabledReason string    `json:"disabled_reason,omitempty" doc:"Where it was not its owner who disabled it"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

func showWebhook(e webhooks.Endpoint) WebhookAnswer {
	return WebhookAnswer{
		ID: e.ID, URL: e.URL, Types: append([]string{}, e.Types...), Description: e.Description, Enabled: e.Enabled,
		DisabledReason: e.Reason, CreatedAt: e.Created, UpdatedAt: e.Changed,
	}
}

// FromPosition is where to begin: a position, or "now".
type FromPosition struct{ position *domain.Position }

// Schema implements huma.SchemaProvider.
func (FromPosition) Schema(huma.Registry) *huma.Schema {
	first := 1.0
	return &huma.Schema{
		Description: `The position of the first event to tell of, or "now"`,
		OneOf:       []*huma.Schema{{Type: huma.TypeInteger, Minimum: &first}, {Type: huma.TypeString, Enum: []any{"now"}}},
	}
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *FromPosition) UnmarshalJSON(b []byte) error {
	if string(b) == `"now"` || string(b) == "null" {
		f.position = nil
		return nil
	}
	var p domain.Position
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	f.position = &p
	return nil
}

type createWebhookInput struct {
	Body struct {
		URL         string        `json:"url" doc:"https://host/path; the host must be a public one"`
		Types       []string      `json:"types,omitempty" nullable:"false" doc:"Types of events, or how they begin with a * at the end (video.caption_*); everything where there is none"`
		Description string        `json:"description,omitempty"`
		Enabled     *bool         `json:"enabled,omitempty" doc:"true where it is left out"`
		From        *FromPosition `json:"from,omitempty"`
	}
}

type secretAnswer struct {
	WebhookAnswer

	Secret string `json:"secret" doc:"Signs what is sent; shown this once"`
}

type secretOutput struct {
	Location     string `header:"Location"`
	CacheControl string `header:"Cache-Control"`
	Body         secretAnswer
}

type webhookOutput struct{ Body WebhookAnswer }

func (s *Server) createWebhook(ctx context.Context, in *createWebhookInput) (*secretOutput, error) {
	n := webhooks.NewEndpoint{URL: in.Body.URL, Types: in.Body.Types, Description: in.Body.Description, Enabled: in.Body.Enabled == nil || *in.Body.Enabled}
	if in.Body.From != nil {
		n.From = in.Body.From.position
	}
	e, secret, err := s.Webhooks.Create(ctx, n)
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	out := &secretOutput{Location: "/v1/webhooks/" + e.ID, CacheControl: "no-store"}
	out.Body = secretAnswer{showWebhook(e), secret}
	return out, nil
}

type webhooksOutput struct {
	Body struct {
		Items []WebhookAnswer `json:"items" nullable:"false"`
	}
}

func (s *Server) listWebhooks(ctx context.Context, _ *struct{}) (*webhooksOutput, error) {
	all, err := s.Webhooks.Endpoints(ctx)
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	out := &webhooksOutput{}
	out.Body.Items = []WebhookAnswer{}
	for _, e := range all {
		out.Body.Items = append(out.Body.Items, showWebhook(e))
	}
	return out, nil
}

func (s *Server) getWebhook(ctx context.Context, in *WebhookPath) (*webhookOutput, error) {
	e, err := s.Webhooks.Endpoint(ctx, in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return &webhookOutput{showWebhook(e)}, nil
}

type changeWebhookInput struct {
	WebhookPath

	Body struct {
		URL         *string   `json:"url,omitempty"`
		Types       *[]string `json:"types,omitempty"`
		Description *string   `json:"description,omitempty"`
		Enabled     *bool     `json:"enabled,omitempty" doc:"An endpoint that is enabled again goes on where it stopped"`
	}
}

func (s *Server) changeWebhook(ctx context.Context, in *changeWebhookInput) (*webhookOutput, error) {
	e, err := s.Webhooks.Change(ctx, in.ID, webhooks.Change(in.Body))
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	return &webhookOutput{showWebhook(e)}, nil
}

func (s *Server) removeWebhook(ctx context.Context, in *WebhookPath) (*struct{}, error) {
	if err := s.Webhooks.Remove(ctx, in.ID); err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return nil, nil //nolint:nilnil // there is nothing to say
}

func (s *Server) rotateWebhook(ctx context.Context, in *WebhookPath) (*secretOutput, error) {
	e, secret, err := s.Webhooks.Rotate(ctx, in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return &secretOutput{Location: "/v1/webhooks/" + e.ID, CacheControl: "no-store", Body: secretAnswer{showWebhook(e), secret}}, nil
}

// TestedAnswer is what came of a test.
type TestedAnswer struct {
	ID           string `json:"id" doc:"The webhook-id of the message, whose type is webhook.test.v1"`
	Taken        bool   `json:"taken" doc:"The endpoint has answered 2xx"`
	StatusCode   int    `json:"status_code,omitempty" doc:"Of the answer"`
	Error        string `json:"error,omitempty"`
	Milliseconds int64  `json:"milliseconds" doc:"Until the end of the answer"`
}

type testedOutput struct{ Body TestedAnswer }

// testWebhook answers 200 also where the test has failed: it was made.
func (s *Server) testWebhook(ctx context.Context, in *WebhookPath) (*testedOutput, error) {
	t, err := s.Webhooks.Test(ctx, in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	out := TestedAnswer{ID: t.ID, Taken: t.Result.Err == nil, StatusCode: t.Result.Code, Milliseconds: t.Took.Milliseconds()}
	if t.Result.Err != nil {
		out.Error = t.Result.Err.Error()
	}
	return &testedOutput{out}, nil
}

type deliveriesInput struct {
	WebhookPath

	Status string `query:"status" enum:"pending,delivered,failed"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor string `query:"cursor" maxLength:"20" doc:"next_cursor of the page before"`
}

// DeliveryAnswer is a delivery as it is shown.
type DeliveryAnswer struct {
	ID            string    `json:"id" doc:"The webhook-id of the message, the same in each attempt"`
	Position      int64     `json:"position"`
	Type          string    `json:"type"`
	Video         string    `json:"video"`
	Status        string    `json:"status" enum:"pending,delivered,failed"`
	Attempts      int       `json:"attempts"`
	StatusCode    int       `json:"status_code,omitempty" doc:"Of the newest answer"`
	Error         string    `json:"error,omitempty" doc:"Of the newest attempt"`
	LastAttemptAt time.Time `json:"last_attempt_at,omitzero"`
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero"`
}

type deliveriesOutput struct {
	Body struct {
		Items      []DeliveryAnswer `json:"items" nullable:"false"`
		NextCursor string           `json:"next_cursor,omitempty"`
	}
}

func (s *Server) listDeliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	before := int64(0)
	if in.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before < 1 {
			return nil, s.problem(ctx, "query", &domain.Invalid{Fields: []domain.FieldError{{Field: "cursor", Message: "is none of ours"}}})
		}
	}
	found, err := s.Webhooks.Deliveries(ctx, in.ID, webhooks.Status(in.Status), domain.Position(before), in.Limit)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	out := &deliveriesOutput{}
	out.Body.Items = []DeliveryAnswer{}
	for _, d := range found {
		out.Body.Items = append(out.Body.Items, DeliveryAnswer{
			ID: d.ID(), Position: int64(d.Position), Type: d.Type, Video: d.Video, Status: string(d.Status), Attempts: d.Attempts,
			StatusCode: d.Code, Error: d.Error, LastAttemptAt: d.Last, NextAttemptAt: d.Next,
		})
	}
	if len(found) == in.Limit {
		out.Body.NextCursor = strconv.FormatInt(int64(found[len(found)-1].Position), 10)
	}
	return out, nil
}

type redeliverInput struct {
	WebhookPath

	Body struct {
		Delivery string `json:"delivery,omitempty" maxLength:"100" doc:"One delivery, by its id"`
		From     int64  `json:"from,omitempty" minimum:"1" doc:"Everything that the endpoint wants, from this position on"`
	}
}

// Resolve checks what a schema cannot say.
func (in *redeliverInput) Resolve(huma.Context) []error {
	if (in.Body.Delivery == "") == (in.Body.From == 0) {
		return []error{&huma.ErrorDetail{Location: "body", Message: "takes either delivery or from"}}
	}
	return nil
}

func (s *Server) redeliver(ctx context.Context, in *redeliverInput) (*struct{}, error) {
	var err error
	if in.Body.Delivery != "" {
		err = s.Webhooks.Redeliver(ctx, in.ID, in.Body.Delivery)
	} else {
		err = s.Webhooks.RedeliverFrom(ctx, in.ID, domain.Position(in.Body.From))
	}
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	return nil, nil //nolint:nilnil // there is nothing to say
}
