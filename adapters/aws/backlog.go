package aws

import (
	"context"
	"fmt"
	"strconv"

	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/adapters/messaging"
)

// Backlogs returns the backlog of every group in Options.Topics and of those declared since. SQS counts approximately.
func (b *Bus) Backlogs(ctx context.Context) ([]messaging.Backlog, error) {
	groups, err := b.allGroups(ctx)
	if err != nil {
		return nil, err
	}
	backlogs := make([]messaging.Backlog, len(groups))
	err = inParallel(ctx, len(groups), func(ctx context.Context, i int) error {
		g := groups[i]
		backlog := messaging.Backlog{Topic: g.topic, Group: g.name}
		for _, q := range g.queues {
			visible, hidden, err := b.counts(ctx, q)
			if err != nil {
				return err
			}
			backlog.Ready += visible
			backlog.InWork += hidden
		}
		visible, hidden, err := b.counts(ctx, g.dead)
		backlog.Dead = visible + hidden
		backlogs[i] = backlog
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read backlogs: %w", err)
	}
	return backlogs, nil
}

func (b *Bus) counts(ctx context.Context, q queue) (visible, hidden int, err error) {
	out, err := b.sqs.GetQueueAttributes(ctx, &sqsapi.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []sqstypes.QueueAttributeName{
			sqstypes.QueueAttributeNameApproximateNumberOfMessages,
			sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		},
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count messages of queue %s: %w", q.name, explain(err))
	}
	count := func(name sqstypes.QueueAttributeName) int {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0
		}
		return n
	}
	return count(sqstypes.QueueAttributeNameApproximateNumberOfMessages),
		count(sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible), nil
}

// allGroups returns every group that this process knows of.
func (b *Bus) allGroups(ctx context.Context) ([]*group, error) {
	b.mu.Lock()
	var names [][2]string
	for _, t := range b.topics {
		for _, g := range t.Groups {
			names = append(names, [2]string{t.Name, g.Name})
		}
	}
	b.mu.Unlock()
	groups := make([]*group, len(names))
	err := inParallel(ctx, len(names), func(ctx context.Context, i int) (err error) {
		groups[i], err = b.group(ctx, names[i][0], names[i][1])
		return err
	})
	return groups, err
}

func inParallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(batchesAtOnce)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}
