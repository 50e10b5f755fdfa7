package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// failed is what a dead letter's attribute messaging.MetaFailure says, in JSON.
type failed struct {
	Reason    string    `json:"reason"`
	Attempts  int       `json:"attempts"`
	Published time.Time `json:"published"`
	Died      time.Time `json:"died"`
	First     string    `json:"first,omitempty"`
	FirstTime time.Time `json:"first_time,omitzero"`
}

// bury puts a message into the group's dead letters as it came, with the failure as one more attribute.
func (b *Bus) bury(ctx context.Context, g *group, h *held, reason string, first messaging.Failure) error {
	w := wire{body: h.wire.body, attributes: maps.Clone(h.wire.attributes)}
	delete(w.attributes, messaging.MetaFailure) // of an earlier death
	delete(w.attributes, messaging.MetaDecided) // after it
	f := failed{
		Reason: cut(toText(reason), messaging.MaxReason), Attempts: h.received, Published: h.sent, Died: b.opts.Now().UTC(),
		First: cut(toText(first.Reason), messaging.MaxReason), FirstTime: first.Time,
	}
	for f.Reason != "" {
		text, err := json.Marshal(f)
		if err != nil {
			return err
		}
		w.attributes[messaging.MetaFailure] = string(text)
		if w.bytes() <= maxBytes {
			break
		}
		// What is said of the failure gives way where the message is as large as may be: of the first one before the last.
		delete(w.attributes, messaging.MetaFailure)
		if !f.FirstTime.IsZero() || f.First != "" {
			f.First, f.FirstTime = "", time.Time{}
		} else {
			f.Reason = cut(f.Reason, len(f.Reason)/2)
		}
	}
	_, err := b.sqs.SendMessage(ctx, &sqsapi.SendMessageInput{
		QueueUrl: &g.dead.url, MessageBody: &w.body, MessageAttributes: w.sqsAttributes(),
	})
	return explain(err)
}

func cut(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// letter reads a dead letter. SQS itself moves a message whose handler's process died at the last try.
func (b *Bus) letter(g *group, m *sqstypes.Message) messaging.DeadLetter {
	w := received(m)
	id := awssdk.ToString(m.MessageId)
	msg, _ := w.decode(id) // that it cannot be read may be why it is here
	l := messaging.DeadLetter{
		// The id is topic.group.SQS's id: no name of a queue has a dot.
		ID: strings.Join([]string{g.topic, g.name, id}, "."), Topic: g.topic, Group: g.name, UUID: msg.UUID,
		Metadata: msg.Metadata, Payload: msg.Payload, Attempts: b.opts.MaxReceive, Reason: "the lease ran out", Published: sentAt(m),
	}
	var f failed
	if json.Unmarshal([]byte(w.attributes[messaging.MetaFailure]), &f) == nil {
		l.Attempts, l.Reason, l.Published, l.Died = f.Attempts, f.Reason, f.Published, f.Died
		l.First = messaging.Failure{Reason: f.First, Time: f.FirstTime}
	}
	return l
}

// verdict is what becomes of a dead letter that was looked at.
type verdict int

const (
	stays verdict = iota
	stop          // stays, and the others need not be looked at
	goes          // is deleted, and the others need not be looked at
)

// SQS cannot show a message without hiding it for a while, so two who look at the same time hide some from each other:
// whoever finds that something is hidden waits for it.
const (
	lookTime = 10 * time.Second // how long a letter is hidden if we die while we look
	lookWait = time.Second      // asking for a whole second asks all of SQS's servers, not some
	lookFor  = 15 * time.Second // how long to wait for what is hidden
)

// look shows all dead letters of a group, and puts them back.
func (b *Bus) look(ctx context.Context, g *group, show func(context.Context, *sqstypes.Message) (verdict, error)) error {
	seen := map[string]string{} // receipts of those in hand, by id
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		defer cancel()
		b.putBack(ctx, g, seen)
	}()
	began := b.opts.Now()
	for ctx.Err() == nil {
		out, err := b.receiveDead(ctx, g)
		if err != nil {
			return fmt.Errorf("read dead letters of %s: %w", g.dead.name, explain(err))
		}
		before := len(seen)
		for i := range out.Messages {
			seen[awssdk.ToString(out.Messages[i].MessageId)] = awssdk.ToString(out.Messages[i].ReceiptHandle)
		}
		for i := range out.Messages {
			m := &out.Messages[i]
			v, err := show(ctx, m)
			if err != nil || v == stop {
				return err
			}
			if v == goes {
				delete(seen, awssdk.ToString(m.MessageId))
				_, err := b.sqs.DeleteMessage(ctx, &sqsapi.DeleteMessageInput{QueueUrl: &g.dead.url, ReceiptHandle: m.ReceiptHandle})
				return explain(err)
			}
		}
		if len(seen) > before {
			continue
		}
		if len(out.Messages) > 0 { // so many that the first are back before the last were seen
			return nil
		}
		_, hidden, err := b.counts(ctx, g.dead)
		if err != nil || hidden <= len(seen) || b.opts.Now().Sub(began) > lookFor {
			return err
		}
	}
	return ctx.Err()
}

