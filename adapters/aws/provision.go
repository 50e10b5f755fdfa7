package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// Action is one change that brings AWS to what Options.Topics ask for.
type Action struct {
	What string // "create queue cinelog-events-projector"
	// Missing says that without it messages would be lost or come wrong; else it is a setting that differs.
	Missing bool

	do func(ctx context.Context) error
}

// Plan returns what Provision would do now, in that order, and changes nothing.
func (b *Bus) Plan(ctx context.Context) ([]Action, error) { return b.plan(ctx, b.opts.Topics) }

// Provision makes what is missing and sets what differs, and returns what it did. Doing it again does nothing.
func (b *Bus) Provision(ctx context.Context) ([]Action, error) {
	return b.provision(ctx, b.opts.Topics)
}

// Verify fails with the list of what is missing. Settings that differ are only logged.
func (b *Bus) Verify(ctx context.Context) error {
	actions, err := b.Plan(ctx)
	if err != nil {
		return err
	}
	var lacks []string
	for _, a := range actions {
		if a.Missing {
			lacks = append(lacks, a.What)
		} else {
			b.log.WarnContext(ctx, "AWS is not set up as this program would do it", "to_do", a.What)
		}
	}
	if len(lacks) > 0 {
		return fmt.Errorf("%w: AWS account %s, region %s lacks what `cinelog provision` would do: %s",
			domain.ErrNotFound, b.account.AccountID, b.account.Region, strings.Join(lacks, "; "))
	}
	return nil
}

func (b *Bus) provision(ctx context.Context, topics []Topic) ([]Action, error) {
	actions, err := b.plan(ctx, topics)
	if err != nil {
		return nil, err
	}
	for i, a := range actions {
		if err := a.do(ctx); err != nil {
			return actions[:i], fmt.Errorf("%s: %w", a.What, explain(err))
		}
		b.log.InfoContext(ctx, "provisioned", "action", a.What)
	}
	return actions, nil
}

func (b *Bus) plan(ctx context.Context, topics []Topic) ([]Action, error) {
	var actions []Action
	for _, t := range topics {
		if !t.Work {
			a, err := b.planTopic(ctx, t)
			if err != nil {
				return nil, err
			}
			actions = append(actions, a...)
		}
		for _, g := range t.Groups {
			a, err := b.planGroup(ctx, t, g)
			if err != nil {
				return nil, err
			}
			actions = append(actions, a...)
		}
	}
	return actions, nil
}

func (b *Bus) planTopic(ctx context.Context, t Topic) ([]Action, error) {
	arn := b.topicARN(t.Name)
	name := b.opts.Prefix + "-" + t.Name
	if err := checkName(name, maxName); err != nil {
		return nil, err
	}
	_, err := b.sns.GetTopicAttributes(ctx, &snsapi.GetTopicAttributesInput{TopicArn: &arn})
	if err == nil {
		return nil, nil
	}
	if !missing(err) {
		return nil, fmt.Errorf("look at topic %s: %w", name, explain(err))
	}
	return []Action{{What: "create topic " + name, Missing: true, do: func(ctx context.Context) error {
		_, err := b.sns.CreateTopic(ctx, &snsapi.CreateTopicInput{Name: &name})
		return err
	}}}, nil
}

// retention is the longest that SQS keeps a message.
const retention = 14 * 24 * time.Hour

func (b *Bus) planGroup(ctx context.Context, t Topic, g Group) ([]Action, error) {
	if strings.HasSuffix(g.Name, "-first") || strings.HasSuffix(g.Name, "-dead") {
		return nil, fmt.Errorf("%w: group %s: -first and -dead end the names of queues", domain.ErrInvalid, g.Name)
	}
	dead := b.deadName(t.Name, g.Name)
	actions, err := b.planQueue(ctx, dead, nil)
	if err != nil {
		return nil, err
	}
	redrive := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, b.queueARN(dead), b.opts.MaxReceive)
	for _, name := range b.queueNames(t, g.Name) {
		want := map[string]string{
			// No waiting is what a request without a word about it gets: the SDK leaves a zero out.
			"VisibilityTimeout": seconds(b.opts.Lease), "ReceiveMessageWaitTimeSeconds": "0",
			"RedrivePolicy": redrive,
		}
		if !t.Work {
			want["Policy"] = b.accessPolicy(t.Name, name)
		}
		a, err := b.planQueue(ctx, name, want)
		if err != nil {
			return nil, err
		}
		actions = append(actions, a...)
	}
	if t.Work {
		return actions, nil
	}
	a, err := b.planSubscription(ctx, t, g)
	return append(actions, a...), err
}

