package aws

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-aws/sns"
	"github.com/ThreeDotsLabs/watermill-aws/sqs"
	"github.com/ThreeDotsLabs/watermill/message"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

var _ message.Publisher = (*publisher)(nil)

// publisher sends one message through watermill-aws, and several in batches: watermill-aws has none.
type publisher struct {
	bus    *Bus
	topics message.Publisher // by ARN
	queues message.Publisher // by URL
	closed atomic.Bool
}

// Publisher returns a publisher. Publish returns when AWS has stored all messages. After an error some of them may be
// stored: publishing all of them again is right. Several messages go out in batches; those of events several at once.
func (b *Bus) Publisher() (message.Publisher, error) {
	topics, err := sns.NewPublisher(sns.PublisherConfig{
		AWSConfig: b.opts.Config, TopicResolver: sns.TransparentTopicResolver{}, Marshaler: snsMarshaler{},
		DoNotCreateTopicIfNotExists: true,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("make a publisher: %w", err)
	}
	queues, err := sqs.NewPublisher(sqs.PublisherConfig{
		AWSConfig: b.opts.Config, QueueUrlResolver: knownURL{}, Marshaler: sqsMarshaler{}, DoNotCreateQueueIfNotExists: true,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("make a publisher: %w", err)
	}
	return &publisher{bus: b, topics: topics, queues: queues}, nil
}

// knownURL is watermill-aws's resolver for queues that are named by their URL and known to exist.
type knownURL struct{}

func (knownURL) ResolveQueueUrl(_ context.Context, p sqs.ResolveQueueUrlParams) (sqs.QueueUrlResolverResult, error) {
	url := sqs.QueueURL(p.Topic)
	return sqs.QueueUrlResolverResult{QueueName: sqs.QueueName(p.Topic), QueueURL: &url, Exists: awssdk.Bool(true)}, nil
}

func (p *publisher) Close() error {
	p.closed.Store(true)
	return nil
}

// Publish ends with the context of the first message, when it has begun on several. A message that AWS would refuse
// or, worse, lose is ErrInvalid or ErrTooLarge, and none of them is sent then.
func (p *publisher) Publish(topic string, msgs ...*message.Message) error {
	if p.closed.Load() {
		return fmt.Errorf("publish to %s: publisher %w", topic, errClosed)
	}
	if len(msgs) == 0 {
		return nil
	}
	ctx := msgs[0].Context()
	send, err := p.bus.destination(ctx, topic)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	batches, err := batch(msgs, send.place)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(batchesAtOnce)
	if send.work {
		g.SetLimit(1)
	}
	for _, batch := range batches {
		g.Go(func() error {
			switch {
			case len(batch.wires) == 1 && send.work:
				return p.queues.Publish(batch.to, batch.msgs[0])
			case len(batch.wires) == 1:
				return p.topics.Publish(batch.to, batch.msgs[0])
			case send.work:
				return whole(ctx, batch, p.bus.sendBatch)
			default:
				return whole(ctx, batch, p.bus.publishBatch)
			}
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, explain(err))
	}
	return nil
}

// batchesAtOnce hides the way to AWS and back; nothing relies on the order of messages. Work goes out batch by batch all the
// same: SQS hands it out about as it came, and whoever sends it has put it in the order that serves best.
const batchesAtOnce = 8

// destination says where the messages of a topic go: an ARN, or the URL of one of the queues of a topic of work.
type destination struct {
	work  bool
	place func(*message.Message) string
}

func (b *Bus) destination(ctx context.Context, topic string) (destination, error) {
	b.mu.Lock()
	t, known := b.topics[topic]
	b.mu.Unlock()
	if !t.Work {
		if !known && !b.opts.DoNotCreate {
			if _, err := b.provision(ctx, []Topic{{Name: topic}}); err != nil {
				return destination{}, err
			}
			b.mu.Lock()
			if _, known := b.topics[topic]; !known {
				b.topics[topic] = Topic{Name: topic}
			}
			b.mu.Unlock()
		}
		to := b.topicARN(topic)
		return destination{place: func(*message.Message) string { return to }}, nil
	}
	g, err := b.group(ctx, topic, t.Groups[0].Name)
	if err != nil {
		return destination{}, err
	}
	return destination{work: true, place: func(m *message.Message) string { return g.queues[level(m.Metadata)].url }}, nil
}

// level is the place among the queues of a group of work that a message has by its priority.
func level(m message.Metadata) int {
	if messaging.Priority(m) > 0 {
		return 0
	}
	return 1
}

// outgoing is what one request sends.
type outgoing struct {
	to    string
	msgs  []*message.Message
	wires []wire
	bytes int
}

// batch divides messages into requests that SNS and SQS take.
func batch(msgs []*message.Message, place func(*message.Message) string) ([]*outgoing, error) {
	var all []*outgoing
	open := map[string]*outgoing{}
	for _, m := range msgs {
		w, err := encode(m)
		if err != nil {
			return nil, err
		}
		to, n := place(m), w.bytes()
		o := open[to]
		if o == nil || len(o.wires) == maxBatch || o.bytes+n > maxBytes {
			o = &outgoing{to: to}
			open[to], all = o, append(all, o)
		}
		o.msgs, o.wires, o.bytes = append(o.msgs, m), append(o.wires, w), o.bytes+n
	}
	return all, nil
}

// whole sends a batch until all of it is stored: AWS may take some of a batch and refuse the rest for a moment.
func whole(ctx context.Context, o *outgoing, send func(context.Context, *outgoing, []int) ([]refusal, error)) error {
	left := make([]int, len(o.wires))
	for i := range left {
		left[i] = i
	}
	for try := 1; ; try++ {
		refused, err := send(ctx, o, left)
		if err != nil || len(refused) == 0 {
			return err
		}
		left = left[:0]
		var errs []error
		for _, r := range refused {
			if r.final {
				return fmt.Errorf("%w: message %s: %s", domain.ErrInvalid, o.msgs[r.index].UUID, r.reason)
			}
			left, errs = append(left, r.index), append(errs, fmt.Errorf("message %s: %s", o.msgs[r.index].UUID, r.reason))
		}
		if try == batchTries {
			return fmt.Errorf("%w: %w", domain.ErrUnavailable, errors.Join(errs...))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * batchPause):
		}
	}
}

const (
	batchTries = 3
	batchPause = 100 * time.Millisecond
)

// refusal is a message of a batch that was not stored.
type refusal struct {
	index  int
	reason string
	final  bool // trying again cannot help
}

func newRefusal(id, code, text *string, senderFault bool) refusal {
	index, err := strconv.Atoi(awssdk.ToString(id))
	if err != nil {
		index = 0
	}
	return refusal{
		index: index, reason: awssdk.ToString(code) + ": " + awssdk.ToString(text),
		final: senderFault && !throttled(awssdk.ToString(code)),
	}
}

func (b *Bus) publishBatch(ctx context.Context, o *outgoing, which []int) ([]refusal, error) {
	in := &snsapi.PublishBatchInput{TopicArn: &o.to}
	for _, i := range which {
		in.PublishBatchRequestEntries = append(in.PublishBatchRequestEntries, snstypes.PublishBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(i)), Message: &o.wires[i].body, MessageAttributes: o.wires[i].snsAttributes(),
		})
	}
	out, err := b.sns.PublishBatch(ctx, in)
	if err != nil {
		return nil, err
	}
	var refused []refusal
	for _, f := range out.Failed {
		refused = append(refused, newRefusal(f.Id, f.Code, f.Message, f.SenderFault))
	}
	return refused, nil
}

func (b *Bus) sendBatch(ctx context.Context, o *outgoing, which []int) ([]refusal, error) {
	in := &sqsapi.SendMessageBatchInput{QueueUrl: &o.to}
	for _, i := range which {
		in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(i)), MessageBody: &o.wires[i].body, MessageAttributes: o.wires[i].sqsAttributes(),
		})
	}
	out, err := b.sqs.SendMessageBatch(ctx, in)
	if err != nil {
		return nil, err
	}
	var refused []refusal
	for _, f := range out.Failed {
		refused = append(refused, newRefusal(f.Id, f.Code, f.Message, f.SenderFault))
	}
	return refused, nil
}
