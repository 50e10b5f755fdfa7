package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
)

// look is one question to the server: what has come after the end?
type look struct {
	done chan struct{}
	err  error
}

const (
	// oneByOne is how many commits a look fetches by their keys. It is the one question that needs no search, on any
	// server; where more has come, the rest is fetched in one go.
	oneByOne = 4
	// farBehind is how many commits are fetched in one go. Where there are more, the tail begins anew at the end.
	farBehind = 1000
	// warm is how many commits it begins with, where they fit.
	warm = 100
)

// advance brings the tail to the end of the log: what was acknowledged to anybody before the call is in it, or was and
// is not kept any longer. Those who come while a look is under way share the next one, since that one may have seen
// the end before they came. When it fails they fail with it: the server was away just now.
func (t *tail) advance(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	if t.next == nil {
		t.next = &look{done: make(chan struct{})}
	}
	mine := t.next
	if !t.looking {
		t.looking = true
		go t.look() //nolint:gosec,contextcheck // it is for all who wait: no single one's context may end it
	}
	t.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look looks as long as somebody waits.
func (t *tail) look() {
	for {
		running := t.take()
		if running == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
		running.err = t.fetch(ctx)
		if running.err != nil && ctx.Err() != nil {
			running.err = fmt.Errorf("%w: %w", domain.ErrUnavailable, running.err)
		}
		cancel()
		close(running.done)
		if running.err != nil {
			t.fail(running.err)
		}
	}
}

// take begins the look that somebody waits for; nil when nobody does.
func (t *tail) take() *look {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.next
	t.next, t.looking = nil, l != nil
	return l
}

// fail ends the look that has not begun.
func (t *tail) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil {
		t.next.err = err
		close(t.next.done)
		t.next = nil
	}
}

// fetch adds what has come after the end.
func (t *tail) fetch(ctx context.Context) error {
	for range oneByOne {
		end, known := t.last()
		if !known {
			return t.begin(ctx)
		}
		var c commitDoc
		err := t.commits.FindOne(ctx, bson.D{{Key: "_id", Value: commitKey(end.Position + 1)}}).Decode(&c)
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil
		}
		if err != nil {
			return unavailable(ctx, err)
		}
		t.put(&c)
	}
	end, _ := t.last()
	n := 0
	err := eachCommit(ctx, t.commits, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: commitKey(end.Position)}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(farBehind), func(c *commitDoc) error {
			if n++; !t.put(c) {
				end, _ := t.last()
				return fmt.Errorf("the log has no event at %d but one at %d: it is damaged", end.Position+1, c.First)
			}
			return nil
		})
	if err == nil && n == farBehind {
		return t.begin(ctx)
	}
	return err
}

// begin forgets everything and reads the newest commits.
func (t *tail) begin(ctx context.Context) error {
	var newest []*commitDoc
	size := 0
	err := eachCommit(ctx, t.commits, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(warm),
		func(c *commitDoc) error {
			size += c.size() + keptOverhead
			gap := len(newest) > 0 && c.Last+1 != newest[len(newest)-1].First
			if len(newest) > 0 && size > t.bound || gap { // of a damaged log what is behind the gap can be read
				return errEnough
			}
			newest = append(newest, c)
			return nil
		})
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known && (len(newest) == 0 || newest[0].Last <= t.end.Position) {
		return nil // the writer has come further meanwhile
	}
	t.reset()
	t.known = true
	if len(newest) > 0 {
		t.from = newest[len(newest)-1].First
		t.end.Position = t.from - 1
	}
	for _, c := range slices.Backward(newest) {
		t.add(c)
	}
	return nil
}
