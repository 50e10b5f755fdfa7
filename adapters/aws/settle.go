package aws

import (
	"context"
	"strconv"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

// settler tells SQS what became of messages, up to ten in a request. What cannot be told is logged and no more: the
// message comes again when its lease ends.
type settler struct {
	bus     *Bus
	ops     chan settlement
	running sync.WaitGroup
}

// settlement deletes a message, or hides it for a while.
type settlement struct {
	held   *held
	delete bool
	hide   time.Duration
}

// linger is how long a settlement waits for others to go with. Nobody waits for it, but a process that dies meanwhile
// gets the message again.
const linger = 10 * time.Millisecond

// settleTimeout is for one request with its repetitions.
const settleTimeout = 10 * time.Second

const settlingAtOnce = 8

func newSettler(b *Bus) *settler {
	s := &settler{bus: b, ops: make(chan settlement)}
	s.running.Go(s.run)
	return s
}

func (s *settler) delete(h *held)                { s.ops <- settlement{held: h, delete: true} }
func (s *settler) hide(h *held, d time.Duration) { s.ops <- settlement{held: h, hide: d} }

// close waits until everything is told.
func (s *settler) close() {
	close(s.ops)
	s.running.Wait()
}

func (s *settler) run() {
	type kind struct {
		url    string
		delete bool
	}
	collected := map[kind][]settlement{}
	var requests errgroup.Group
	requests.SetLimit(settlingAtOnce)
	send := func(k kind) {
		batch := collected[k]
		delete(collected, k)
		requests.Go(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
			defer cancel()
			if k.delete {
				s.sendDelete(ctx, k.url, batch)
			} else {
				s.sendHide(ctx, k.url, batch)
			}
			return nil
		})
	}
	timer := time.NewTimer(linger)
	timer.Stop()
	for {
		select {
		case <-timer.C:
			for k := range collected {
				send(k)
			}
		case op, ok := <-s.ops:
			if !ok {
				for k := range collected {
					send(k)
				}
				_ = requests.Wait()
				return
			}
			if len(collected) == 0 {
				timer.Reset(linger)
			}
			k := kind{op.held.poller.queue.url, op.delete}
			if collected[k] = append(collected[k], op); len(collected[k]) == maxBatch {
				send(k)
			}
		}
	}
}

func (s *settler) sendDelete(ctx context.Context, url string, batch []settlement) {
	request := &sqsapi.DeleteMessageBatchInput{QueueUrl: &url}
	for i, op := range batch {
		request.Entries = append(request.Entries, sqstypes.DeleteMessageBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(i)), ReceiptHandle: &op.held.receipt,
		})
	}
	answer, err := s.bus.sqs.DeleteMessageBatch(ctx, request)
	if err != nil {
		s.failed(ctx, "delete", batch, nil, err)
	} else if len(answer.Failed) > 0 {
		s.failed(ctx, "delete", batch, answer.Failed, nil)
	}
}

func (s *settler) sendHide(ctx context.Context, url string, batch []settlement) {
	request := &sqsapi.ChangeMessageVisibilityBatchInput{QueueUrl: &url}
	for i, op := range batch {
		request.Entries = append(request.Entries, visibility(i, op.held.receipt, op.hide))
	}
	answer, err := s.bus.sqs.ChangeMessageVisibilityBatch(ctx, request)
	if err != nil {
		s.failed(ctx, "hide", batch, nil, err)
	} else if len(answer.Failed) > 0 {
		s.failed(ctx, "hide", batch, answer.Failed, nil)
	}
}

func (s *settler) failed(
	ctx context.Context, action string, batch []settlement, refused []sqstypes.BatchResultErrorEntry, err error,
) {
	if err != nil {
		s.bus.log.WarnContext(ctx, "messages not settled", "action", action, "messages", len(batch),
			"queue", batch[0].held.poller.queue.name, "error", explain(err))
	}
	for _, f := range refused {
		i, err := strconv.Atoi(awssdk.ToString(f.Id))
		if err != nil || i >= len(batch) {
			continue
		}
		h := batch[i].held
		s.bus.log.WarnContext(ctx, "message not settled", append(h.poller.intake.attrs(h), "action", action,
			"code", awssdk.ToString(f.Code), "reason", awssdk.ToString(f.Message))...)
	}
}
