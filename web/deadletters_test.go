package web_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
)

// letterBox is where dead letters lie.
type letterBox struct {
	letters []web.DeadLetter
	again   []string
}

func (b *letterBox) List(_ context.Context, pick web.PickLetters) ([]web.DeadLetter, error) {
	return slices.DeleteFunc(slices.Clone(b.letters), func(l web.DeadLetter) bool { return pick.Video != "" && l.Video != pick.Video }), nil
}

func (b *letterBox) find(id string) (int, error) {
	i := slices.IndexFunc(b.letters, func(l web.DeadLetter) bool { return l.ID == id })
	if i < 0 {
		return 0, fmt.Errorf("%w: dead letter %q", domain.ErrNotFound, id)
	}
	return i, nil
}

func (b *letterBox) Get(_ context.Context, id string) (web.DeadLetter, error) {
	i, err := b.find(id)
	if err != nil {
		return web.DeadLetter{}, err
	}
	l := b.letters[i]
	l.Event = []byte(`{"specversion":"1.0"}`)
	return l, nil
}

func (b *letterBox) Redrive(ctx context.Context, id string) error {
	if err := b.Drop(ctx, id); err != nil {
		return err
	}
	b.again = append(b.again, id)
	return nil
}

func (b *letterBox) RedriveAll(ctx context.Context, pick web.PickLetters) (n int, err error) {
	letters, err := b.List(ctx, pick)
	for _, l := range letters {
		if err := b.Redrive(ctx, l.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, err
}

func (b *letterBox) Drop(_ context.Context, id string) error {
	i, err := b.find(id)
	if err == nil {
		b.letters = slices.Delete(b.letters, i, i+1)
	}
	return err
}

func TestDeadLettersOverHTTP(t *testing.T) {
	t.Parallel()
	box := &letterBox{}
	for i := range 7 { // the last three came in the same moment
		box.letters = append(box.letters, web.DeadLetter{
			ID: fmt.Sprintf("events.policy.%d", i), Video: fmt.Sprintf("v%d", i%2), Reason: "too bad", FirstReason: "not yet",
			Published: time.Unix(int64(min(i, 4)), 0), Metadata: map[string]string{},
		})
	}
	s := newSite(t, func(server *web.Server) { server.DeadLetters = box })
	const dlq = "/v1/admin/dlq"

	var seen []string
	for at := dlq + "?limit=3"; ; {
		page := s.ask(t, "GET", at, "")
		page.wants(t, 200)
		for _, item := range page.json["items"].([]any) {
			seen = append(seen, item.(map[string]any)["id"].(string))
		}
		next, more := page.json["next_cursor"].(string)
		if !more {
			break
		}
		if len(seen) == 3 { // a page goes on where it was, whatever became of what it ended with
			if err := box.Drop(t.Context(), seen[2]); err != nil {
				t.Fatal(err)
			}
		}
		at = dlq + "?limit=3&cursor=" + next
	}
	want := []string{"events.policy.0", "events.policy.1", "events.policy.2", "events.policy.3", "events.policy.4", "events.policy.5", "events.policy.6"}
	if !slices.Equal(seen, want) {
		t.Errorf("pages of %q", seen)
	}
	one := s.ask(t, "GET", dlq+"/events.policy.3", "")
	one.wants(t, 200)
	if one.json["reason"] != "too bad" || one.json["first_reason"] != "not yet" || one.json["event"].(map[string]any)["specversion"] != "1.0" {
		t.Errorf("one: %s", one.text)
	}
	s.ask(t, "POST", dlq+"/events.policy.3/redrive", "").wants(t, 202)
	s.ask(t, "POST", dlq+"/events.policy.3/redrive", "").wants(t, 404)
	s.ask(t, "DELETE", dlq+"/events.policy.4", "").wants(t, 204)
	s.ask(t, "DELETE", dlq+"/events.policy.4", "").wants(t, 404)
	s.ask(t, "GET", dlq+"/events.policy.4", "").wants(t, 404)
	all := s.ask(t, "POST", dlq+"/redrive", `{"video":"v1"}`, asJSON)
	all.wants(t, 200)
	if all.json["redriven"] != 2.0 || !slices.Equal(box.again, []string{"events.policy.3", "events.policy.1", "events.policy.5"}) {
		t.Errorf("%s sent %q again", all.text, box.again)
	}
	s.ask(t, "POST", dlq+"/redrive", "").wants(t, 400)
	s.ask(t, "POST", dlq+"/redrive", `{"all":true}`, asJSON).wants(t, 422)
	for _, cursor := range []string{"x", "e30", strings.Repeat("a", 2000)} {
		s.ask(t, "GET", dlq+"?cursor="+cursor, "").wants(t, 422)
	}
	s.ask(t, "GET", dlq+"?limit=0", "").wants(t, 422)

	without := newSite(t, nil)
	for _, c := range [][2]string{{"GET", dlq}, {"GET", dlq + "/x"}, {"POST", dlq + "/x/redrive"}, {"DELETE", dlq + "/x"}} {
		without.ask(t, c[0], c[1], "").wants(t, 404)
	}
}
