package webhooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a log, a store, receivers and whoever tells them, under the clock of synctest.
type world struct {
	t        *testing.T
	log      *memory.Log
	store    webhooks.Store
	service  *webhooks.Service
	versions map[string]int
	appended chan struct{}
	changed  chan struct{}
	now      func() time.Time // the machine's clock, which may be set

	// answer is what a receiver says; success where it is nil.
	answer func(ctx context.Context, url string, d sent) webhooks.Result

	mu   sync.Mutex
	sent map[string][]sent // by URL, those that were taken
	late []string          // what came before its turn
	open map[string]domain.Position
}

// sent is a message that was sent.
type sent struct {
	domain.Recorded

	id   string
	keys []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, log: memory.NewLog(), store: memory.NewWebhooks(), versions: map[string]int{}, sent: map[string][]sent{},
		appended: make(chan struct{}, 1), changed: make(chan struct{}, 1), open: map[string]domain.Position{}, now: time.Now,
	}
	w.service = &webhooks.Service{
		Store: w.store, Log: w.log, Now: time.Now, Sender: w, Changed: func() { w.changed <- struct{}{} },
		CheckURL: func(_ context.Context, url string) error {
			if url == "bad" {
				return fmt.Errorf("%w: bad", domain.ErrInvalid)
			}
			return nil
		},
	}
	return w
}

// run delivers until stop is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	d := &webhooks.Dispatcher{
		Store: w.store, Log: w.log, Sender: w, Now: func() time.Time { return w.now() }, Logger: slog.New(slog.DiscardHandler),
		Appended: w.appended, Changed: w.changed,
	}
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			w.t.Error(err)
		}
	}
}

// Send implements webhooks.Sender, and checks that of a video one event is under way at a time.
func (w *world) Send(ctx context.Context, url string, keys []string, m webhooks.Message) webhooks.Result {
	r, err := domain.UnmarshalCloudEvent(m.Body)
	if err != nil {
		w.t.Error(err)
	}
	s := sent{r, m.ID, keys}
	of := url + " " + r.Stream
	w.mu.Lock()
	if other, ok := w.open[of]; ok {
		w.late = append(w.late, fmt.Sprintf("%d beside %d of %s", r.Position, other, of))
	}
	w.open[of] = r.Position
	w.mu.Unlock()
	var result webhooks.Result
	if w.answer != nil {
		result = w.answer(ctx, url, s)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, of)
	if result.Err == nil {
		w.sent[url] = append(w.sent[url], s)
		return webhooks.Result{Code: 200}
	}
	return result
}

func (w *world) got(url string) []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent[url]
}

func (w *world) endpoint(url string, types ...string) webhooks.Endpoint {
	w.t.Helper()
	e, secret, err := w.service.Create(w.t.Context(), webhooks.NewEndpoint{URL: url, Types: types, Enabled: true})
	if err != nil || secret == "" {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return e
}

func (w *world) append(video string, events ...domain.Event) {
	w.t.Helper()
	for _, e := range events {
		_, err := w.log.Append(w.t.Context(), domain.Commit{
			ID: fmt.Sprint(video, w.versions[video]), Stream: video, Expected: w.versions[video], Time: time.Now(), Events: []domain.Event{e},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.versions[video]++
	}
	select {
	case w.appended <- struct{}{}:
	default:
	}
}

func refused(code int) webhooks.Result {
	return webhooks.Result{Code: code, Err: fmt.Errorf("answered %d", code)}
}

// expect checks that an endpoint was told of these positions, in this order.
func (w *world) expect(url string, want ...domain.Position) {
	w.t.Helper()
	synctest.Wait()
	var got []domain.Position
	for _, s := range w.got(url) {
		got = append(got, s.Position)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("%s was told of %v, want %v", url, got, want)
	}
}

func TestAnEndpointIsToldWhatItWants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.append("v", domain.VideoCreated{})
		stop := w.run()
		defer stop()
		e := w.endpoint("a", "video.published.v1", "video.caption_*")
		w.append("v", domain.VideoPublished{}, domain.VideoUnpublished{}, domain.CaptionAdded{}, domain.VideoPublished{})
		w.expect("a", 2, 4, 5)
		if got := w.got("a")[0]; got.id != e.ID+"-2" || len(got.keys) != 1 || got.keys[0] != e.Secrets[0].Key {
			t.Errorf("sent as %+v", got)
		}
		change := webhooks.Change{Types: &[]string{"*"}}
		if _, err := w.service.Change(t.Context(), e.ID, change); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.append("v", domain.VideoUnpublished{})
		w.expect("a", 2, 4, 5, 6)
		off, on := false, true
		if _, err := w.service.Change(t.Context(), e.ID, webhooks.Change{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.append("v", domain.VideoPublished{})
		w.expect("a", 2, 4, 5, 6)
		if _, err := w.service.Change(t.Context(), e.ID, webhooks.Change{Enabled: &on}); err != nil {
			t.Fatal(err)
		}
		w.expect("a", 2, 4, 5, 6, 7)
		if err := w.service.Remove(t.Context(), e.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.append("v", domain.VideoUnpublished{})
		w.expect("a", 2, 4, 5, 6, 7)
	})
}

// An endpoint that answers nothing for as long as it may holds nobody up, and neither does a video that is refused.
func TestFailuresDelayNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(ctx context.Context, url string, s sent) webhooks.Result {
			switch {
			case url == "silent":
				<-ctx.Done()
				return webhooks.Result{Err: ctx.Err()}
			case s.Stream == "bad":
				return refused(500)
			}
			return webhooks.Result{}
		}
		stop := w.run()
		defer stop()
		w.endpoint("silent")
		w.endpoint("good")
		w.append("bad", domain.VideoCreated{}, domain.VideoPublished{})
		for n := range 30 {
			w.append(fmt.Sprint("v", n), domain.VideoCreated{}, domain.VideoPublished{})
		}
		synctest.Wait() // and no time has passed
		if n := len(w.got("good")); n != 60 {
			t.Errorf("%d of 60 events", n)
		}
		if len(w.late) > 0 {
			t.Error(w.late)
		}
	})
}

