package aws

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill-aws/sqs"
	"github.com/ThreeDotsLabs/watermill/message"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/cinelog/cinelog/adapters/messaging"
)

// poller is a watermill-aws subscriber on one queue. That one receives, hands over and starts again after errors. What it
// does not do is done in its client, around its requests: it asks only while there is room, the leases of a whole
// answer are kept from the moment it comes, and deleting is left to the settler.
//
// It deals with the messages of an answer one by one, and lets the others go when one is not acknowledged or when it
// ends. So only the first goes through it, and stands for the whole answer.
type poller struct {
	intake *intake
	queue  queue
	level  int // 0 is handed out first
	sub    *sqs.Subscriber
	wake   messaging.Bell

	// Guarded by intake.mu.
	asked   int  // messages that requests under way may bring
	probed  bool // the queue was found empty since its last message
	waiting bool // a long poll is on its way and has found nothing yet
}

// run hands over messages until the intake is stopped and the last request has ended.
func (p *poller) run() {
	msgs, err := p.sub.Subscribe(p.intake.ctx, p.queue.url)
	if err != nil { // cannot be: the queue is resolved without asking
		p.intake.bus.log.Error("cannot subscribe", "queue", p.queue.name, "error", err)
		return
	}
	for m := range msgs {
		answer := p.intake.claim(m.Metadata.Get(metaReceipt))
		m.Ack()
		for _, h := range answer {
			if p.decoded(h) && p.keep(h) {
				p.intake.arrived <- h
			}
		}
	}
	_ = p.sub.Close()
}

// metaReceipt carries SQS's handle of the message through watermill-aws.
const metaReceipt = "_receipt_handle"

// Unmarshal never fails: that would make watermill-aws receive the message in a loop.
func (p *poller) Unmarshal(m *sqstypes.Message) (*message.Message, error) {
	msg := message.NewMessage(awssdk.ToString(m.MessageId), nil)
	msg.Metadata.Set(metaReceipt, awssdk.ToString(m.ReceiptHandle))
	return msg, nil
}

// decoded makes the message that handlers get. One that cannot be read is a dead letter at once.
func (p *poller) decoded(h *held) bool {
	var err error
	h.msg, err = h.wire.decode(h.id)
	if err != nil {
		if p.intake.settle(h) {
			p.intake.bury(p.intake.ctx, h, err.Error())
		}
		p.intake.drop(h)
		return false
	}
	h.msg.Metadata.Set(messaging.MetaReceiveCount, strconv.Itoa(h.received))
	if h.received >= p.intake.bus.opts.MaxReceive {
		h.msg.Metadata.Set(messaging.MetaLastTry, "true")
	}
	return true
}

// keep is false for work that was given back because everybody here is busy: several requests were on their way when
// the last handler began. That counts as a receive, so it is done a few times only; then the message waits here.
func (p *poller) keep(h *held) bool {
	in := p.intake
	in.mu.Lock()
	surplus := in.group.work && len(in.leases) > in.slots && h.received <= passOn && h.received < in.bus.opts.MaxReceive
	in.mu.Unlock()
	if !surplus {
		return true
	}
	in.giveBack(h)
	in.drop(h)
	return false
}

const passOn = 3

// hook puts intercept around every request of watermill-aws's client.
func (p *poller) hook(o *sqsapi.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("cinelog", p.intercept), middleware.Before)
	})
}

