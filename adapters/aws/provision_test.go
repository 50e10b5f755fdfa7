package aws_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/backends"
)

// everything is a topic with two groups, and work.
func everything() []aws.Topic {
	return []aws.Topic{
		{Name: "events", Groups: []aws.Group{{Name: "all"}, {Name: "some", Types: []string{"b.v1", "a.v1"}}}},
		{Name: "tasks", Work: true, Groups: []aws.Group{{Name: "workers"}}},
	}
}

// arnOf names something in the account that the tests use.
func arnOf(tb testing.TB, service, name string) string {
	tb.Helper()
	c := account(tb, backends.AWS(tb))
	who, err := sts.NewFromConfig(c).GetCallerIdentity(tb.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Join([]string{"arn", "aws", service, c.Region, *who.Account, name}, ":")
}

func connect(tb testing.TB, o aws.Options) *aws.Bus {
	tb.Helper()
	o.Config = account(tb, backends.AWS(tb))
	b, err := aws.Connect(tb.Context(), fast(o))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func plan(tb testing.TB, b *aws.Bus) []string {
	tb.Helper()
	actions, err := b.Plan(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	var what []string
	for _, a := range actions {
		what = append(what, a.What)
	}
	return what
}

func TestProvisioningMakesWhatIsMissingOnce(t *testing.T) {
	t.Parallel()
	name := prefix()
	b := connect(t, aws.Options{Prefix: name, Topics: everything()})
	arn := arnOf(t, "sqs", name)
	want := []string{
		"create topic " + name + "-events",
		"create queue " + name + "-events-all-dead",
		"create queue " + name + "-events-all",
		"subscribe queue " + arn + "-events-all to topic " + strings.Replace(arn, "sqs", "sns", 1) + "-events",
		"create queue " + name + "-events-some-dead",
		"create queue " + name + "-events-some",
		"subscribe queue " + arn + "-events-some to topic " + strings.Replace(arn, "sqs", "sns", 1) + "-events",
		"create queue " + name + "-tasks-workers-dead",
		"create queue " + name + "-tasks-workers-first",
		"create queue " + name + "-tasks-workers",
	}
	for range 2 { // looking changes nothing
		if got := plan(t, b); !slices.Equal(got, want) {
			t.Errorf("to do: %q", got)
		}
	}
	if done, err := b.Provision(t.Context()); err != nil || len(done) != len(want) {
		t.Errorf("did %v, %v", done, err)
	}
	if done, err := b.Provision(t.Context()); err != nil || len(done) != 0 {
		t.Errorf("did again %v, %v", done, err)
	}
	open(t, aws.Options{Prefix: name, Topics: everything(), DoNotCreate: true})
}

// A start without the right to create fails at once where something is missing, and says what.
func TestAStartSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	topics := func(tb testing.TB) *sns.Client { tb.Helper(); return sns.NewFromConfig(account(tb, backends.AWS(tb))) }
	queues := func(tb testing.TB) *sqs.Client { tb.Helper(); return sqs.NewFromConfig(account(tb, backends.AWS(tb))) }
	queueURL := func(tb testing.TB, name string) *string {
		tb.Helper()
		out, err := queues(tb).GetQueueUrl(tb.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
		if err != nil {
			tb.Fatal(err)
		}
		return out.QueueUrl
	}
	arn := func(name string) *string {
		return awssdk.String(arnOf(t, "sns", name+"-events"))
	}
	subscription := func(tb testing.TB, name string) *string {
		tb.Helper()
		out, err := topics(tb).ListSubscriptionsByTopic(tb.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: arn(name)})
		if err != nil {
			tb.Fatal(err)
		}
		for _, s := range out.Subscriptions {
			if strings.HasSuffix(*s.Endpoint, "-some") {
				return s.SubscriptionArn
			}
		}
		tb.Fatal("no subscription")
		return nil
	}
	for lost, c := range map[string]struct {
		lose func(tb testing.TB, name string) error
		says string // "" where it is no reason not to start
	}{
		"nothing": {lose: func(testing.TB, string) error { return nil }},
		"topic": {says: "create topic", lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := topics(tb).DeleteTopic(tb.Context(), &sns.DeleteTopicInput{TopicArn: arn(name)})
			return err
		}},
		"queue": {says: "create queue", lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := queues(tb).DeleteQueue(tb.Context(), &sqs.DeleteQueueInput{QueueUrl: queueURL(tb, name+"-events-some")})
			return err
		}},
		"dead letters": {says: "create queue", lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := queues(tb).DeleteQueue(tb.Context(), &sqs.DeleteQueueInput{QueueUrl: queueURL(tb, name+"-tasks-workers-dead")})
			return err
		}},
		"subscription": {says: "subscribe queue", lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := topics(tb).Unsubscribe(tb.Context(), &sns.UnsubscribeInput{SubscriptionArn: subscription(tb, name)})
			return err
		}},
		"raw delivery": {says: "set RawMessageDelivery", lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := topics(tb).SetSubscriptionAttributes(tb.Context(), &sns.SetSubscriptionAttributesInput{
				SubscriptionArn: subscription(tb, name), AttributeName: awssdk.String("RawMessageDelivery"), AttributeValue: awssdk.String("false"),
			})
			return err
		}},
		"filter": {says: "set FilterPolicy", lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := topics(tb).SetSubscriptionAttributes(tb.Context(), &sns.SetSubscriptionAttributesInput{
				SubscriptionArn: subscription(tb, name), AttributeName: awssdk.String("FilterPolicy"), AttributeValue: awssdk.String(`{"type":["b.v1"]}`),
			})
			return err
		}},
		"access": {says: "set Policy", lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := queues(tb).SetQueueAttributes(tb.Context(), &sqs.SetQueueAttributesInput{
				QueueUrl: queueURL(tb, name+"-events-some"), Attributes: map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[]}`},
			})
			return err
		}},
		"redrive": {says: "set RedrivePolicy", lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := queues(tb).SetQueueAttributes(tb.Context(), &sqs.SetQueueAttributesInput{
				QueueUrl: queueURL(tb, name+"-tasks-workers"), Attributes: map[string]string{"RedrivePolicy": ""},
			})
			return err
		}},
		"a setting": {lose: func(tb testing.TB, name string) error {
			tb.Helper()
			_, err := queues(tb).SetQueueAttributes(tb.Context(), &sqs.SetQueueAttributesInput{
				QueueUrl: queueURL(tb, name+"-tasks-workers"), Attributes: map[string]string{"MessageRetentionPeriod": "60"},
			})
			return err
		}},
	} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			o := fast(aws.Options{Config: account(t, backends.AWS(t)), Prefix: prefix(), Topics: everything()})
			open(t, o)
			if err := c.lose(t, o.Prefix); err != nil {
				t.Fatal(err)
			}
			o.DoNotCreate = true
			_, err := aws.Open(t.Context(), o)
			switch {
			case c.says == "" && err != nil:
				t.Errorf("start: %v", err)
			case c.says != "" && (!errors.Is(err, domain.ErrNotFound) || !strings.Contains(err.Error(), c.says) ||
				!strings.Contains(err.Error(), "cinelog provision")):
				t.Errorf("start: %v", err)
			}
			b := connect(t, o)
			if done, err := b.Provision(t.Context()); err != nil || (len(done) == 0) != (lost == "nothing") {
				t.Errorf("mended %v, %v", done, err)
			}
			open(t, o)
		})
	}
}

func TestAGroupGetsTheTypesThatItWants(t *testing.T) {
	t.Parallel()
	b := open(t, aws.Options{Topics: everything()})
	for _, kind := range []string{"a.v1", "unwanted.v1", "", "b.v1"} {
		m := text(kind)
		m.Metadata.Set(messaging.MetaType, kind)
		publish(t, b, "events", m)
	}
	all, some := subscribe(t, b, "all", "events"), subscribe(t, b, "some", "events")
	var got []string
	for range 2 {
		m := wait(t, some)
		m.Ack()
		got = append(got, string(m.Payload))
	}
	if slices.Sort(got); !slices.Equal(got, []string{"a.v1", "b.v1"}) {
		t.Errorf("got %q", got)
	}
	for range 4 {
		wait(t, all).Ack()
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	backlogs, err := b.Backlogs(t.Context())
	for _, l := range backlogs {
		if l.Ready+l.InWork+l.Dead > 0 {
			t.Errorf("not all is done: %+v", l)
		}
	}
	if err != nil || len(backlogs) != 3 {
		t.Errorf("backlogs %+v, %v", backlogs, err)
	}
}

// What cannot work is refused before anything is asked.
func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*aws.Options){
		"AWS_REGION":       func(o *aws.Options) { o.Config.Region = "" },
		"lease 1.5s":       func(o *aws.Options) { o.Lease = 1500 * time.Millisecond },
		"lease 13h":        func(o *aws.Options) { o.Lease = 13 * time.Hour },
		"wait 21s":         func(o *aws.Options) { o.Wait = 21 * time.Second },
		"1001 tries":       func(o *aws.Options) { o.MaxReceive = 1001 },
		"2 groups":         func(o *aws.Options) { o.Topics = []aws.Topic{{Name: "t", Work: true, Groups: make([]aws.Group, 2)}} },
		`the name "a b-t"`: func(o *aws.Options) { o.Prefix, o.Topics = "a b", topic("t", "g") },
		"group g-dead":     func(o *aws.Options) { o.Topics = topic("t", "g-dead") },
		"up to 80":         func(o *aws.Options) { o.Topics = topic("t", strings.Repeat("g", 80)) },
	} {
		o := fast(aws.Options{Config: account(t, backends.AWS(t)), Prefix: prefix()})
		change(&o)
		if _, err := aws.Open(t.Context(), o); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// answering is an AWS that has one answer.
func answering(tb testing.TB, status int, code string) awssdk.Config {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Type>Sender</Type><Code>` + code + `</Code><Message>no</Message></Error></ErrorResponse>`))
	}))
	tb.Cleanup(s.Close)
	c := account(tb, s.URL)
	c.RetryMaxAttempts = 1
	return c
}

func TestErrorsSayHowToMendThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		code   string
		says   string
		passes bool // trying again may help
	}{
		{403, "InvalidClientTokenId", "AWS_ACCESS_KEY_ID", false},
		{403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY", false},
		{403, "ExpiredToken", "have expired", true},
		{403, "AccessDenied", "--print-iam", false},
		{400, "Throttling", "", true},
		{503, "ServiceUnavailable", "", true},
		{400, "Odd", "Odd", false},
	} {
		_, err := aws.Open(t.Context(), fast(aws.Options{Config: answering(t, c.status, c.code)}))
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, domain.ErrUnavailable) != c.passes {
			t.Errorf("%s: %v", c.code, err)
		}
	}
}
