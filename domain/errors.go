package domain

import (
	"errors"
	"strings"
)

// The closed set of kinds of error. Everything that a caller may act on wraps one of these; whatever does not is an
// internal fault. They are mapped to HTTP in one place (web/errors.go) and to exit codes in one place (cmd/cinelog).
var (
	// ErrNotFound says that the thing named does not exist, or not for this caller.
	ErrNotFound = errors.New("not found")
	// ErrInvalid says that the input breaks a rule; see Invalid for the fields.
	ErrInvalid = errors.New("invalid")
	// ErrConflict says that the stream has moved on: load again and decide again.
	ErrConflict = errors.New("conflict")
	// ErrStale says that the caller's precondition (If-Match) no longer holds.
	ErrStale = errors.New("stale precondition")
	// ErrNotAllowed says that the state of the thing forbids the command now.
	ErrNotAllowed = errors.New("not allowed in this state")
	// ErrSuperseded says that the work reported was overtaken (an older attempt, a chunk already recorded, a video
	// deleted): the reporter drops its result and is done. A zombie worker gets this.
	ErrSuperseded = errors.New("superseded")
	// ErrTooLarge says that a size limit was exceeded.
	ErrTooLarge = errors.New("too large")
	// ErrUnavailable says that something needed is away for now (storage down, disk full): try again later.
	ErrUnavailable = errors.New("unavailable")
)

// FieldError names one field of the input (a JSON path such as "tags[3]") and what is wrong with it.
type FieldError struct {
	Field   string
	Message string
}

// Invalid is an ErrInvalid with every field that is wrong.
type Invalid struct{ Fields []FieldError } //nolint:errname // callers look at the fields, as of any value

func (e *Invalid) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return "invalid: " + strings.Join(parts, "; ")
}

// Is makes errors.Is(err, ErrInvalid) hold.
func (e *Invalid) Is(target error) bool { return target == ErrInvalid }

// FailureCode says why a video cannot be watched, in a word that programs may switch on.
type FailureCode string

// The failure codes, as they stand in answers and events.
const (
	NotAVideo         FailureCode = "not_a_video"
	Malformed         FailureCode = "malformed"
	UnsupportedCodec  FailureCode = "unsupported_codec"
	NoVideoTrack      FailureCode = "no_video_track"
	Encrypted         FailureCode = "encrypted"
	SourceTooLarge    FailureCode = "too_large"
	TooLong           FailureCode = "too_long"
	ResolutionTooHigh FailureCode = "resolution_too_high"
	FetchFailed       FailureCode = "fetch_failed"
	Internal          FailureCode = "internal"
)

// Failure is a permanent "no" about a source: trying again gives the same answer. Adapters return it as an error
// (match with errors.As) where every other error means "try again".
type Failure struct { //nolint:errname // part of events; being an error is how it travels
	Code   FailureCode `json:"code"`
	Detail string      `json:"detail"`
}

func (f *Failure) Error() string { return string(f.Code) + ": " + f.Detail }
