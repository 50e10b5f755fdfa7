package messaging_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cinelog/cinelog/adapters/messaging"
)

// Each letter is told of once; again when the bell or the tick comes, where that failed; and again at the next start.
func TestWatchTellsOfEveryLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		there, readable, refuse := []messaging.DeadLetter{{ID: "1"}, {ID: "2"}}, true, "2"
		w := messaging.Watch{
			Topic: "topic", Group: "group", Died: messaging.NewBell(), Log: slog.New(slog.DiscardHandler),
			Letters: func(context.Context) ([]messaging.DeadLetter, error) {
				if !readable {
					return nil, errors.New("away")
				}
				return there, nil
			},
		}
		var told []string
		start := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				ended <- w.Run(ctx, func(_ context.Context, l messaging.DeadLetter) error {
					if told = append(told, l.ID); l.ID == refuse {
						return errors.New("not now")
					}
					return nil
				})
			}()
			return func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		}
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if !slices.Equal(told, want) {
				t.Errorf("told of %q, want %q", told, want)
			}
			told = nil
		}
		stop := start()
		expect("1", "2")
		there, readable, refuse = append(there, messaging.DeadLetter{ID: "3"}), false, ""
		w.Died.Ring()
		expect()
		readable = true
		w.Died.Ring()
		w.Died.Ring() // never blocks
		expect("2", "3")
		there = append(there, messaging.DeadLetter{ID: "4"})
		time.Sleep(time.Minute) // nobody rings
		expect("4")
		stop()
		stop = start()
		expect("1", "2", "3", "4")
		stop()
	})
}
