package web

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// DeadLetters are the messages that were given up on. An error wraps one of the kinds in domain/errors.go, or is a fault of
// ours.
type DeadLetters interface {
	// List returns all that are picked.
	List(ctx context.Context, pick PickLetters) ([]DeadLetter, error)
	// Get returns one, with its event. ErrNotFound.
	Get(ctx context.Context, id string) (DeadLetter, error)
	// Redrive sends one again. ErrNotFound, also the second time.
	Redrive(ctx context.Context, id string) error
	// RedriveAll sends again what is picked, of each video in the order of the events, and says how many that were.
	RedriveAll(ctx context.Context, pick PickLetters) (int, error)
	// Drop gives one up for good. ErrNotFound.
	Drop(ctx context.Context, id string) error
}

// PickLetters says which dead letters; what is empty picks all.
type PickLetters struct{ Topic, Group, Video string }

// DeadLetter is a message that was given up on, as the API answers it.
type DeadLetter struct {
	ID          string            `json:"id"`
	Topic       string            `json:"topic"`
	Group       string            `json:"group" doc:"The consumer group that gave up on it"`
	Type        string            `json:"type,omitempty" doc:"Of the event, or the kind of the task"`
	Video       string            `json:"video,omitempty"`
	Position    int64             `json:"position,omitempty" doc:"Of the event"`
	Attempts    int               `json:"attempts"`
	Reason      string            `json:"reason" doc:"Of the last failure"`
	Died        time.Time         `json:"died,omitzero" doc:"When it failed for the last time; missing where SQS gave up by itself"`
	FirstReason string            `json:"first_reason,omitempty" doc:"Of the first failure, as far as it is known"`
	FirstFailed time.Time         `json:"first_failed,omitzero"`
	Published   time.Time         `json:"published" doc:"When it came into the group's queue"`
	Metadata    map[string]string `json:"metadata" nullable:"false"`
	Payload     string            `json:"payload" doc:"As it was sent"`
	Event       json.RawMessage   `json:"event,omitempty" doc:"The event with all its data, from the log where the message only names it; only where one letter is asked for"`
}

type lettersInput struct {
	Topic  string `query:"topic" doc:"Only of this topic"`
	Group  string `query:"group" doc:"Only of this consumer group"`
	Video  string `query:"video" doc:"Only about this video"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before" maxLength:"1000"`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
}

type lettersOutput struct {
	Cache string `header:"Cache-Control"`
	Body  struct {
		Items      []DeadLetter `json:"items" nullable:"false"`
		NextCursor string       `json:"next_cursor,omitempty" doc:"Missing on the last page"`
	}
}

type letterPath struct {
	ID string `path:"id" doc:"The dead letter's id"`
}

type letterOutput struct {
	Cache string `header:"Cache-Control"`
	Body  DeadLetter
}

type redriveInput struct {
	Body struct {
		Topic string `json:"topic,omitempty" doc:"Only of this topic"`
		Group string `json:"group,omitempty" doc:"Only of this consumer group"`
		Video string `json:"video,omitempty" doc:"Only about this video"`
	}
}

type redrivenOutput struct {
	Body struct {
		Redriven int `json:"redriven" doc:"How many were sent again"`
	}
}

// letterPlace is where a page ends: letters are listed by the time of their publication.
type letterPlace struct {
	Published time.Time `json:"p"`
	ID        string    `json:"i"`
}

func placeOf(l DeadLetter) letterPlace { return letterPlace{l.Published, l.ID} }

func (p letterPlace) compare(o letterPlace) int {
	return cmp.Or(p.Published.Compare(o.Published), cmp.Compare(p.ID, o.ID))
}

func (s *Server) listLetters(ctx context.Context, in *lettersInput) (*lettersOutput, error) {
	if s.DeadLetters == nil {
		return nil, noLetters()
	}
	var after letterPlace
	if in.Cursor != "" {
		b, err := base64.RawURLEncoding.DecodeString(in.Cursor)
		if err != nil || json.Unmarshal(b, &after) != nil || after.ID == "" {
			return nil, s.problem(ctx, "query", &domain.Invalid{Fields: []domain.FieldError{{Field: "cursor", Message: "is none that was given out"}}})
		}
	}
	letters, err := s.DeadLetters.List(ctx, PickLetters{in.Topic, in.Group, in.Video})
	if err != nil {
		return nil, s.problem(ctx, "query", err)
	}
	slices.SortFunc(letters, func(a, b DeadLetter) int { return placeOf(a).compare(placeOf(b)) })
	from := slices.IndexFunc(letters, func(l DeadLetter) bool { return in.Cursor == "" || placeOf(l).compare(after) > 0 })
	if from < 0 {
		from = len(letters)
	}
	page := letters[from:min(len(letters), from+in.Limit)]
	out := &lettersOutput{Cache: "no-store"}
	out.Body.Items = append([]DeadLetter{}, page...)
	if from+len(page) < len(letters) {
		b, err := json.Marshal(placeOf(page[len(page)-1]))
		if err != nil {
			return nil, s.problem(ctx, "query", err)
		}
		out.Body.NextCursor = base64.RawURLEncoding.EncodeToString(b)
	}
	return out, nil
}

func (s *Server) getLetter(ctx context.Context, in *letterPath) (*letterOutput, error) {
	if s.DeadLetters == nil {
		return nil, noLetters()
	}
	l, err := s.DeadLetters.Get(ctx, in.ID)
	if err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return &letterOutput{Cache: "no-store", Body: l}, nil
}

func (s *Server) redriveLetter(ctx context.Context, in *letterPath) (*struct{}, error) {
	return s.decideLetter(ctx, func(d DeadLetters) error { return d.Redrive(ctx, in.ID) })
}

func (s *Server) dropLetter(ctx context.Context, in *letterPath) (*struct{}, error) {
	return s.decideLetter(ctx, func(d DeadLetters) error { return d.Drop(ctx, in.ID) })
}

func (s *Server) decideLetter(ctx context.Context, do func(DeadLetters) error) (*struct{}, error) {
	if s.DeadLetters == nil {
		return nil, noLetters()
	}
	if err := do(s.DeadLetters); err != nil {
		return nil, s.problem(ctx, "path", err)
	}
	return nil, nil
}

func (s *Server) redriveLetters(ctx context.Context, in *redriveInput) (*redrivenOutput, error) {
	if s.DeadLetters == nil {
		return nil, noLetters()
	}
	n, err := s.DeadLetters.RedriveAll(ctx, PickLetters(in.Body))
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	out := &redrivenOutput{}
	out.Body.Redriven = n
	return out, nil
}

func noLetters() error { return newProblem(http.StatusNotFound, "this server has no dead letters") }
