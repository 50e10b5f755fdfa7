package web_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
	"github.com/cinelog/cinelog/webhooks"
)

// hooked is a site with a log of three events, and a store of webhooks that nobody works on.
func hooked(t *testing.T) (*followed, webhooks.Store) {
	t.Helper()
	store := memory.NewWebhooks()
	f := newFollowed(t, func(s *web.Server) {
		s.Webhooks = &webhooks.Service{
			Store: store, Log: s.Events, Now: time.Now,
			CheckURL: func(_ context.Context, url string) error {
				if !strings.HasPrefix(url, "https://hooks.example/") {
					return fmt.Errorf("%w: not there", domain.ErrInvalid)
				}
				return nil
			},
		}
	})
	for _, e := range []domain.Event{domain.VideoCreated{}, domain.VideoPublished{}, domain.VideoDeleted{}} {
		f.append(t, videoOne, e)
	}
	return f, store
}

func TestWebhooksFromCreateToDelete(t *testing.T) {
	t.Parallel()
	f, store := hooked(t)
	created := f.ask(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example/x","types":["video.p*"],"description":"d"}`, asJSON)
	created.wants(t, 201)
	id, secret := created.json["id"].(string), created.json["secret"].(string)
	if !strings.HasPrefix(secret, "whsec_") || created.json["enabled"] != true || created.json["url"] != "https://hooks.example/x" ||
		created.Header.Get("Location") != "/v1/webhooks/"+id || created.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v", created.text, created.Header)
	}
	if e, err := store.Endpoint(t.Context(), id); err != nil || e.Start.Position != 3 || e.Secrets[0].Key != secret {
		t.Errorf("stored as %+v, %v", e, err)
	}
	path := "/v1/webhooks/" + id
	list, one := f.ask(t, "GET", "/v1/webhooks", ""), f.ask(t, "GET", path, "")
	list.wants(t, 200)
	one.wants(t, 200)
	for _, a := range []answer{list, one} {
		if strings.Contains(a.text, secret) || strings.Contains(a.text, "whsec") || !strings.Contains(a.text, id) {
			t.Errorf("shown as %s", a.text)
		}
	}
	changed := f.ask(t, "PATCH", path, `{"types":[],"enabled":false}`, asJSON)
	changed.wants(t, 200)
	if changed.json["enabled"] != false || len(changed.json["types"].([]any)) != 0 || changed.json["description"] != "d" {
		t.Errorf("changed to %s", changed.text)
	}
	rotated := f.ask(t, "POST", path+"/secret", "")
	rotated.wants(t, 200)
	if newer := rotated.json["secret"].(string); newer == secret {
		t.Error("the same secret again")
	} else if e, err := store.Endpoint(t.Context(), id); err != nil ||
		fmt.Sprint(e.Keys(time.Now())) != fmt.Sprint([]string{newer, secret}) ||
		fmt.Sprint(e.Keys(time.Now().Add(25*time.Hour))) != fmt.Sprint([]string{newer}) {
		t.Errorf("after a rotation %v", err)
	}
	f.ask(t, "POST", path+"/redeliver", `{"from":2}`, asJSON).wants(t, 202)
	if e, err := store.Endpoint(t.Context(), id); err != nil || e.Start != (webhooks.Cursor{Round: 2, Position: 1}) {
		t.Errorf("sent back to %+v, %v", e.Start, err)
	}
	f.ask(t, "DELETE", path, "").wants(t, 204)
	for method, path := range map[string]string{"GET": path, "DELETE": path, "POST": path + "/secret", "HEAD": path + "/deliveries"} {
		f.ask(t, method, path, "").wants(t, 404)
	}
}

