// Package webhooks tells others of events over HTTP: which endpoints there are, what each is still to be told, in which
// order, and when to try again. The log is the queue; what is kept beside it is how far each endpoint has come and what
// became of the newest deliveries. It may import domain and the standard library; stores and the sending are ports.
package webhooks

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/cinelog/cinelog/domain"
)

// Endpoint is somebody who wants to be told.
type Endpoint struct {
	ID          string // a UUIDv7
	URL         string
	Types       []string // filters as domain.WantsEventType has them; none means all
	Description string
	Enabled     bool
	Reason      string   // why it is disabled, where it was not its owner who did that
	Secrets     []Secret // the newest one first
	Created     time.Time
	Changed     time.Time
	Version     int // grows with every change

	// Start is where telling begins. A greater round than the cursor's makes the cursor go there.
	Start Cursor
}

// Cursor says how far an endpoint has come: all up to Position is delivered, or kept as a delivery.
type Cursor struct {
	Round    int // grows when an endpoint is sent back
	Position domain.Position
}

// Secret signs what is sent. It shows itself to nobody who prints or logs it.
type Secret struct {
	Key   string    // "whsec_" and at least 24 bytes in base64
	Until time.Time // zero for the newest one
}

func (Secret) String() string { return "[secret]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[secret]" }

const (
	// SecretPrefix begins every secret (Standard Webhooks).
	SecretPrefix = "whsec_"
	secretBytes  = 32
	// SecretOverlap is how long the one before goes on signing after a rotation.
	SecretOverlap = 24 * time.Hour

	// MaxEndpoints bounds what a server does at once: each has up to perEndpoint deliveries in work.
	MaxEndpoints = 100

	maxURL         = 2048
	maxDescription = 500
)

func newSecret() Secret {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return Secret{Key: SecretPrefix + base64.StdEncoding.EncodeToString(b)}
}

// Keys returns the secrets that sign at a time.
func (e Endpoint) Keys(now time.Time) (keys []string) {
	for _, s := range e.Secrets {
		if s.Until.IsZero() || now.Before(s.Until) {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// rotate puts a new secret before the others, and drops those that have ended.
func (e *Endpoint) rotate(now time.Time) string {
	s := newSecret()
	secrets := []Secret{s}
	for _, old := range e.Secrets {
		if old.Until.IsZero() {
			old.Until = now.Add(SecretOverlap)
		}
		if now.Before(old.Until) {
			secrets = append(secrets, old)
		}
	}
	e.Secrets = secrets[:min(len(secrets), maxSecrets)]
	return s.Key
}

// maxSecrets keeps a header that has all signatures short.
const maxSecrets = 5

// Wants tells whether the endpoint is to be told of an event.
func (e Endpoint) Wants(r domain.Recorded) bool {
	return domain.WantsEventType(e.Types, domain.EventType(r.Event))
}

// check returns everything that is wrong, but for where the address leads.
func (e Endpoint) check() []domain.FieldError {
	var wrong []domain.FieldError
	if e.URL == "" || len(e.URL) > maxURL {
		wrong = append(wrong, domain.FieldError{Field: "url", Message: fmt.Sprintf("must have 1 to %d bytes", maxURL)})
	}
	if message := domain.CheckTypeFilters(e.Types); message != "" {
		wrong = append(wrong, domain.FieldError{Field: "types", Message: message})
	}
	if utf8.RuneCountInString(e.Description) > maxDescription || slices.Contains([]rune(e.Description), 0) {
		wrong = append(wrong, domain.FieldError{Field: "description", Message: fmt.Sprintf("at most %d characters, none of them U+0000", maxDescription)})
	}
	return wrong
}
