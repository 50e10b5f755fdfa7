package aws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/test/backends"
)

func TestPoliciesAllowWhatARoleNeeds(t *testing.T) {
	t.Parallel()
	b := connect(t, aws.Options{Prefix: "p", Topics: everything()})
	events, q := arnOf(t, "sns", "p-events"), arnOf(t, "sqs", "p-")
	for name, c := range map[string]struct {
		rights aws.Rights
		want   map[string][]string // resources by action, beside what everybody may look at
	}{
		"relay": {aws.Rights{Publish: []string{"events"}}, map[string][]string{"sns:Publish": {events}}},
		"policy": {
			aws.Rights{Publish: []string{"tasks"}, Consume: []aws.GroupName{{Topic: "events", Group: "some"}}},
			map[string][]string{
				"sqs:SendMessage":             {q + "events-some-dead", q + "tasks-workers", q + "tasks-workers-first"},
				"sqs:ReceiveMessage":          {q + "events-some", q + "events-some-dead"},
				"sqs:DeleteMessage":           {q + "events-some", q + "events-some-dead"},
				"sqs:ChangeMessageVisibility": {q + "events-some", q + "events-some-dead"},
			},
		},
		"nothing": {aws.Rights{}, nil},
	} {
		got := map[string][]string{}
		policy := b.Policy(c.rights)
		for _, s := range policy.Statement {
			if strings.HasPrefix(s.Sid, "Look") {
				continue
			}
			for _, a := range s.Action {
				got[a] = slices.Sorted(slices.Values(append(got[a], s.Resource...)))
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", name, got)
		}
		for action, resources := range c.want {
			if !slices.Equal(got[action], resources) {
				t.Errorf("%s: %s on %q", name, action, got[action])
			}
		}
		if _, err := json.Marshal(policy); err != nil || policy.Version != "2012-10-17" {
			t.Errorf("%s: %v, version %s", name, err, policy.Version)
		}
	}
}

// recorded notes the actions that a process asks for, by their names in IAM.
type recorded struct {
	mu    sync.Mutex
	asked map[string]bool
	tell  chan string // hears of the answers, if set
}

func (r *recorded) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	action := "sns:" + form.Get("Action")
	if target, ok := strings.CutPrefix(request.Header.Get("X-Amz-Target"), "AmazonSQS."); ok {
		action = "sqs:" + target
	} else if form.Get("Action") == "GetCallerIdentity" {
		action = "sts:GetCallerIdentity"
	}
	r.mu.Lock()
	action = strings.TrimSuffix(action, "Batch")
	r.asked[action] = true
	r.mu.Unlock()
	response, err := connections.RoundTrip(request)
	select {
	case r.tell <- action:
	default:
	}
	return response, err
}

func TestADoNotCreateProcessAsksForNoMoreThanItsPolicy(t *testing.T) {
	t.Parallel()
	o := fast(aws.Options{Config: account(t, backends.AWS(t)), Prefix: prefix(), Topics: everything()})
	open(t, o)
	o.DoNotCreate = true
	actions := &recorded{asked: map[string]bool{}}
	o.Config.HTTPClient = &http.Client{Transport: actions}
	b := open(t, o)
	publish(t, b, "tasks", text("a"), text("b"))
	publish(t, b, "tasks", text("c"))
	msgs := subscribe(t, b, "workers", "tasks")
	for range 3 {
		m := wait(t, msgs)
		m.Metadata.Set("failure_permanent", "true")
		m.Nack()
	}
	letters(t, b, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.WatchDeadLetters(ctx, "tasks", "workers", nil); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	allowed := map[string]bool{"sts:GetCallerIdentity": true} // needs no right
	for _, s := range b.Policy(aws.Rights{
		Publish: []string{"tasks"}, Consume: []aws.GroupName{{Topic: "tasks", Group: "workers"}}, DeadLetters: true,
	}).Statement {
		for _, a := range s.Action {
			allowed[a] = true
		}
	}
	for a := range actions.asked {
		if !allowed[a] {
			t.Errorf("%s is not in the policy", a)
		}
	}
	if len(actions.asked) < 8 {
		t.Errorf("asked for %v", actions.asked)
	}
}