func TestDeliveriesAreListed(t *testing.T) {
	t.Parallel()
	f, store := hooked(t)
	created := f.ask(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example/x","from":1,"enabled":false}`, asJSON)
	created.wants(t, 201)
	id := created.json["id"].(string)
	var all []webhooks.Delivery
	for p := range domain.Position(5) {
		all = append(all, webhooks.Delivery{Endpoint: id, Position: p + 1, Video: videoOne, Type: "video.created.v1", Round: 1, Status: webhooks.Pending})
	}
	all[2].Status, all[2].Attempts, all[2].Code, all[2].Error = webhooks.Failed, 27, 500, "answered 500"
	all[2].Last = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := store.Advance(t.Context(), id, webhooks.Cursor{Round: 1, Position: 5}, all); err != nil {
		t.Fatal(err)
	}
	path, cursor := "/v1/webhooks/"+id+"/deliveries", ""
	var got []any
	for range 4 {
		a := f.ask(t, "GET", path+"?limit=2&cursor="+cursor, "")
		a.wants(t, 200)
		for _, item := range a.json["items"].([]any) {
			got = append(got, item.(map[string]any)["position"])
		}
		if cursor, _ = a.json["next_cursor"].(string); cursor == "" {
			break
		}
	}
	if fmt.Sprint(got) != "[5 4 3 2 1]" {
		t.Errorf("listed %v", got)
	}
	failed := f.ask(t, "GET", path+"?status=failed", "")
	failed.wants(t, 200)
	const want = `"position":3,"type":"video.created.v1","video":"` + videoOne + `","status":"failed","attempts":27,"status_code":500,` +
		`"error":"answered 500","last_attempt_at":"2026-01-02T03:04:05Z"}]`
	if !strings.Contains(failed.text, want) {
		t.Errorf("failed %s, want %s", failed.text, want)
	}
	delivery := failed.json["items"].([]any)[0].(map[string]any)["id"].(string)
	f.ask(t, "POST", "/v1/webhooks/"+id+"/redeliver", `{"delivery":"`+delivery+`"}`, asJSON).wants(t, 202)
	if d, err := store.Delivery(t.Context(), id, 3); err != nil || d.Status != webhooks.Pending || d.Attempts != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := store.Delivery(t.Context(), id, 9); !errors.Is(err, domain.ErrNotFound) {
		t.Error(err)
	}
	for path, want := range map[string]int{
		path + "?status=lost": 422, path + "?cursor=x": 422, path + "?limit=0": 422, path + "?limit=101": 422,
		"/v1/webhooks/x/deliveries": 404, "/v1/webhooks/" + strings.Repeat("x", 101): 422,
	} {
		f.ask(t, "GET", path, "").wants(t, want)
	}
	for body, want := range map[string]int{
		`{}`: 422, `{"from":0}`: 422, `{"from":5}`: 422, `{"from":4}`: 202, `{"from":1,"delivery":"` + delivery + `"}`: 422, `{"delivery":"x"}`: 404,
		`{"delivery":"` + id + `-9"}`: 404, `{"delivery":"other-3"}`: 404,
	} {
		f.ask(t, "POST", "/v1/webhooks/"+id+"/redeliver", body, asJSON).wants(t, want)
	}
}

func TestWebhooksThatAreRefused(t *testing.T) {
	t.Parallel()
	f, _ := hooked(t)
	for _, body := range []string{
		`{}`, `{"url":""}`, `{"url":"https://10.0.0.1/"}`, `{"url":"https://hooks.example/` + strings.Repeat("x", 2048) + `"}`,
		`{"url":"https://hooks.example/","types":["video.none.v1"]}`,
		`{"url":"https://hooks.example/","description":"` + strings.Repeat("x", 501) + `"}`, `{"url":"https://hooks.example/","secret":"mine"}`,
		`{"url":"https://hooks.example/","from":0}`, `{"url":"https://hooks.example/","from":5}`, `{"url":"https://hooks.example/","from":"then"}`,
		`{"url":"https://hooks.example/","from":1.5}`,
	} {
		f.ask(t, "POST", "/v1/webhooks", body, asJSON).wants(t, 422)
	}
	for _, from := range []string{`"now"`, "4", "1"} {
		f.ask(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example/","from":`+from+`}`, asJSON).wants(t, 201)
	}
	id := f.ask(t, "GET", "/v1/webhooks", "").json["items"].([]any)[0].(map[string]any)["id"].(string)
	for _, body := range []string{`{"url":"http://localhost/"}`, `{"types":["x"]}`, `{"id":"x"}`} {
		f.ask(t, "PATCH", "/v1/webhooks/"+id, body, asJSON).wants(t, 422)
	}
	for n := 3; n < webhooks.MaxEndpoints; n++ {
		f.ask(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example/"}`, asJSON).wants(t, 201)
	}
	f.ask(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example/"}`, asJSON).wants(t, 409)
}