// receiveDead is not broken off: SQS would not notice, and hide what it gives to nobody.
func (b *Bus) receiveDead(ctx context.Context, g *group) (*sqsapi.ReceiveMessageOutput, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookWait+settleTimeout)
	defer cancel()
	return b.sqs.ReceiveMessage(ctx, &sqsapi.ReceiveMessageInput{
		QueueUrl: &g.dead.url, MaxNumberOfMessages: maxBatch, WaitTimeSeconds: int32(lookWait / time.Second),
		VisibilityTimeout: int32(lookTime / time.Second), MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameSentTimestamp},
	})
}

func (b *Bus) putBack(ctx context.Context, g *group, receipts map[string]string) {
	var entries []sqstypes.ChangeMessageVisibilityBatchRequestEntry
	for _, r := range receipts {
		entries = append(entries, visibility(len(entries), r, 0))
	}
	for batch := range slices.Chunk(entries, maxBatch) {
		_, err := b.sqs.ChangeMessageVisibilityBatch(ctx, &sqsapi.ChangeMessageVisibilityBatchInput{
			QueueUrl: &g.dead.url, Entries: batch,
		})
		if err != nil {
			b.log.WarnContext(ctx, "dead letters stay hidden for a while", "queue", g.dead.name, "error", err)
		}
	}
}

// DeadLetters returns all dead letters of the groups in Options.Topics and of those declared since, oldest first.
func (b *Bus) DeadLetters(ctx context.Context) ([]messaging.DeadLetter, error) {
	groups, err := b.allGroups(ctx)
	if err != nil {
		return nil, err
	}
	found := make([][]messaging.DeadLetter, len(groups))
	if err := inParallel(ctx, len(groups), func(ctx context.Context, i int) (err error) {
		found[i], err = b.lettersOf(ctx, groups[i])
		return err
	}); err != nil {
		return nil, err
	}
	letters := slices.Concat(found...)
	slices.SortStableFunc(letters, func(a, b messaging.DeadLetter) int { return a.Published.Compare(b.Published) })
	return letters, nil
}

func (b *Bus) lettersOf(ctx context.Context, g *group) ([]messaging.DeadLetter, error) {
	var letters []messaging.DeadLetter
	known := map[string]bool{}
	err := b.look(ctx, g, func(_ context.Context, m *sqstypes.Message) (verdict, error) {
		if l := b.letter(g, m); !known[l.ID] {
			known[l.ID], letters = true, append(letters, l)
		}
		return stays, nil
	})
	return letters, err
}

// WatchDeadLetters hands the dead letters of a consumer group to handle until ctx ends; see messaging.Watch.
func (b *Bus) WatchDeadLetters(
	ctx context.Context, topic, group string, handle func(context.Context, messaging.DeadLetter) error,
) error {
	g, err := b.group(ctx, topic, group)
	if err != nil {
		return err
	}
	letters := func(ctx context.Context) ([]messaging.DeadLetter, error) { return b.lettersOf(ctx, g) }
	return messaging.Watch{Topic: topic, Group: group, Letters: letters, Died: g.died, Log: b.log}.Run(ctx, handle)
}

// Redrive puts a dead letter back into its group's queue, as if it was new. ErrNotFound, also the second time.
func (b *Bus) Redrive(ctx context.Context, id string) error {
	return b.decide(ctx, "redrive", id, func(ctx context.Context, g *group, m *sqstypes.Message) error {
		return b.sendBack(ctx, g, m, messaging.Redriven)
	})
}

// sendBack puts a dead letter back into its group's queue with what was decided about it.
func (b *Bus) sendBack(ctx context.Context, g *group, m *sqstypes.Message, decided string) error {
	w := received(m)
	delete(w.attributes, messaging.MetaFailure)
	w.attributes[messaging.MetaDecided] = decided
	to := g.queues[0]
	if g.work {
		to = g.queues[level(w.attributes)]
	}
	_, err := b.sqs.SendMessage(ctx, &sqsapi.SendMessageInput{
		QueueUrl: &to.url, MessageBody: &w.body, MessageAttributes: w.sqsAttributes(),
	})
	return explain(err)
}

// Drop gives a dead letter up for good: nobody handles it any more. See messaging.DeadLetter.HasPlace. ErrNotFound.
func (b *Bus) Drop(ctx context.Context, id string) error {
	return b.decide(ctx, "drop", id, func(ctx context.Context, g *group, m *sqstypes.Message) error {
		if b.letter(g, m).HasPlace() {
			return b.sendBack(ctx, g, m, messaging.Dropped)
		}
		return nil
	})
}

// decide takes a letter out after do has done its part.
func (b *Bus) decide(
	ctx context.Context, what, id string, do func(context.Context, *group, *sqstypes.Message) error,
) error {
	parts := strings.Split(id, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%s: %w: dead letter %q", what, domain.ErrNotFound, id)
	}
	g, err := b.group(ctx, parts[0], parts[1])
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	found := false
	err = b.look(ctx, g, func(ctx context.Context, m *sqstypes.Message) (verdict, error) {
		if awssdk.ToString(m.MessageId) != parts[2] {
			return stays, nil
		}
		found = true
		return goes, do(ctx, g, m)
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case !found:
		return fmt.Errorf("%s: %w: dead letter %s", what, domain.ErrNotFound, id)
	}
	return nil
}
