package aws_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/backends"
)

func TestWhatCannotBeReadDiesAtOnceAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	name := prefix()
	b := open(t, aws.Options{Prefix: name, Topics: topic("topic", "g")})
	client := sqs.NewFromConfig(account(t, backends.AWS(t)))
	queue, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: awssdk.String(name + "-topic-g")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: queue.QueueUrl, MessageBody: awssdk.String("base64:%"),
		MessageAttributes: map[string]sqstypes.MessageAttributeValue{
			"_encoding": {DataType: awssdk.String("String"), StringValue: awssdk.String("base64")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	msgs := subscribe(t, b, "g", "topic")
	publish(t, b, "topic", text("rejected"), text("good"))
	for range 2 {
		m := wait(t, msgs)
		if string(m.Payload) == "good" {
			m.Ack()
			continue
		}
		messaging.Reject(m, errors.New("no further try can change it \x00"+strings.Repeat("\x01é", 5000)))
		m.Nack()
	}
	for _, l := range letters(t, b, 2) {
		if l.Attempts != 1 || l.Topic != "topic" || l.Group != "g" || l.Published.IsZero() || l.Died.Before(l.Published) {
			t.Errorf("dead letter %+v", l)
		}
		switch string(l.Payload) {
		case "rejected":
			if !strings.HasPrefix(l.Reason, "no further try can change it \uFFFD") || len(l.Reason) > 2000 {
				t.Errorf("reason %q", l.Reason)
			}
		default:
			if !strings.Contains(l.Reason, "base64") {
				t.Errorf("reason %q", l.Reason)
			}
		}
		if err := b.Drop(t.Context(), l.ID); err != nil {
			t.Error(err)
		}
		if err := b.Drop(t.Context(), l.ID); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("second drop: %v", err)
		}
	}
	letters(t, b, 0)
}

// The largest message that there is dies with as much of its reason as fits.
func TestALargeMessageDies(t *testing.T) {
	t.Parallel()
	name := prefix()
	b := open(t, aws.Options{Prefix: name, Topics: topic("topic", "g"), MaxReceive: 1})
	const room = 200
	m := text("")
	m.Payload = []byte(strings.Repeat("x", 256<<10-len("_watermill_message_uuid")-len("String")-len(m.UUID)-room))
	publish(t, b, "topic", m)
	got := wait(t, subscribe(t, b, "g", "topic"))
	messaging.Fail(got, errors.New(strings.Repeat("too much ", 100)))
	got.Nack()
	if l := letters(t, b, 1)[0]; len(l.Payload) != len(m.Payload) || l.UUID != m.UUID || !strings.HasPrefix(l.Reason, "too much") {
		t.Errorf("dead letter %s with %d bytes: %s", l.UUID, len(l.Payload), l.Reason)
	}
	client := sqs.NewFromConfig(account(t, backends.AWS(t)))
	queue, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: awssdk.String(name + "-topic-g-dead")})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: queue.QueueUrl, WaitTimeSeconds: 10, MessageAttributeNames: []string{"All"},
	})
	if err != nil || len(out.Messages) != 1 {
		t.Fatal(out, err)
	}
	size := len(*out.Messages[0].Body)
	for name, a := range out.Messages[0].MessageAttributes {
		size += len(name) + len(*a.DataType) + len(*a.StringValue)
	}
	if size > 256<<10 {
		t.Errorf("it has %d bytes", size)
	}
}

// A process that dies with a message in its hands, at the last try, cannot say so any more: SQS buries the message, and
// whoever watches hears of it, at every start.
func TestDeadLettersOfACrashAreWatched(t *testing.T) {
	t.Parallel()
	o := aws.Options{Prefix: prefix(), Topics: topic("topic", "g"), MaxReceive: 1, Lease: time.Second, Prefetch: -1}
	crashing, die := mortal(t, o)
	publish(t, crashing, "topic", text("killer"))
	wait(t, subscribe(t, crashing, "g", "topic"))
	die()
	b := open(t, o)
	msgs := subscribe(t, b, "g", "topic")
	letters(t, b, 1)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		watched := make(chan messaging.DeadLetter)
		ended := make(chan error)
		go func() {
			ended <- b.WatchDeadLetters(ctx, "topic", "g", func(_ context.Context, l messaging.DeadLetter) error {
				watched <- l
				return nil
			})
		}()
		if l := wait(t, watched); string(l.Payload) != "killer" || l.Attempts != 1 || l.Reason != "the lease ran out" {
			t.Errorf("dead letter %+v", l)
		}
		cancel()
		if err := wait(t, ended); err != nil {
			t.Error(err)
		}
	}
	if err := b.Redrive(t.Context(), letters(t, b, 1)[0].ID); err != nil {
		t.Fatal(err)
	}
	if m := wait(t, msgs); string(m.Payload) != "killer" || !m.Ack() {
		t.Errorf("got %s", m.Payload)
	}
}

// Dead work goes back to the queue of its priority, and what somebody has buried is told of at once.
func TestDeadWorkIsWatchedAndSentAgain(t *testing.T) {
	t.Parallel()
	b := open(t, aws.Options{
		MaxReceive: 1, Topics: []aws.Topic{{Name: "work", Work: true, Groups: []aws.Group{{Name: "g"}}}},
	})
	watched := make(chan messaging.DeadLetter)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- b.WatchDeadLetters(ctx, "work", "g", func(_ context.Context, l messaging.DeadLetter) error {
			watched <- l
			return nil
		})
	}()
	urgent := text("urgent")
	urgent.Metadata.Set(messaging.MetaPriority, "10")
	publish(t, b, "work", urgent, text("rest"))
	sub := b.Subscriber("g")
	msgs, err := sub.Subscribe(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string // the rest first
	for range 2 {
		wait(t, msgs).Nack()
		select {
		case l := <-watched:
			ids = append([]string{l.ID}, ids...)
			if (l.Metadata[messaging.MetaPriority] == "10") != (string(l.Payload) == "urgent") {
				t.Errorf("dead letter %+v", l)
			}
		case <-time.After(15 * time.Second): // less than until somebody looks without being told
			t.Fatal("nobody was told")
		}
	}
	cancel()
	if err := wait(t, ended); err != nil {
		t.Error(err)
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := b.Redrive(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	msgs = subscribe(t, b, "g", "work")
	for _, want := range []string{"urgent", "rest"} {
		got := wait(t, msgs)
		if got.Ack(); string(got.Payload) != want {
			t.Errorf("got %s, want %s", got.Payload, want)
		}
	}
	letters(t, b, 0)
}
