// Package aws carries messages between machines: watermill-aws's Publisher and Subscriber on Amazon SNS and SQS, with
// what they lack (leases that last as long as a handler works, delayed retries, dead letters that say why, batches, a
// close that gives messages back), and the provisioning of all that they need. What does not depend on the transport is
// in adapters/messaging. It may import that and domain; no other adapter.
//
// A topic is an SNS topic with one SQS queue for each consumer group; a topic of work has no SNS topic but two queues
// of one group, by priority. Every group has a queue of dead letters.
package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// Options are what Open may be told. Config and Now are needed.
type Options struct {
	Config awssdk.Config // region, credentials, endpoint; see config.LoadDefaultConfig
	Log    *slog.Logger
	Now    func() time.Time
	// Prefix begins the names of all topics and queues, so that installations can share an account; "cinelog" by default.
	Prefix string
	// Topics are those that this process uses, with the groups that it needs to be there. Open makes or checks them.
	Topics []Topic
	// DoNotCreate makes Open fail where something is missing, instead of making it. A process that runs with it needs no
	// right to create anything.
	DoNotCreate bool
	// Account is the number of the AWS account. By default AWS is asked for it, which checks the credentials too.
	Account string

	// Lease is how long a message stays with a handler that gives no sign of life. It is extended by itself while the
	// handler works, for 12 hours at most (the limit of SQS). Whole seconds; 30 s by default.
	Lease time.Duration
	// MaxReceive is how often a message is handed out before it is a dead letter. 10 by default. SQS counts each time
	// that it was handed out, also where it was given back unhandled.
	MaxReceive int
	// Backoff is how long a message that was received n times and failed waits for the next try, rounded up to seconds.
	Backoff func(n int) time.Duration
	// Grace is how long a subscription that ends waits for the handlers that are at work. 5 s by default.
	Grace time.Duration
	// Wait is how long one request waits for messages. Whole seconds; 20 s by default, which is the most that SQS does.
	Wait time.Duration
	// Prefetch is how many messages of a topic are held ready beside those that handlers have. 20 by default, none when
	// negative. Work is never held ready: another process could be free for it.
	Prefetch int
}

// Topic is a topic with the groups that get its messages.
type Topic struct {
	Name string
	// Work makes it a topic for competing workers: one group, and what has a priority above 0 is handed out first.
	Work   bool
	Groups []Group
}

// Group is a consumer group: every group gets each message of the topic once.
type Group struct {
	Name string
	// Types are the values of messaging.MetaType that the group wants; all messages where it is empty. SNS does the filtering, so
	// the others cost nothing.
	Types []string
}

// Bus is one process's connection to SNS and SQS.
type Bus struct {
	opts    Options
	log     *slog.Logger
	sns     *sns.Client
	sqs     *sqs.Client
	account arn.ARN // of this account: its Resource is empty

	mu      sync.Mutex
	topics  map[string]Topic // by name; Options.Topics and those that came later
	groups  map[string]*group
	intakes map[*intake]struct{}
	closed  bool
	running sync.WaitGroup
}

// group is a consumer group whose queues are known to exist.
type group struct {
	topic, name string
	work        bool
	queues      []queue // by falling priority
	dead        queue
	died        messaging.Bell // rung when a message may have become a dead letter
}

// queue is an SQS queue.
type queue struct{ name, url string }

