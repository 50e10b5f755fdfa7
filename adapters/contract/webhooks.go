package contract

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

// Webhooks checks a store of webhooks. open returns one, which other tests may use too, so that reopen returns what another
// process sees of the same one.
func Webhooks(t *testing.T, open func(t *testing.T) (store webhooks.Store, reopen func() webhooks.Store)) {
	for name, test := range map[string]func(*testing.T, webhooks.Store, func() webhooks.Store){
		"endpoints": webhookEndpoints, "deliveries": webhookDeliveries, "rounds": webhookRounds, "lease": webhookLease,
		"lists": webhookLists, "prune": webhookPrune,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, reopen := open(t)
			test(t, store, reopen)
		})
	}
}

func webhookTime(hours int) time.Time {
	return time.Date(2026, 3, 1, hours, 0, 0, 123_456_000, time.UTC)
}

func newWebhook(t *testing.T, s webhooks.Store) webhooks.Endpoint {
	t.Helper()
	e := webhooks.Endpoint{
		ID: uuid.Must(uuid.NewV7()).String(), URL: "https://hooks.example/x?y=é", Types: []string{"video.p*", "video.deleted.v1"},
		Description: "a \"receiver\"", Enabled: true, Created: webhookTime(1), Changed: webhookTime(2), Version: 1,
		Secrets: []webhooks.Secret{{Key: "whsec_new"}, {Key: "whsec_old", Until: webhookTime(3)}},
		Start:   webhooks.Cursor{Round: 1, Position: 7},
	}
	if err := s.Create(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return e
}

func webhookEndpoints(t *testing.T, s webhooks.Store, reopen func() webhooks.Store) {
	ctx := t.Context()
	first, second := newWebhook(t, s), newWebhook(t, s)
	got, err := s.Endpoint(ctx, first.ID)
	if diff := cmp.Diff(first, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	changed := first
	changed.URL, changed.Types, changed.Enabled, changed.Reason = "https://other.example/", nil, false, "gone"
	changed.Secrets, changed.Version, changed.Start = first.Secrets[:1], 2, webhooks.Cursor{Round: 2, Position: 1}
	if err := s.Update(ctx, changed); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, changed); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("a change of what is no longer: %v", err)
	}
	all, err := reopen().Endpoints(ctx)
	if diff := cmp.Diff([]webhooks.Endpoint{changed, second}, all); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := s.Remove(ctx, second.ID); err != nil {
		t.Fatal(err)
	}
	second.Version++
	_, err = s.Endpoint(ctx, second.ID)
	for what, err := range map[string]error{
		"get": err, "update": s.Update(ctx, second), "remove": s.Remove(ctx, second.ID), "none": s.Remove(ctx, "x"),
	} {
		if !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("%s of one that is gone: %v", what, err)
		}
	}
}

// pendingDelivery is one of an even or odd video.
func pendingDelivery(e webhooks.Endpoint, p domain.Position, round int) webhooks.Delivery {
	return webhooks.Delivery{
		Endpoint: e.ID, Position: p, Video: []string{"even", "odd"}[p%2], Type: "video.deleted.v1", Round: round,
		Status: webhooks.Pending, Next: webhookTime(int(p)),
	}
}

