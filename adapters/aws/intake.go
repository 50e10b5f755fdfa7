package aws

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-aws/sqs"
	"github.com/ThreeDotsLabs/watermill/message"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/cinelog/cinelog/adapters/messaging"
)

// intake is what the subscriptions of one subscriber to one topic share: the messages in the process's hands, and one
// watermill-aws subscriber for each queue that brings them.
//
//	poller (one for each queue) ─► arrived ─► dispatch ─► ready ─► whichever subscription is free ─► settler
//	                                    keeper extends the leases of all of them
type intake struct {
	bus     *Bus
	group   *group
	pollers []*poller // by falling priority
	settler *settler
	arrived chan *held
	ready   chan *held
	ctx     context.Context //nolint:containedctx // its end stops the polling; messages have contexts of their own
	stop    context.CancelFunc
	done    chan struct{} // closed when nothing of it runs any more

	subscriptions sync.WaitGroup

	mu      sync.Mutex
	slots   int // subscriptions
	leases  map[string]*held
	failed  map[string]messaging.Failure // the first failure of each message, by SQS's id
	stopped bool
}

// maxFailed bounds what is kept of messages that may have gone to another process.
const maxFailed = 10_000

// held is a message in this process's hands.
type held struct {
	poller   *poller
	wire     wire
	msg      *message.Message // set when the poller has decoded it
	id       string           // SQS's
	receipt  string
	received int
	sent     time.Time
	answer   []*held       // the messages that came with it, itself included
	lost     chan struct{} // closed when the lease is lost

	// Guarded by intake.mu.
	until   time.Time     // end of the lease
	lease   time.Duration // how long it was given for
	isLost  bool
	settled bool
}

func (b *Bus) newIntake(g *group) (*intake, error) {
	in := &intake{
		bus: b, group: g, arrived: make(chan *held), ready: make(chan *held), done: make(chan struct{}),
		leases: map[string]*held{}, failed: map[string]messaging.Failure{},
	}
	in.settler = newSettler(b)
	requests := 2 // at once, so that the way to SQS and back is no idle time
	if g.work {
		requests = 1 // each could take a task that another process is free for
	}
	for i, q := range g.queues {
		p := &poller{intake: in, queue: q, level: i, wake: messaging.NewBell()}
		var err error
		p.sub, err = sqs.NewSubscriber(sqs.SubscriberConfig{
			AWSConfig: b.opts.Config, OptFns: []func(*sqsapi.Options){p.hook}, QueueUrlResolver: knownURL{},
			DoNotCreateQueueIfNotExists: true, ReconnectRetrySleep: retryReceive, Unmarshaler: p, ConsumeWorkers: requests,
		}, watermill.NopLogger{})
		if err != nil {
			return nil, err
		}
		in.pollers = append(in.pollers, p)
	}
	in.ctx, in.stop = context.WithCancel(context.Background())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		in.stop()
		return nil, errClosed
	}
	b.intakes[in] = struct{}{}
	b.running.Go(func() {
		in.run()
		b.mu.Lock()
		delete(b.intakes, in)
		b.mu.Unlock()
		close(in.done)
	})
	return in, nil
}

// retryReceive is how long a poller waits when SQS could not be asked.
const retryReceive = time.Second

// join adds a subscription, which ends with ctx. It is false when the intake has ended.
func (in *intake) join(ctx context.Context, s *subscription) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stopped {
		return false
	}
	in.slots++
	in.ring()
	s.intake = in
	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(in.ctx, cancel) //nolint:contextcheck // whichever ends first
	in.subscriptions.Go(func() {
		s.run(ctx)
		unlink()
		cancel()
		in.leave()
	})
	return true
}

// leave takes a subscription out; without any the intake ends.
func (in *intake) leave() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.slots--; in.slots == 0 {
		in.stopped = true
		in.stop()
	}
}

// run ends when the intake is stopped: first no more messages are asked for, then those that nobody has begun are
// given back, then those in handlers' hands are waited for.
func (in *intake) run() {
	keeper, stopKeeper := context.WithCancel(context.WithoutCancel(in.ctx))
	var keeping, polling, dispatching sync.WaitGroup
	keeping.Go(func() { in.keep(keeper) })
	for _, p := range in.pollers {
		polling.Go(p.run)
	}
	polled := make(chan struct{})
	dispatching.Go(func() { in.dispatch(polled) })

	<-in.ctx.Done()
	in.mu.Lock()
	in.stopped = true
	in.mu.Unlock()
	polling.Wait()
	for _, h := range in.unread() {
		in.giveBack(h)
		in.drop(h)
	}
	close(polled)
	dispatching.Wait()
	in.subscriptions.Wait()
	stopKeeper()
	keeping.Wait()
	in.settler.close()
}

// dispatch hands out what has arrived, the higher priority first, until polled is closed; then it gives back the rest.
func (in *intake) dispatch(polled <-chan struct{}) {
	var waiting []*held
	for {
		var ready chan<- *held
		var next *held
		if len(waiting) > 0 && in.ctx.Err() == nil {
			ready, next = in.ready, waiting[0]
		}
		select {
		case h := <-in.arrived:
			i := len(waiting)
			for i > 0 && waiting[i-1].poller.level > h.poller.level {
				i--
			}
			waiting = slices.Insert(waiting, i, h)
		case ready <- next:
			waiting = waiting[1:]
		case <-in.ctx.Done():
			for _, h := range waiting {
				in.giveBack(h)
				in.drop(h)
			}
			waiting = nil
			select {
			case h := <-in.arrived:
				waiting = append(waiting, h)
			case <-polled:
				return
			}
		}
	}
}

