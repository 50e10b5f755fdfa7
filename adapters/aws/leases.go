package aws

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// firstLease is how long a message is leased for when it is received; whoever still has it after a third of that gets
// the whole lease. It is short because SQS also hands messages to a process that has ended while it waited for some.
func (o Options) firstLease() time.Duration { return min(o.Lease, 5*time.Second) }

// keep extends the leases of all messages in hand until ctx ends.
//
// Two thirds of a lease are left for trying. A handler whose lease could not be extended is told to stop one to two ticks
// before it ends: so that a try that hangs, which takes a tick, is over before it does. So is, at once, one whose lease
// SQS says is over, or whose process was frozen for longer than that.
func (in *intake) keep(ctx context.Context) {
	tick := time.NewTicker(in.bus.opts.leaseTick())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		request, cancel := context.WithTimeout(ctx, in.bus.opts.leaseTick())
		var extending sync.WaitGroup
		for p, due := range in.due() {
			for batch := range slices.Chunk(due, maxBatch) {
				extending.Go(func() { in.extend(request, p, batch) })
			}
		}
		extending.Wait()
		cancel()
	}
}

// leaseTick is how often the leases are looked after, and how long a request to extend some may take.
func (o Options) leaseTick() time.Duration { return o.firstLease() / 8 }

// due returns the messages whose leases are to be extended, by the poller that they came from.
func (in *intake) due() map[*poller][]*held {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := in.bus.opts.Now()
	due := map[*poller][]*held{}
	for _, h := range in.leases {
		switch {
		case h.settled || h.isLost:
		case !now.Before(h.until):
			in.lose(h)
		case h.until.Sub(now) <= h.lease*2/3:
			due[h.poller] = append(due[h.poller], h)
		}
	}
	return due
}

func (in *intake) extend(ctx context.Context, p *poller, messages []*held) {
	lease := in.bus.opts.Lease
	until := in.bus.opts.Now().Add(lease)
	request := &sqsapi.ChangeMessageVisibilityBatchInput{QueueUrl: &p.queue.url}
	for i, h := range messages {
		request.Entries = append(request.Entries, visibility(i, h.receipt, lease))
	}
	answer, err := in.bus.sqs.ChangeMessageVisibilityBatch(ctx, request)
	refused := map[string]sqstypes.BatchResultErrorEntry{}
	if err == nil {
		for _, f := range answer.Failed {
			refused[awssdk.ToString(f.Id)] = f
		}
	} else if ctx.Err() == nil {
		in.bus.log.WarnContext(ctx, "cannot extend leases", "queue", p.queue.name, "messages", len(messages), "error", explain(err))
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, h := range messages {
		f, failed := refused[strconv.Itoa(i)]
		switch {
		case h.settled || h.isLost:
		case err == nil && !failed:
			h.until, h.lease = until, lease
		case failed && f.SenderFault && !throttled(awssdk.ToString(f.Code)):
			in.bus.log.WarnContext(ctx, "lease lost", append(in.attrs(h), "reason", awssdk.ToString(f.Code))...)
			in.lose(h)
		case h.until.Sub(in.bus.opts.Now()) <= 2*in.bus.opts.leaseTick(): // no time for another try
			in.bus.log.WarnContext(ctx, "lease lost", append(in.attrs(h), "reason", "SQS could not be reached")...)
			in.lose(h)
		}
	}
}

// visibility is an entry that hides a message for d, rounded up: SQS knows whole seconds.
func visibility(i int, receipt string, d time.Duration) sqstypes.ChangeMessageVisibilityBatchRequestEntry {
	whole := min(max(0, (d+time.Second-1)/time.Second), 12*3600)
	return sqstypes.ChangeMessageVisibilityBatchRequestEntry{
		Id: awssdk.String(strconv.Itoa(i)), ReceiptHandle: &receipt,
		VisibilityTimeout: int32(whole),
	}
}
