package webhooks

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cinelog/cinelog/domain"
)

// Status is what became of a delivery.
type Status string

// A failed delivery is tried no more, until somebody asks for it.
const (
	Pending   Status = "pending"
	Delivered Status = "delivered"
	Failed    Status = "failed"
)

// Delivery is one event for one endpoint.
type Delivery struct {
	Endpoint string
	Position domain.Position
	Video    string
	Type     string
	Round    int // in which it was wanted last
	Status   Status
	Attempts int       // since it was wanted last
	Code     int       // status of the newest answer; 0 when there was none
	Error    string    // of the newest attempt
	First    time.Time // attempt since it was wanted last; zero before
	Last     time.Time // attempt; zero before
	Next     time.Time // attempt, while pending
}

// ID names a delivery, and the message: the same in every attempt, so that a receiver knows what it has had.
func (d Delivery) ID() string { return fmt.Sprintf("%s-%d", d.Endpoint, d.Position) }

// ParseDeliveryID takes an id apart.
func ParseDeliveryID(id string) (endpoint string, p domain.Position, ok bool) {
	at := strings.LastIndexByte(id, '-')
	if at < 1 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(id[at+1:], 10, 64)
	d := Delivery{Endpoint: id[:at], Position: domain.Position(n)}
	return d.Endpoint, d.Position, err == nil && n > 0 && d.ID() == id
}

// newDelivery is of an event that an endpoint wants.
func newDelivery(endpoint string, round int, r domain.Recorded, now time.Time) Delivery {
	return Delivery{
		Endpoint: endpoint, Position: r.Position, Video: r.Stream, Type: domain.EventType(r.Event), Round: round,
		Status: Pending, Next: now,
	}
}

// When a delivery is tried again: after 5 s, 15 s, 45 s, 2 min, 7 min, 20 min, 1 h, 3 h, and then each 4 h, each a fifth
// more or less. The last try is three days after the first one.
const (
	firstPause  = 5 * time.Second
	pauseFactor = 3
	maxPause    = 4 * time.Hour
	tryingFor   = 72 * time.Hour
	// longestPause is how long none is longer than.
	longestPause = maxPause * 6 / 5
	// maxAsked is how long a receiver may ask us to stay away.
	maxAsked = time.Hour
)

// pauseAfter is how long to wait after so many attempts.
func pauseAfter(attempts int) time.Duration {
	pause := firstPause
	for range attempts - 1 {
		if pause *= pauseFactor; pause >= maxPause {
			pause = maxPause
			break
		}
	}
	return pause*4/5 + rand.N(pause*2/5) //nolint:gosec // jitter is no secret
}

// Result is what came of an attempt. Err is nil exactly when the receiver has taken the message.
type Result struct {
	Code       int // of the answer; 0 when there was none
	Err        error
	RetryAfter time.Duration // what the receiver asked for
}

// settle writes down what came of an attempt.
func (d *Delivery) settle(r Result, now time.Time) {
	d.Attempts++
	if d.First.IsZero() {
		d.First = now
	}
	d.Code, d.Error, d.Last, d.Next = r.Code, "", now, time.Time{}
	if r.Err == nil {
		d.Status = Delivered
		return
	}
	d.Error = short(r.Err.Error())
	next := now.Add(max(pauseAfter(d.Attempts), min(r.RetryAfter, maxAsked)))
	if r.Code == statusGone || next.After(d.First.Add(tryingFor)) {
		d.Status = Failed
		return
	}
	d.Next = next
}

// statusGone is HTTP's 410: the receiver wants no more, ever.
const statusGone = 410

// again makes it as if it had not been tried.
func (d *Delivery) again(now time.Time) {
	d.Status, d.Attempts, d.First, d.Next = Pending, 0, time.Time{}, now
}

const maxError = 300

func short(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxError {
		return s
	}
	end := maxError
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