// capacity is how many messages may be in hand. in.mu is held.
func (in *intake) capacity() int {
	if in.group.work || in.slots == 0 {
		return in.slots
	}
	return in.slots + in.bus.opts.Prefetch
}

// take notes the messages of an answer of SQS.
func (in *intake) take(answer []*held) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, h := range answer {
		in.leases[h.receipt], h.answer = h, answer
	}
}

// claim returns the answer that a message came with.
func (in *intake) claim(receipt string) []*held {
	in.mu.Lock()
	defer in.mu.Unlock()
	if h := in.leases[receipt]; h != nil {
		return h.answer
	}
	return nil
}

// unread returns the messages that watermill-aws has let go when it ended.
func (in *intake) unread() []*held {
	in.mu.Lock()
	defer in.mu.Unlock()
	var left []*held
	for _, h := range in.leases {
		if h.msg == nil {
			left = append(left, h)
		}
	}
	return left
}

// drop forgets a message, which makes room for another.
func (in *intake) drop(h *held) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.leases, h.receipt)
	in.ring()
}

// ring lets the pollers see whether there is room now. in.mu is held.
func (in *intake) ring() {
	for _, p := range in.pollers {
		p.wake.Ring()
	}
}

// settle says whether the lease still stands, and that from now on it needs no extension.
func (in *intake) settle(h *held) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !h.isLost && !in.bus.opts.Now().Before(h.until) {
		in.lose(h)
	}
	h.settled = true
	return !h.isLost
}

// lose marks a lease as lost. in.mu is held.
func (in *intake) lose(h *held) {
	h.isLost = true
	close(h.lost)
}

func (in *intake) ack(ctx context.Context, h *held) {
	if !in.settle(h) {
		in.bus.log.WarnContext(ctx, "acknowledged after the lease was lost: the message comes again", in.attrs(h)...)
		return
	}
	in.firstFailure(h, "", true)
	in.settler.delete(h)
}

// firstFailure returns how a message failed at first, as far as this process knows: now, where a reason is given and nothing
// is known. With forget nothing is known of it afterwards.
func (in *intake) firstFailure(h *held, reason string, forget bool) messaging.Failure {
	in.mu.Lock()
	defer in.mu.Unlock()
	f, known := in.failed[h.id]
	if !known {
		f = messaging.Failure{Reason: reason, Time: in.bus.opts.Now().UTC()}
	}
	switch {
	case forget:
		delete(in.failed, h.id)
	case !known && reason != "" && len(in.failed) < maxFailed:
		in.failed[h.id] = f
	}
	return f
}

func (in *intake) giveBack(h *held) {
	if in.settle(h) {
		in.settler.hide(h, 0)
	}
}

func (in *intake) nack(ctx context.Context, h *held, msg *message.Message) {
	fate, reason := messaging.AfterNack(ctx, msg, h.received, in.bus.opts.MaxReceive)
	if !in.settle(h) {
		return
	}
	switch fate {
	case messaging.Return:
		in.settler.hide(h, 0)
	case messaging.Retry:
		if !messaging.HasFailed(msg) {
			in.postpone(ctx, h, messaging.RetryAfter(msg, 0))
			return
		}
		in.firstFailure(h, reason, false)
		in.settler.hide(h, messaging.RetryAfter(msg, in.bus.opts.Backoff(h.received)))
	case messaging.Bury:
		in.bury(ctx, h, reason)
	}
}

// postpone sends a message again, which nobody has tried then, and takes this one away: SQS counts each time that it hands one out,
// and buries it when that was often. If we die in between there are two.
func (in *intake) postpone(ctx context.Context, h *held, after time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	_, err := in.bus.sqs.SendMessage(ctx, &sqsapi.SendMessageInput{
		QueueUrl: &h.poller.queue.url, MessageBody: &h.wire.body, MessageAttributes: h.wire.sqsAttributes(),
		DelaySeconds: int32(math.Ceil(min(after, longestDelay).Seconds())),
	})
	if err != nil {
		in.bus.log.WarnContext(ctx, "cannot postpone a message: that counts as a try", append(in.attrs(h), "error", explain(err))...)
		in.settler.hide(h, after)
		return
	}
	in.firstFailure(h, "", true)
	in.settler.delete(h)
}

// longestDelay is the most that SQS delays a message. What is to wait for longer is postponed again then.
const longestDelay = 15 * time.Minute

// bury moves a message to the dead letters. If that fails it comes again, and SQS buries it in the end.
func (in *intake) bury(ctx context.Context, h *held, reason string) {
	in.bus.log.ErrorContext(ctx, "dead letter", append(in.attrs(h), "reason", reason)...)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := in.bus.bury(ctx, in.group, h, reason, in.firstFailure(h, reason, false)); err != nil {
		in.bus.log.ErrorContext(ctx, "cannot bury", append(in.attrs(h), "error", err)...)
		in.settler.hide(h, in.bus.opts.Backoff(h.received))
		return
	}
	in.firstFailure(h, "", true)
	in.settler.delete(h)
	in.group.died.Ring()
}

func (in *intake) attrs(h *held) []any {
	attrs := []any{"topic", in.group.topic, "group", in.group.name, "sqs_message", h.id, "receive_count", h.received}
	if h.msg != nil {
		attrs = append(attrs, "message", h.msg.UUID)
	}
	return attrs
}
