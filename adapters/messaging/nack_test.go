package messaging_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/messaging"
)

func TestAfterNack(t *testing.T) {
	t.Parallel()
	running := t.Context()
	leaving, cancel := context.WithCancel(running)
	cancel()
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		ctx      context.Context //nolint:containedctx // a case of the table
		mark     func(*message.Message, error)
		received int
		want     messaging.Fate
	}{
		"the first failure":      {running, messaging.Fail, 1, messaging.Retry},
		"the last but one":       {running, messaging.Fail, 2, messaging.Retry},
		"the last":               {running, messaging.Fail, 3, messaging.Bury},
		"one too many":           {running, messaging.Fail, 4, messaging.Bury},
		"nothing can change it":  {running, messaging.Reject, 1, messaging.Bury},
		"we leave":               {leaving, messaging.Fail, 1, messaging.Return},
		"we leave at the last":   {leaving, messaging.Fail, 3, messaging.Return},
		"postponed, at the last": {running, postpone, 3, messaging.Retry},
		"we leave, and it's bad": {leaving, messaging.Reject, 1, messaging.Bury},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg := message.NewMessage("1", nil)
			c.mark(msg, failed)
			if fate, reason := messaging.AfterNack(c.ctx, msg, c.received, 3); fate != c.want || reason != "failed" {
				t.Errorf("fate %d for %q, want %d", fate, reason, c.want)
			}
		})
	}
}

func TestReasonsAreShortText(t *testing.T) {
	t.Parallel()
	msg := message.NewMessage("1", nil)
	if _, reason := messaging.AfterNack(t.Context(), msg, 1, 3); reason == "" {
		t.Error("no reason")
	}
	messaging.Fail(msg, errors.New("x"+strings.Repeat("é", messaging.MaxReason)))
	_, reason := messaging.AfterNack(t.Context(), msg, 1, 3)
	if n := len(reason); n < messaging.MaxReason || n > messaging.MaxReason+utf8.UTFMax || !utf8.ValidString(reason) {
		t.Errorf("%d bytes, ends with %q", n, reason[n-5:])
	}
}

func TestBackoffDoublesToAMinute(t *testing.T) {
	t.Parallel()
	for n, about := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute,
	} {
		for range 100 {
			if d := messaging.Backoff(n); d < about/2 || d >= about*3/2 {
				t.Errorf("after %d tries %s, want about %s", n, d, about)
			}
		}
	}
}

func postpone(msg *message.Message, err error) { messaging.Postpone(msg, time.Hour, err) }

func TestAPostponedMessageWaitsAsLongAsItIsTold(t *testing.T) {
	t.Parallel()
	msg := message.NewMessage("1", nil)
	if d := messaging.RetryAfter(msg, time.Second); d != time.Second {
		t.Errorf("a failed one waits %s", d)
	}
	postpone(msg, errors.New("later"))
	if d := messaging.RetryAfter(msg, time.Second); d != time.Hour {
		t.Errorf("a postponed one waits %s", d)
	}
}
