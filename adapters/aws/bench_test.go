package aws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
)

func BenchmarkBus(b *testing.B) {
	contract.BenchmarkBus(b, func(b *testing.B) *contract.Bus {
		b.Helper()
		return forContract(b, open(b, aws.Options{}))
	})
}

// BenchmarkPipeline is relay → SNS → SQS → Watermill's router → handler, beside a bare program of the SDK that sends
// and receives the same messages in batches, on the same server: of_bare is our events per second by its.
func BenchmarkPipeline(b *testing.B) {
	const n = 5000
	benchRelay(b, n/10) // connections, and the stand-in's compiler
	benchBare(b, n/10)
	var ours, bare []float64
	for b.Loop() {
		if len(ours)%2 == 0 { // neither always has the other's leftovers
			ours = append(ours, n/benchRelay(b, n).Seconds())
			bare = append(bare, n/benchBare(b, n).Seconds())
		} else {
			bare = append(bare, n/benchBare(b, n).Seconds())
			ours = append(ours, n/benchRelay(b, n).Seconds())
		}
	}
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / bare[i] // of neighbours: what else the machine does hits both
	}
	b.ReportMetric(median(ours), "events/s")
	b.ReportMetric(median(bare), "bare_events/s")
	b.ReportMetric(median(ratios), "of_bare")
}

func median(of []float64) float64 { return slices.Sorted(slices.Values(of))[len(of)/2] }

func benchRelay(b *testing.B, n int) time.Duration {
	b.Helper()
	queues := open(b, aws.Options{Topics: topic(messaging.TopicEvents, "g")})
	sub := &ready{Subscriber: queues.Subscriber("g"), all: make(chan struct{})}
	relay := messaging.NewRelay("relay", publisher(b, queues), &contract.Checkpoints{})
	var handled atomic.Int64
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return messaging.ConsumeEvents(ctx, messaging.Consumer{Subscriber: sub, Concurrency: 4}, contract.EventsTo(n), func(context.Context, domain.Recorded) error {
			if handled.Add(1) == int64(n) {
				close(done)
			}
			return nil
		})
	})
	<-sub.all // the bare one knows its queue, too
	began := time.Now()
	if _, err := projections.CatchUp(b.Context(), contract.EventsTo(n), relay, projections.CatchUpOptions{}); err != nil {
		b.Fatal(err)
	}
	<-done
	took := time.Since(began)
	cancel()
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}

// ready tells when four have subscribed.
type ready struct {
	message.Subscriber
	n   atomic.Int64
	all chan struct{}
}

func (r *ready) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	msgs, err := r.Subscriber.Subscribe(ctx, topic)
	if r.n.Add(1) == 4 {
		close(r.all)
	}
	return msgs, err
}

// benchBare is what one would write for one topic and one queue: batches of ten, as many at once as the relay has.
func benchBare(b *testing.B, n int) time.Duration {
	b.Helper()
	account := account(b, backends.AWS(b))
	account.HTTPClient = &http.Client{Transport: wholeBodies{}}
	name := prefix()
	open(b, aws.Options{Prefix: name, Topics: topic("events", "g")})
	topics, queues := sns.NewFromConfig(account), sqs.NewFromConfig(account)
	topic, err := topics.CreateTopic(b.Context(), &sns.CreateTopicInput{Name: awssdk.String(name + "-events")})
	if err != nil {
		b.Fatal(err)
	}
	queue, err := queues.GetQueueUrl(b.Context(), &sqs.GetQueueUrlInput{QueueName: awssdk.String(name + "-events-g")})
	if err != nil {
		b.Fatal(err)
	}
	events, err := contract.EventsTo(n).ReadAfter(b.Context(), 0, n)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	g, ctx := errgroup.WithContext(b.Context())
	g.Go(func() error {
		sending, ctx := errgroup.WithContext(ctx)
		sending.SetLimit(8)
		for batch := range slices.Chunk(events, 10) {
			sending.Go(func() error { return barePublish(ctx, topics, topic.TopicArn, batch) })
		}
		return sending.Wait()
	})
	g.Go(func() error {
		for got := 0; got < n; {
			m, err := bareReceive(ctx, queues, queue.QueueUrl)
			if err != nil {
				return err
			}
			got += m
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// wholeBodies is what the bare one needs, too, not to wait half a minute now and then; see httpclient.go.
type wholeBodies struct{}

func (wholeBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return connections.RoundTrip(r)
}

func barePublish(ctx context.Context, c *sns.Client, topic *string, batch []domain.Recorded) error {
	in := &sns.PublishBatchInput{TopicArn: topic}
	for i, e := range batch {
		body, err := domain.MarshalShortCloudEvent(e)
		if err != nil {
			return err
		}
		attributes := map[string]snstypes.MessageAttributeValue{}
		for k, v := range map[string]string{
			"_watermill_message_uuid": fmt.Sprintf("event-%d", e.Position), "type": domain.EventType(e.Event), "video": e.Stream,
			"position": fmt.Sprint(e.Position), "correlation": e.Meta.Correlation,
		} {
			attributes[k] = snstypes.MessageAttributeValue{DataType: awssdk.String("String"), StringValue: &v}
		}
		in.PublishBatchRequestEntries = append(in.PublishBatchRequestEntries, snstypes.PublishBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(i)), Message: awssdk.String(string(body)), MessageAttributes: attributes,
		})
	}
	out, err := c.PublishBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%d not published", len(out.Failed))
	}
	return err
}

func bareReceive(ctx context.Context, c *sqs.Client, queue *string) (int, error) {
	out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
	})
	if err != nil || len(out.Messages) == 0 {
		return 0, err
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: queue}
	for i, m := range out.Messages {
		if _, err := domain.UnmarshalCloudEvent([]byte(*m.Body)); err != nil && !errors.Is(err, domain.ErrDataLeftOut) {
			return 0, err
		}
		in.Entries = append(in.Entries, sqstypes.DeleteMessageBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle,
		})
	}
	deleted, err := c.DeleteMessageBatch(ctx, in)
	if err == nil && len(deleted.Failed) > 0 {
		err = fmt.Errorf("%d not deleted", len(deleted.Failed))
	}
	return len(out.Messages), err
}
