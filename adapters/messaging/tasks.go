package messaging

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/commands"
)

// Tasks sends tasks over a publisher.
type Tasks struct{ pub message.Publisher }

var _ commands.Tasks = (*Tasks)(nil)

// NewTasks returns the port that sends tasks to TopicTasks.
func NewTasks(pub message.Publisher) *Tasks { return &Tasks{pub: pub} }

// Send stores the tasks, all or (where the publisher can do that) none.
func (t *Tasks) Send(ctx context.Context, tasks ...commands.Task) error {
	if len(tasks) == 0 {
		return nil
	}
	msgs := make([]*message.Message, len(tasks))
	for i, task := range tasks {
		body, err := json.Marshal(task)
		if err != nil {
			return fmt.Errorf("send task: %w", err)
		}
		msgs[i] = message.NewMessageWithContext(ctx, watermill.NewUUID(), body)
		msgs[i].Metadata.Set(MetaPriority, strconv.Itoa(task.Priority))
		msgs[i].Metadata.Set(MetaType, string(task.Kind))
		msgs[i].Metadata.Set(MetaVideo, string(task.Video))
	}
	if err := t.pub.Publish(TopicTasks, msgs...); err != nil {
		return fmt.Errorf("send tasks: %w", err)
	}
	return nil
}

// ConsumeTasks hands tasks to handle. ctx ends when the task's lease is lost: the work must stop then.
func ConsumeTasks(ctx context.Context, c Consumer, handle func(ctx context.Context, task commands.Task) error) error {
	c.Topic = TopicTasks
	return Consume(ctx, c, func(ctx context.Context, msg *message.Message) error {
		var task commands.Task
		if err := json.Unmarshal(msg.Payload, &task); err != nil {
			return Permanent(fmt.Errorf("read task: %w", err))
		}
		return handle(ctx, task)
	})
}

// DecodeTask reads the task of a message on TopicTasks, for whoever deals with dead letters; ok is false when it holds
// none.
func DecodeTask(payload []byte) (task commands.Task, ok bool) {
	return task, json.Unmarshal(payload, &task) == nil && task.Kind != ""
}