// Three days of failures end with the delivery, and let the video's next event go.
func TestADeliveryIsGivenUpAfterThreeDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tries, begin, last := 0, time.Now(), time.Time{}
		w.answer = func(_ context.Context, _ string, s sent) webhooks.Result {
			if s.Position == 2 {
				return webhooks.Result{}
			}
			tries, last = tries+1, time.Now()
			return refused(503)
		}
		stop := w.run()
		defer stop()
		e := w.endpoint("a")
		w.append("v", domain.VideoCreated{}, domain.VideoPublished{})
		w.append("w", domain.VideoCreated{})
		w.expect("a")
		time.Sleep(60 * time.Hour)
		w.expect("a")
		time.Sleep(30 * time.Hour)
		w.expect("a", 2)
		d, err := w.store.Delivery(t.Context(), e.ID, 1)
		if err != nil || d.Status != webhooks.Failed || d.Attempts < 20 || d.Attempts > 40 || d.Code != 503 || d.Error == "" {
			t.Errorf("%+v, %v", d, err)
		}
		if took := last.Sub(begin); took < 66*time.Hour || took > 72*time.Hour || tries < 40 {
			t.Errorf("%d tries in %s", tries, took)
		}
		// Somebody asks for it, and the receiver is well again.
		w.answer = nil
		if err := w.service.Redeliver(t.Context(), e.ID, d.ID()); err != nil {
			t.Fatal(err)
		}
		w.expect("a", 2, 1)
		if err := w.service.Redeliver(t.Context(), e.ID, e.ID+"-9"); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
	})
}

func TestGoneDisables(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(context.Context, string, sent) webhooks.Result { return refused(410) }
		stop := w.run()
		defer stop()
		e := w.endpoint("a")
		w.append("v", domain.VideoCreated{}, domain.VideoPublished{})
		synctest.Wait()
		e, err := w.service.Endpoint(t.Context(), e.ID)
		if err != nil || e.Enabled || e.Reason == "" {
			t.Errorf("%+v, %v", e, err)
		}
		w.answer = nil
		on := true
		e, err = w.service.Change(t.Context(), e.ID, webhooks.Change{Enabled: &on})
		if err != nil || e.Reason != "" {
			t.Errorf("%+v, %v", e, err)
		}
		w.expect("a", 2)
	})
}

func TestEverythingFromAPosition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.run()
		defer stop()
		e := w.endpoint("a")
		w.append("v", domain.VideoCreated{}, domain.VideoPublished{}, domain.VideoUnpublished{})
		w.expect("a", 1, 2, 3)
		if err := w.service.RedeliverFrom(t.Context(), e.ID, 2); err != nil {
			t.Fatal(err)
		}
		w.expect("a", 1, 2, 3, 2, 3)
		if got := w.got("a"); got[1].id != got[3].id {
			t.Errorf("the same event is %s and %s", got[1].id, got[3].id)
		}
		w.append("v", domain.VideoPublished{})
		w.expect("a", 1, 2, 3, 2, 3, 4)
		for _, bad := range []domain.Position{0, 6} {
			if err := w.service.RedeliverFrom(t.Context(), e.ID, bad); !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("from %d: %v", bad, err)
			}
		}
		from := domain.Position(3)
		if _, _, err := w.service.Create(t.Context(), webhooks.NewEndpoint{URL: "b", Enabled: true, From: &from}); err != nil {
			t.Fatal(err)
		}
		w.expect("b", 3, 4)
	})
}