func (p *poller) intercept(
	ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
) (middleware.InitializeOutput, middleware.Metadata, error) {
	switch request := in.Parameters.(type) {
	case *sqsapi.DeleteMessageInput: // the settler does it, when the handler has answered
		return middleware.InitializeOutput{Result: &sqsapi.DeleteMessageOutput{}}, middleware.Metadata{}, nil
	case *sqsapi.ReceiveMessageInput:
		room, wait, err := p.admit(ctx)
		if err != nil {
			return middleware.InitializeOutput{}, middleware.Metadata{}, err
		}
		mine := *request
		mine.MaxNumberOfMessages, mine.WaitTimeSeconds = int32(room), int32(wait/time.Second) //nolint:gosec // 10, 20 at most
		mine.VisibilityTimeout = int32(p.intake.bus.opts.firstLease() / time.Second)          //nolint:gosec // 5 at most
		mine.MessageSystemAttributeNames = []sqstypes.MessageSystemAttributeName{
			sqstypes.MessageSystemAttributeNameApproximateReceiveCount, sqstypes.MessageSystemAttributeNameSentTimestamp,
		}
		in.Parameters = &mine
		pollCtx, cancel := p.polling(ctx, wait)
		defer cancel()
		out, metadata, err := next.HandleInitialize(pollCtx, in)
		answer, _ := out.Result.(*sqsapi.ReceiveMessageOutput)
		p.answered(ctx, room, answer, err)
		if err == nil && len(answer.Messages) > 1 {
			answer.Messages = answer.Messages[:1]
		}
		return out, metadata, err
	}
	return next.HandleInitialize(ctx, in)
}

// polling is the context of one request. SQS does not notice when a request that waits is broken off: it hands the
// next messages to nobody, and they come again when their first lease ends. So one that will soon end is waited for.
func (p *poller) polling(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	opts := p.intake.bus.opts
	ends := opts.Now().Add(wait)
	pollCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait+pollSlack)
	unlink := context.AfterFunc(ctx, func() {
		if ends.Sub(opts.Now()) > opts.Grace {
			cancel()
		}
	})
	return pollCtx, func() { unlink(); cancel() }
}

// pollSlack is how long the answer to a request may be on its way.
const pollSlack = 10 * time.Second

// admit waits until the poller may ask, and says for how many messages and how long the request may wait for them.
// A queue is asked only while those before it are known to be empty: a poller that had messages asks without waiting
// first, and lets the next one in while it waits.
func (p *poller) admit(ctx context.Context) (room int, wait time.Duration, err error) {
	in := p.intake
	for ctx.Err() == nil {
		in.mu.Lock()
		capacity := in.capacity()
		room = min(maxBatch, capacity-len(in.leases)-p.asked)
		allowed := room > 0 && (in.group.work || room >= min(maxBatch, capacity))
		for _, before := range in.pollers[:p.level] {
			allowed = allowed && before.waiting
		}
		if allowed {
			p.asked += room
			last := p.level == len(in.pollers)-1
			if last || p.probed {
				wait, p.waiting = in.bus.opts.Wait, true
				in.ring()
			}
			in.mu.Unlock()
			return room, wait, nil
		}
		p.probed = false // it may be long until the next request
		in.mu.Unlock()
		select {
		case <-p.wake:
		case <-ctx.Done():
		}
	}
	return 0, 0, ctx.Err()
}

// answered takes the messages of an answer.
func (p *poller) answered(ctx context.Context, asked int, answer *sqsapi.ReceiveMessageOutput, err error) {
	in := p.intake
	in.mu.Lock()
	p.asked -= asked
	p.waiting = false
	p.probed = err == nil && len(answer.Messages) == 0
	in.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			in.bus.log.WarnContext(ctx, "cannot receive", "queue", p.queue.name, "error", explain(err))
		}
		return
	}
	lease := in.bus.opts.firstLease()
	until := in.bus.opts.Now().Add(lease)
	messages := make([]*held, len(answer.Messages))
	for i := range answer.Messages {
		m := &answer.Messages[i]
		messages[i] = &held{
			poller: p, wire: received(m), id: awssdk.ToString(m.MessageId), receipt: awssdk.ToString(m.ReceiptHandle),
			received: number(m.Attributes, sqstypes.MessageSystemAttributeNameApproximateReceiveCount),
			sent:     sentAt(m), until: until, lease: lease, lost: make(chan struct{}),
		}
	}
	in.take(messages)
}

func number(attributes map[string]string, name sqstypes.MessageSystemAttributeName) int {
	n, err := strconv.Atoi(attributes[string(name)])
	if err != nil {
		return 0
	}
	return n
}

func sentAt(m *sqstypes.Message) time.Time {
	if ms := number(m.Attributes, sqstypes.MessageSystemAttributeNameSentTimestamp); ms > 0 {
		return time.UnixMilli(int64(ms)).UTC()
	}
	return time.Time{}
}