// Open connects, and makes the topics and queues of o.Topics or, with DoNotCreate, checks that they are there.
func Open(ctx context.Context, o Options) (*Bus, error) {
	b, err := Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.DoNotCreate {
		err = b.Verify(ctx)
	} else {
		_, err = b.Provision(ctx)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Connect checks the credentials and changes nothing. It is for looking at what there is and for provisioning.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	o.Prefix = cmp.Or(o.Prefix, "cinelog")
	o.Lease = cmp.Or(o.Lease, messaging.DefaultLease)
	o.MaxReceive = cmp.Or(o.MaxReceive, messaging.DefaultMaxReceive)
	o.Grace = cmp.Or(o.Grace, messaging.DefaultGrace)
	o.Wait = cmp.Or(o.Wait, 20*time.Second)
	o.Prefetch = max(0, cmp.Or(o.Prefetch, 20))
	if o.Backoff == nil {
		o.Backoff = messaging.Backoff
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Config.Credentials != nil {
		if _, err := o.Config.Credentials.Retrieve(ctx); err != nil {
			return nil, fmt.Errorf("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give "+
				"this machine a role: %w", err)
		}
	}
	o.Config.HTTPClient = newHTTPClient(o.Config.HTTPClient)
	b := &Bus{
		opts: o, log: o.Log, sns: sns.NewFromConfig(o.Config), sqs: sqs.NewFromConfig(o.Config),
		topics: map[string]Topic{}, groups: map[string]*group{}, intakes: map[*intake]struct{}{},
	}
	for _, t := range o.Topics {
		b.topics[t.Name] = t
	}
	b.account = arn.ARN{Partition: "aws", Region: o.Config.Region, AccountID: o.Account}
	if o.Account == "" {
		who, err := sts.NewFromConfig(o.Config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return nil, fmt.Errorf("ask AWS who we are: %w", explain(err))
		}
		me, err := arn.Parse(awssdk.ToString(who.Arn))
		if err != nil {
			return nil, fmt.Errorf("ask AWS who we are: %w", err)
		}
		b.account.Partition, b.account.AccountID = me.Partition, awssdk.ToString(who.Account)
	}
	return b, nil
}

func (o Options) check() error {
	if o.Config.Region == "" {
		return fmt.Errorf("%w: no AWS region: set AWS_REGION", domain.ErrInvalid)
	}
	if o.Lease < time.Second || o.Lease > 12*time.Hour || o.Lease%time.Second != 0 {
		return fmt.Errorf("%w: lease %s: SQS takes whole seconds, up to 12 hours", domain.ErrInvalid, o.Lease)
	}
	if o.Wait < time.Second || o.Wait > 20*time.Second || o.Wait%time.Second != 0 {
		return fmt.Errorf("%w: wait %s: SQS takes 1 to 20 s", domain.ErrInvalid, o.Wait)
	}
	if o.MaxReceive < 1 || o.MaxReceive > 1000 {
		return fmt.Errorf("%w: %d tries: SQS takes 1 to 1000", domain.ErrInvalid, o.MaxReceive)
	}
	for _, t := range o.Topics {
		if t.Work && len(t.Groups) != 1 {
			return fmt.Errorf("%w: topic %s of work has %d groups instead of one", domain.ErrInvalid, t.Name, len(t.Groups))
		}
	}
	return nil
}

// Close ends all subscriptions and waits for them. It may be called twice.
func (b *Bus) Close() error {
	b.mu.Lock()
	b.closed = true
	for in := range b.intakes {
		in.stop()
	}
	b.mu.Unlock()
	b.running.Wait()
	return nil
}

var errClosed = errors.New("closed")

// DeclareGroup makes a topic keep its messages for a consumer group from now on, also while nobody consumes them. With
// DoNotCreate it only checks that this is so.
func (b *Bus) DeclareGroup(ctx context.Context, topic, group string) error {
	_, err := b.group(ctx, topic, group)
	return err
}

// group finds a group's queues and, where that is allowed, makes them.
func (b *Bus) group(ctx context.Context, topic, name string) (*group, error) {
	key := topic + "/" + name
	b.mu.Lock()
	g, t := b.groups[key], b.topics[topic]
	b.mu.Unlock()
	if g != nil {
		return g, nil
	}
	t.Name = topic
	known := false
	for _, have := range t.Groups {
		known = known || have.Name == name
	}
	if !known {
		if b.opts.DoNotCreate || t.Work {
			return nil, fmt.Errorf("%w: topic %s has no group %s: name it in Options.Topics", domain.ErrNotFound, topic, name)
		}
		t.Groups = append(slices.Clip(t.Groups), Group{Name: name})
		if _, err := b.provision(ctx, []Topic{{Name: topic, Groups: []Group{{Name: name}}}}); err != nil {
			return nil, fmt.Errorf("declare group %s of topic %s: %w", name, topic, err)
		}
	}
	g = &group{topic: topic, name: name, work: t.Work, died: messaging.NewBell()}
	for _, q := range b.queueNames(t, name) {
		url, err := b.queueURL(ctx, q)
		if err != nil {
			return nil, err
		}
		g.queues = append(g.queues, queue{q, url})
	}
	url, err := b.queueURL(ctx, b.deadName(topic, name))
	if err != nil {
		return nil, err
	}
	g.dead = queue{b.deadName(topic, name), url}
	b.mu.Lock()
	defer b.mu.Unlock()
	if first := b.groups[key]; first != nil {
		return first, nil // somebody was faster, and may be waiting at its bell
	}
	b.topics[topic], b.groups[key] = t, g
	return g, nil
}

func (b *Bus) queueURL(ctx context.Context, name string) (string, error) {
	out, err := b.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if missing(err) {
		return "", fmt.Errorf("%w: SQS queue %s in region %s: %s", domain.ErrNotFound, name, b.account.Region, howToProvision)
	}
	if err != nil {
		return "", fmt.Errorf("find queue %s: %w", name, explain(err))
	}
	return awssdk.ToString(out.QueueUrl), nil
}

const howToProvision = "run `cinelog provision` to make it"

func (b *Bus) topicARN(topic string) string {
	a := b.account
	a.Service, a.Resource = "sns", b.opts.Prefix+"-"+topic
	return a.String()
}

func (b *Bus) queueARN(name string) string {
	a := b.account
	a.Service, a.Resource = "sqs", name
	return a.String()
}

// queueNames returns the names of a group's queues by falling priority.
func (b *Bus) queueNames(t Topic, group string) []string {
	name := strings.Join([]string{b.opts.Prefix, t.Name, group}, "-")
	if t.Work {
		return []string{name + "-first", name}
	}
	return []string{name}
}

func (b *Bus) deadName(topic, group string) string {
	return strings.Join([]string{b.opts.Prefix, topic, group, "dead"}, "-")
}