func webhookDeliveries(t *testing.T, s webhooks.Store, reopen func() webhooks.Store) {
	ctx := t.Context()
	e, other := newWebhook(t, s), newWebhook(t, s)
	if c, err := s.Cursor(ctx, e.ID); err != nil || c != (webhooks.Cursor{}) {
		t.Errorf("a new one has the cursor %v, %v", c, err)
	}
	to := webhooks.Cursor{Round: 1, Position: 12}
	want := []webhooks.Delivery{pendingDelivery(e, 8, 1), pendingDelivery(e, 11, 1)}
	for range 2 { // doing it again is nothing
		if err := s.Advance(ctx, e.ID, to, want); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Advance(ctx, other.ID, to, []webhooks.Delivery{pendingDelivery(other, 8, 1)}); err != nil {
		t.Fatal(err)
	}
	if c, err := reopen().Cursor(ctx, e.ID); err != nil || c != to {
		t.Errorf("cursor %v, %v", c, err)
	}
	expectPending := func(want ...webhooks.Delivery) {
		t.Helper()
		got, err := reopen().Pending(ctx, e.ID, 100)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v, pending (-want +got):\n%s", err, diff)
		}
	}
	expectPending(want...)
	if got, err := s.Pending(ctx, e.ID, 1); err != nil || len(got) != 1 || got[0] != want[0] {
		t.Errorf("the first one: %v, %v", got, err)
	}
	tried := want[0]
	tried.Attempts, tried.Code, tried.Error, tried.First, tried.Last, tried.Next = 2, 500, "500", webhookTime(1), webhookTime(2), webhookTime(3)
	done := want[1]
	done.Status, done.Attempts, done.Code, done.First, done.Last, done.Next = webhooks.Delivered, 1, 200, webhookTime(1), webhookTime(1), time.Time{}
	for _, d := range []webhooks.Delivery{tried, done, pendingDelivery(e, 99, 1)} { // the last one is not there
		if err := s.Record(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Advance(ctx, e.ID, to, want); err != nil { // what was tried stays so
		t.Fatal(err)
	}
	expectPending(tried)
	if got, err := s.Delivery(ctx, e.ID, 11); err != nil || got != done {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Delivery(ctx, e.ID, 99); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	if err := s.Remove(ctx, e.ID); err != nil {
		t.Fatal(err)
	}
	expectPending()
	if c, err := s.Cursor(ctx, e.ID); err != nil || c != (webhooks.Cursor{}) {
		t.Errorf("one that is gone has the cursor %v, %v", c, err)
	}
	if got, err := s.Pending(ctx, other.ID, 100); err != nil || len(got) != 1 {
		t.Errorf("the other one has %v, %v", got, err)
	}
}

// A greater round replaces what is there, and nothing of a round before changes it then.
func webhookRounds(t *testing.T, s webhooks.Store, _ func() webhooks.Store) {
	ctx := t.Context()
	e := newWebhook(t, s)
	done := pendingDelivery(e, 8, 1)
	if err := s.Advance(ctx, e.ID, webhooks.Cursor{Round: 1, Position: 8}, []webhooks.Delivery{done}); err != nil {
		t.Fatal(err)
	}
	done.Status, done.Attempts = webhooks.Delivered, 1
	if err := s.Record(ctx, done); err != nil {
		t.Fatal(err)
	}
	again := []webhooks.Delivery{pendingDelivery(e, 8, 2), pendingDelivery(e, 9, 2)}
	if err := s.Advance(ctx, e.ID, webhooks.Cursor{Round: 2, Position: 9}, again); err != nil {
		t.Fatal(err)
	}
	if err := s.Record(ctx, done); err != nil { // of somebody who is late
		t.Fatal(err)
	}
	if got, err := s.Pending(ctx, e.ID, 10); err != nil || cmp.Diff(again, got) != "" {
		t.Errorf("%v, %v", got, err)
	}
	if c, err := s.Cursor(ctx, e.ID); err != nil || c != (webhooks.Cursor{Round: 2, Position: 9}) {
		t.Errorf("cursor %v, %v", c, err)
	}
}

func webhookLists(t *testing.T, s webhooks.Store, _ func() webhooks.Store) {
	ctx := t.Context()
	e := newWebhook(t, s)
	var all []webhooks.Delivery
	for p := range domain.Position(30) {
		all = append(all, pendingDelivery(e, p+1, 1))
	}
	if err := s.Advance(ctx, e.ID, webhooks.Cursor{Round: 1, Position: 30}, all); err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.Position%3 == 0 {
			d.Status = webhooks.Failed
			if err := s.Record(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		status webhooks.Status
		before domain.Position
		limit  int
		want   []domain.Position
	}{
		{"", 0, 3, []domain.Position{30, 29, 28}},
		{"", 28, 2, []domain.Position{27, 26}},
		{"", 3, 10, []domain.Position{2, 1}},
		{webhooks.Failed, 0, 2, []domain.Position{30, 27}},
		{webhooks.Failed, 9, 10, []domain.Position{6, 3}},
		{webhooks.Pending, 4, 10, []domain.Position{2, 1}},
		{webhooks.Delivered, 0, 10, nil},
	} {
		got, err := s.Deliveries(ctx, e.ID, c.status, c.before, c.limit)
		var positions []domain.Position
		for _, d := range got {
			positions = append(positions, d.Position)
		}
		if diff := cmp.Diff(c.want, positions); err != nil || diff != "" {
			t.Errorf("%q before %d: %v (-want +got):\n%s", c.status, c.before, err, diff)
		}
	}
}

func webhookPrune(t *testing.T, s webhooks.Store, _ func() webhooks.Store) {
	ctx := t.Context()
	e := newWebhook(t, s)
	all := []webhooks.Delivery{pendingDelivery(e, 1, 1), pendingDelivery(e, 2, 1), pendingDelivery(e, 3, 1), pendingDelivery(e, 4, 1)}
	if err := s.Advance(ctx, e.ID, webhooks.Cursor{Round: 1, Position: 4}, all); err != nil {
		t.Fatal(err)
	}
	for i, status := range []webhooks.Status{webhooks.Delivered, webhooks.Pending, webhooks.Failed, webhooks.Delivered} {
		all[i].Status, all[i].Last = status, webhookTime(i)
		if err := s.Record(ctx, all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Prune(ctx, e.ID, webhookTime(3)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Deliveries(ctx, e.ID, "", 0, 10)
	if diff := cmp.Diff([]webhooks.Delivery{all[3], all[1]}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func webhookLease(t *testing.T, s webhooks.Store, reopen func() webhooks.Store) {
	e, other := newWebhook(t, s), newWebhook(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	held, release, err := s.Lease(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := reopen().Lease(ctx, e.ID); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("a second holder: %v", err)
	}
	_, releaseOther, err := s.Lease(ctx, other.ID)
	if err != nil {
		t.Fatal(err)
	}
	releaseOther()
	if held.Err() != nil {
		t.Error("the lease ended by itself")
	}
	release()
	again, releaseAgain, err := reopen().Lease(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-again.Done()
	releaseAgain()
}
