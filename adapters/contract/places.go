package contract

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// Places checks where consumer groups keep how far they have come. create makes an empty one; open opens it once more, as
// another process or after a restart.
func Places(t *testing.T, create func(t *testing.T) (open func() messaging.Places)) {
	const video, other = "019a0000-0000-7000-8000-000000000001", "019a0000-0000-7000-8000-000000000002"
	t.Run("moves", func(t *testing.T) {
		t.Parallel()
		open := create(t)
		p, ctx := open(), t.Context()
		at := func(p messaging.Places, group, video string, want messaging.Place) {
			t.Helper()
			if got, err := p.Place(ctx, group, video); err != nil || got != want {
				t.Errorf("%s at %s: %+v, %v, want %+v", group, video, got, err, want)
			}
		}
		zero, three := messaging.Place{}, messaging.Place{Version: 3}
		parked := messaging.Place{Version: 3, Letter: "event-7", Reason: "too bad\n\"'"}
		at(p, "a", video, zero)
		if err := p.Move(ctx, "a", video, three, parked); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("a move from where it is not: %v", err)
		}
		for _, step := range [][2]messaging.Place{{zero, three}, {three, parked}} {
			if err := p.Move(ctx, "a", video, step[0], step[1]); err != nil {
				t.Fatal(err)
			}
		}
		at(open(), "a", video, parked)
		at(p, "b", video, zero)
		at(p, "a", other, zero)
		for _, wrong := range []messaging.Place{zero, three, {Version: 2, Letter: "event-7"}, {Version: 3, Letter: "event-8"}} {
			if err := p.Move(ctx, "a", video, wrong, messaging.Place{Version: 9}); !errors.Is(err, domain.ErrConflict) {
				t.Errorf("a move from %+v: %v", wrong, err)
			}
		}
		if err := p.Move(ctx, "a", video, messaging.Place{Version: 3, Letter: "event-7"}, messaging.Place{Version: 4}); err != nil {
			t.Error(err)
		}
		at(open(), "a", video, messaging.Place{Version: 4})
		if err := p.Move(ctx, "b", video, zero, messaging.Place{Letter: "event-1"}); err != nil { // the first event of all
			t.Error(err)
		}
		at(p, "b", video, messaging.Place{Letter: "event-1"})
	})
	t.Run("one at a time", func(t *testing.T) {
		t.Parallel()
		p, ctx := create(t)(), t.Context()
		held, release, err := p.Hold(ctx, "a", video)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Hold(ctx, "a", video); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("held twice: %v", err)
		}
		for _, free := range [][2]string{{"a", other}, {"b", video}} {
			_, release, err := p.Hold(ctx, free[0], free[1])
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
		if held.Err() != nil {
			t.Error("the hold has ended by itself")
		}
		if err := p.Move(held, "a", video, messaging.Place{}, messaging.Place{Version: 1}); err != nil {
			t.Error(err)
		}
		release()
		if held.Err() == nil {
			t.Error("the hold has not ended")
		}
		_, release, err = p.Hold(ctx, "a", video)
		if err != nil {
			t.Fatal(err)
		}
		release()
	})
}

// PlacesInMemory are places that last as long as they are held on to.
type PlacesInMemory struct {
	mu   sync.Mutex
	at   map[[2]string]messaging.Place
	held map[[2]string]bool
}

var _ messaging.Places = (*PlacesInMemory)(nil)

// Hold implements messaging.Places.
func (p *PlacesInMemory) Hold(ctx context.Context, group, video string) (context.Context, func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := [2]string{group, video}
	if p.held[key] {
		return nil, nil, domain.ErrConflict
	}
	if p.held == nil {
		p.held = map[[2]string]bool{}
	}
	p.held[key] = true
	held, cancel := context.WithCancel(ctx)
	return held, func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.held, key)
	}, nil
}

// Place implements messaging.Places.
func (p *PlacesInMemory) Place(_ context.Context, group, video string) (messaging.Place, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at[[2]string{group, video}], nil
}

// Move implements messaging.Places.
func (p *PlacesInMemory) Move(_ context.Context, group, video string, from, to messaging.Place) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := [2]string{group, video}
	if now := p.at[key]; now.Version != from.Version || now.Letter != from.Letter {
		return fmt.Errorf("%w: not at %d", domain.ErrConflict, from.Version)
	}
	if p.at == nil {
		p.at = map[[2]string]messaging.Place{}
	}
	p.at[key] = to
	return nil
}
