package aws_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/contract"
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
	const n = 2000
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
	slices.Sort(ours)
	slices.Sort(bare)
	mine, reference := ours[len(ours)/2], bare[len(bare)/2]
	b.ReportMetric(mine, "events/s")
	b.ReportMetric(reference, "bare_events/s")
	b.ReportMetric(mine/reference, "of_bare")
}

func benchRelay(b *testing.B, n int) time.Duration {
	b.Helper()
	bus := open(b, aws.Options{Topics: []aws.Topic{{Name: "events", Groups: []aws.Group{{Name: "g"}}}}})
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NewSlogLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var handled atomic.Int64
	sub := bus.Subscriber("g")
	for i := range 4 {
		router.AddConsumerHandler(strconv.Itoa(i), "events", sub, func(m *message.Message) error {
			if handled.Add(1) == int64(n) {
				cancel()
			}
			return nil
		})
	}
	pub, err := bus.Publisher()
	if err != nil {
		b.Fatal(err)
	}
	relay := &aws.Relay{Name: "relay", Topic: "events", Publisher: pub, Checkpoints: &checkpoints{}, Message: eventMessage}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return router.Run(ctx) })
	<-router.Running() // the bare one knows its queue, too
	began := time.Now()
	g.Go(func() error {
		_, err := projections.CatchUp(context.WithoutCancel(ctx), eventLog(n), relay, projections.CatchUpOptions{})
		return err
	})
	<-ctx.Done()
	took := time.Since(began)
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}

// benchBare is what one would write for one topic and one queue: batches of ten, as many at once as the relay has.
func benchBare(b *testing.B, n int) time.Duration {
	b.Helper()
	account := account(b, backends.AWS(b))
	name := prefix()
	open(b, aws.Options{Prefix: name, Topics: []aws.Topic{{Name: "events", Groups: []aws.Group{{Name: "g"}}}}})
	topics, queues := sns.NewFromConfig(account), sqs.NewFromConfig(account)
	topic, err := topics.CreateTopic(b.Context(), &sns.CreateTopicInput{Name: awssdk.String(name + "-events")})
	if err != nil {
		b.Fatal(err)
	}
	queue, err := queues.GetQueueUrl(b.Context(), &sqs.GetQueueUrlInput{QueueName: awssdk.String(name + "-events-g")})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	g, ctx := errgroup.WithContext(b.Context())
	g.Go(func() error {
		sending, ctx := errgroup.WithContext(ctx)
		sending.SetLimit(8)
		for batch := range slices.Chunk(events(1, n), 10) {
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

func barePublish(ctx context.Context, c *sns.Client, topic *string, batch []domain.Recorded) error {
	in := &sns.PublishBatchInput{TopicArn: topic}
	for i, e := range batch {
		m, err := eventMessage(ctx, e)
		if err != nil {
			return err
		}
		attributes := map[string]snstypes.MessageAttributeValue{
			"_watermill_message_uuid": {DataType: awssdk.String("String"), StringValue: &m.UUID},
		}
		for k, v := range m.Metadata {
			attributes[k] = snstypes.MessageAttributeValue{DataType: awssdk.String("String"), StringValue: &v}
		}
		in.PublishBatchRequestEntries = append(in.PublishBatchRequestEntries, snstypes.PublishBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(i)), Message: awssdk.String(string(m.Payload)), MessageAttributes: attributes,
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
