// Command plainsqs is a subscriber that knows nothing of Cinelog but what is written down: it gives Cinelog's SNS topic a queue of
// its own and reads CloudEvents from it. Events may come twice and in any order; each names its position in the log.
//
//	go run ./examples/plainsqs -topic arn:aws:sns:REGION:ACCOUNT:cinelog-events -queue my-notifier
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func main() {
	topic := flag.String("topic", "", "ARN of Cinelog's topic of events")
	queue := flag.String("queue", "my-notifier", "name of our queue")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *topic, *queue, os.Stdout); err != nil && ctx.Err() == nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // there is nothing left to end
	}
}

// event is what we need of a CloudEvent.
type event struct {
	Type     string          `json:"type"`
	Video    string          `json:"subject"`
	Position int64           `json:"position"`
	Data     json.RawMessage `json:"data"`    // missing where they are long:
	DataRef  string          `json:"dataref"` // then they are at this address of Cinelog's API
}

func run(ctx context.Context, topic, name string, out io.Writer) error {
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	queues := sqs.NewFromConfig(cfg)
	queue, err := subscribe(ctx, queues, sns.NewFromConfig(cfg), topic, name)
	if err != nil {
		return err
	}
	seen := map[int64]bool{} // in earnest: in the database that keeps what we make of the events, in the same transaction
	for ctx.Err() == nil {
		got, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
		if err != nil {
			return err
		}
		for _, m := range got.Messages {
			var e event
			if err := json.Unmarshal([]byte(awssdk.ToString(m.Body)), &e); err != nil {
				return fmt.Errorf("message %s: %w", awssdk.ToString(m.MessageId), err)
			}
			if !seen[e.Position] {
				if _, err := fmt.Fprintf(out, "%d %s %s\n", e.Position, e.Video, e.Type); err != nil {
					return err // not deleted, so it comes again
				}
				seen[e.Position] = true
			}
			if _, err := queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// subscribe makes a queue, lets the topic send to it, and subscribes it: with raw delivery, so that a message's body is the
// event itself, and to some types of events only.
func subscribe(ctx context.Context, queues *sqs.Client, topics *sns.Client, topic, name string) (queue string, err error) {
	made, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		return "", err
	}
	queue = awssdk.ToString(made.QueueUrl)
	about, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return "", err
	}
	arn := about.Attributes[string(types.QueueAttributeNameQueueArn)]
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},`+
		`"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, topic)
	if _, err := queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: &queue, Attributes: map[string]string{string(types.QueueAttributeNamePolicy): policy},
	}); err != nil {
		return "", err
	}
	_, err = topics.Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: &topic, Protocol: awssdk.String("sqs"), Endpoint: &arn, Attributes: map[string]string{
			"RawMessageDelivery": "true", "FilterPolicy": `{"type":["video.published.v1","video.deleted.v1"]}`,
		},
	})
	return queue, err
}