// Whoever delivers is stopped again and again in the middle of its work, and receivers fail as they like: every event
// arrives, those of a video in order, and one that comes twice has the same id.
func TestRestartsAndFailuresLoseNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		random, ours := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
		w.answer = func(ctx context.Context, _ string, _ sent) webhooks.Result {
			w.mu.Lock()
			pause, fail := time.Duration(random.IntN(3000))*time.Millisecond, random.IntN(3) == 0
			w.mu.Unlock()
			select {
			case <-ctx.Done():
				return webhooks.Result{Err: ctx.Err()}
			case <-time.After(pause):
			}
			if fail {
				return refused(500)
			}
			return webhooks.Result{}
		}
		w.dormant("a")
		w.dormant("b")
		const rounds = 40
		for n := range rounds {
			stop := w.run()
			w.append(fmt.Sprint("v", n%7), domain.VideoCreated{}, domain.VideoPublished{})
			time.Sleep(time.Duration(ours.IntN(4000)) * time.Millisecond)
			stop()
		}
		w.append("last", domain.VideoCreated{})
		stop := w.run()
		time.Sleep(3 * time.Hour)
		stop()
		for _, url := range []string{"a", "b"} {
			seen, newest := map[domain.Position]string{}, map[string]domain.Position{}
			for _, s := range w.got(url) {
				if id, again := seen[s.Position]; again && id != s.id {
					t.Errorf("%d came as %s and as %s", s.Position, id, s.id)
				} else if !again && s.Position < newest[s.Stream] {
					t.Errorf("%s: %d of %s came after %d", url, s.Position, s.Stream, newest[s.Stream])
				}
				seen[s.Position], newest[s.Stream] = s.id, max(newest[s.Stream], s.Position)
			}
			if len(seen) != 2*rounds+1 {
				t.Errorf("%s was told of %d events of %d", url, len(seen), 2*rounds+1)
			}
		}
		if len(w.late) > 0 {
			t.Error(w.late)
		}
	})
}

// dormant is an endpoint while nobody delivers.
func (w *world) dormant(url string) {
	w.t.Helper()
	if _, _, err := w.service.Create(w.t.Context(), webhooks.NewEndpoint{URL: url, Enabled: true}); err != nil {
		w.t.Fatal(err)
	}
	<-w.changed
}

// once is a sender that keeps the last message.
type once struct {
	webhooks.Message

	url  string
	keys []string
	says webhooks.Result
}

func (o *once) Send(ctx context.Context, url string, keys []string, m webhooks.Message) webhooks.Result {
	o.Message, o.url, o.keys = m, url, keys
	if _, bounded := ctx.Deadline(); !bounded {
		return webhooks.Result{Err: errors.New("may take for ever")}
	}
	return o.says
}

func TestATestIsSentOnceAndKeptNowhere(t *testing.T) {
	t.Parallel()
	w, sender := newWorld(t), &once{says: webhooks.Result{Code: 503, Err: errors.New("answered 503")}}
	w.service.Sender, w.service.Changed = sender, nil
	e, secret, err := w.service.Create(t.Context(), webhooks.NewEndpoint{URL: "a", Types: []string{"video.deleted.v1"}}) // disabled
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.service.Test(t.Context(), e.ID)
	if err != nil || got.Result.Code != 503 || got.Result.Err == nil || got.ID != sender.ID {
		t.Errorf("%+v, %v", got, err)
	}
	var body struct{ SpecVersion, ID, Source, Type string }
	if err := json.Unmarshal(sender.Body, &body); err != nil || body.SpecVersion != "1.0" || body.ID != sender.ID ||
		body.Type != webhooks.TestType || body.Source == "" {
		t.Errorf("sent %s, %v", sender.Body, err)
	}
	if sender.url != "a" || len(sender.keys) != 1 || sender.keys[0] != secret || !strings.HasPrefix(sender.ID, e.ID+"-test-") {
		t.Errorf("sent %+v", sender)
	}
	first := sender.ID
	sender.says = webhooks.Result{Code: 204}
	if again, err := w.service.Test(t.Context(), e.ID); err != nil || again.Result.Err != nil || again.ID == first {
		t.Errorf("a receiver that has had one test takes no other: %+v, %v", again, err)
	}
	if kept, err := w.service.Deliveries(t.Context(), e.ID, "", 0, 10); err != nil || len(kept) > 0 {
		t.Errorf("%+v, %v", kept, err)
	}
	if _, err := w.service.Test(t.Context(), "x"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("of none: %v", err)
	}
}

// The machine's clock is set back by two days, once while whoever delivers is there and once while nobody is: nothing waits
// for two days.
func TestAClockThatIsSetBackDelaysNothingForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(context.Context, string, sent) webhooks.Result { return refused(500) }
		stop := w.run()
		w.endpoint("a")
		w.append("v", domain.VideoCreated{}, domain.VideoPublished{})
		w.expect("a")
		back := 2 * 24 * time.Hour
		w.now = func() time.Time { return time.Now().Round(0).Add(-back) } // without what makes differences right
		w.answer = nil
		time.Sleep(7 * time.Second) // the first pause is of 5 s
		w.expect("a", 1, 2)
		w.answer = func(context.Context, string, sent) webhooks.Result { return refused(500) }
		w.append("w", domain.VideoCreated{})
		synctest.Wait()
		stop()
		back *= 2
		w.answer = nil
		stop = w.run()
		defer stop()
		time.Sleep(5 * time.Hour) // more than any pause
		w.expect("a", 1, 2, 3)
	})
}
