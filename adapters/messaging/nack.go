package messaging

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// How every transport treats a message, unless it is told otherwise.
const (
	DefaultLease      = 30 * time.Second // how long a message stays with a handler that gives no sign of life
	DefaultMaxReceive = 10               // how often a message is handed out before it is a dead letter
	DefaultGrace      = 5 * time.Second  // how long a subscription that ends waits for the handlers at work
)

// MaxReason is how many bytes of a reason are kept; a panic brings its stack.
const MaxReason = 2000

// Fail records why a message is about to be nacked; a dead letter carries the last of these reasons.
func Fail(msg *message.Message, err error) {
	msg.Metadata.Set(MetaFailure, err.Error())
}

// Reject is Fail for an error that will be the same at every try: after the nack the message is a dead letter at once.
func Reject(msg *message.Message, err error) {
	Fail(msg, err)
	msg.Metadata.Set(metaPermanent, "true")
}

// Postpone says that nothing failed, but that a message is to come again after a while: the nack does not count as a try.
func Postpone(msg *message.Message, after time.Duration, why error) {
	Fail(msg, why)
	msg.Metadata.Set(MetaRetryAfter, after.String())
}

// RetryAfter is how long a message waits whose fate is Retry: as long as Postpone said, else the backoff.
func RetryAfter(msg *message.Message, backoff time.Duration) time.Duration {
	if d, err := time.ParseDuration(msg.Metadata.Get(MetaRetryAfter)); err == nil {
		return d
	}
	return backoff
}

// HasFailed tells a message that failed from one that was postponed.
func HasFailed(msg *message.Message) bool { return msg.Metadata.Get(MetaRetryAfter) == "" }

// Fate is what becomes of a message that was nacked.
type Fate int

// The fates.
const (
	Return Fate = iota // at once, for somebody else: it failed because we are leaving, which is not its fault
	Retry              // after a backoff
	Bury               // it is a dead letter
)

// AfterNack decides about a message that was received that often, and returns the reason of its failure. ctx is the
// subscription's: its end means that we are leaving.
func AfterNack(ctx context.Context, msg *message.Message, received, maxReceive int) (fate Fate, reason string) {
	reason = msg.Metadata.Get(MetaFailure)
	if reason == "" {
		reason = "nacked without a reason"
	}
	if len(reason) > MaxReason {
		reason = reason[:MaxReason]
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	switch permanent := msg.Metadata.Get(metaPermanent) == "true"; {
	case ctx.Err() != nil && !permanent:
		return Return, reason
	case msg.Metadata.Get(MetaRetryAfter) != "":
		return Retry, reason
	case permanent || received >= maxReceive:
		return Bury, reason
	}
	return Retry, reason
}

// Backoff is how long a message that was received n times and failed waits for the next try. It doubles from one
// second to one minute; the jitter keeps messages that failed together from coming back together.
func Backoff(n int) time.Duration {
	d := time.Minute
	if n < 7 {
		d = min(d, time.Second<<max(0, n-1))
	}
	return d/2 + rand.N(d) //nolint:gosec // jitter is no secret
}