// planQueue compares a queue with the attributes wanted; every queue keeps its messages as long as SQS can.
func (b *Bus) planQueue(ctx context.Context, name string, want map[string]string) ([]Action, error) {
	if err := checkName(name, maxQueueName); err != nil {
		return nil, err
	}
	all := map[string]string{"MessageRetentionPeriod": seconds(retention)}
	maps.Copy(all, want)
	have, url, err := b.queueAttributes(ctx, name)
	if err != nil {
		return nil, err
	}
	if have == nil {
		return []Action{{What: "create queue " + name, Missing: true, do: func(ctx context.Context) error {
			_, err := b.sqs.CreateQueue(ctx, &sqsapi.CreateQueueInput{QueueName: &name, Attributes: all})
			return err
		}}}, nil
	}
	var actions []Action
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if sameSetting(have[k], all[k]) {
			continue
		}
		actions = append(actions, Action{
			What:    fmt.Sprintf("set %s of queue %s to %s", k, name, all[k]),
			Missing: k == "Policy" || k == "RedrivePolicy" && have[k] == "",
			do: func(ctx context.Context) error {
				_, err := b.sqs.SetQueueAttributes(ctx, &sqsapi.SetQueueAttributesInput{
					QueueUrl: &url, Attributes: map[string]string{k: all[k]},
				})
				return err
			},
		})
	}
	return actions, nil
}

// queueAttributes returns nil for a queue that does not exist.
func (b *Bus) queueAttributes(ctx context.Context, name string) (have map[string]string, url string, err error) {
	found, err := b.sqs.GetQueueUrl(ctx, &sqsapi.GetQueueUrlInput{QueueName: &name})
	if missing(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("look at queue %s: %w", name, explain(err))
	}
	url = awssdk.ToString(found.QueueUrl)
	out, err := b.sqs.GetQueueAttributes(ctx, &sqsapi.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	if missing(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("look at queue %s: %w", name, explain(err))
	}
	return out.Attributes, url, nil
}

func (b *Bus) planSubscription(ctx context.Context, t Topic, g Group) ([]Action, error) {
	topic, queue := b.topicARN(t.Name), b.queueARN(b.queueNames(t, g.Name)[0])
	want := map[string]string{"RawMessageDelivery": "true"}
	if len(g.Types) > 0 {
		types := slices.Sorted(slices.Values(g.Types))
		filter, err := json.Marshal(map[string][]string{messaging.MetaType: types})
		if err != nil {
			return nil, err
		}
		want["FilterPolicy"] = string(filter)
	}
	subscription, err := b.subscription(ctx, topic, queue)
	if err != nil {
		return nil, fmt.Errorf("look at the subscriptions of topic %s: %w", t.Name, explain(err))
	}
	if subscription == "" {
		return []Action{{
			What: fmt.Sprintf("subscribe queue %s to topic %s", queue, topic), Missing: true,
			do: func(ctx context.Context) error {
				_, err := b.sns.Subscribe(ctx, &snsapi.SubscribeInput{
					TopicArn: &topic, Protocol: awssdk.String("sqs"), Endpoint: &queue, Attributes: want,
				})
				return err
			},
		}}, nil
	}
	have, err := b.sns.GetSubscriptionAttributes(ctx, &snsapi.GetSubscriptionAttributesInput{SubscriptionArn: &subscription})
	if err != nil {
		return nil, fmt.Errorf("look at subscription %s: %w", subscription, explain(err))
	}
	var actions []Action
	for _, k := range []string{"RawMessageDelivery", "FilterPolicy"} {
		if sameSetting(have.Attributes[k], want[k]) {
			continue
		}
		actions = append(actions, Action{
			What: fmt.Sprintf("set %s of subscription %s to %q", k, subscription, want[k]), Missing: true,
			do: func(ctx context.Context) error {
				_, err := b.sns.SetSubscriptionAttributes(ctx, &snsapi.SetSubscriptionAttributesInput{
					SubscriptionArn: &subscription, AttributeName: &k, AttributeValue: awssdk.String(want[k]),
				})
				return err
			},
		})
	}
	return actions, nil
}

// subscription returns the ARN of a queue's subscription, "" when it has none.
func (b *Bus) subscription(ctx context.Context, topic, queue string) (string, error) {
	pages := snsapi.NewListSubscriptionsByTopicPaginator(b.sns, &snsapi.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if missing(err) {
			return "", nil // no topic yet
		}
		if err != nil {
			return "", err
		}
		for _, s := range page.Subscriptions {
			if awssdk.ToString(s.Protocol) == "sqs" && awssdk.ToString(s.Endpoint) == queue {
				return awssdk.ToString(s.SubscriptionArn), nil
			}
		}
	}
	return "", nil
}

// accessPolicy lets the topic, and nobody else, send into the queue; the account's own rights come from IAM.
func (b *Bus) accessPolicy(topic, queue string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},`+
		`"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`,
		b.queueARN(queue), b.topicARN(topic))
}

// maxQueueName is how long the name of a queue may be (CreateQueue).
const maxQueueName = 80

func checkName(name string, longest int) error {
	if len(name) > longest || !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(name) {
		return fmt.Errorf("%w: the name %q: AWS takes up to %d letters, digits, _ and -", domain.ErrInvalid, name, longest)
	}
	return nil
}

// sameSetting compares settings, JSON by its meaning: AWS may write it in another way.
func sameSetting(have, want string) bool {
	if have == want {
		return true
	}
	var a, b any
	if json.Unmarshal([]byte(have), &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return false
	}
	return reflect.DeepEqual(a, b)
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
