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

// TaskTopics are the topics of tasks, the one that is waited for first.
func TaskTopics() []string { return []string{TopicUrgent, TopicTasks} }

// NewTasks returns the port that sends tasks to the topic that is theirs.
func NewTasks(pub message.Publisher) *Tasks { return &Tasks{pub: pub} }

// Send stores the tasks: all of a topic or, where the publisher cannot do that, some.
func (t *Tasks) Send(ctx context.Context, tasks ...commands.Task) error {
	byTopic := map[string][]*message.Message{}
	for _, task := range tasks {
		body, err := json.Marshal(task)
		if err != nil {
			return fmt.Errorf("send task: %w", err)
		}
		msg := message.NewMessageWithContext(ctx, watermill.NewUUID(), body)
		msg.Metadata.Set(MetaPriority, strconv.Itoa(task.Priority))
		msg.Metadata.Set(MetaType, string(task.Kind))
		msg.Metadata.Set(MetaVideo, string(task.Video))
		topic := TopicTasks
		if task.Priority >= commands.PriorityFirst {
			topic = TopicUrgent
		}
		byTopic[topic] = append(byTopic[topic], msg)
	}
	for _, topic := range TaskTopics() {
		if msgs := byTopic[topic]; len(msgs) > 0 {
			if err := t.pub.Publish(topic, msgs...); err != nil {
				return fmt.Errorf("send tasks: %w", err)
			}
		}
	}
	return nil
}

// ConsumeTasks hands the tasks of one of TaskTopics to handle. ctx ends when the task's lease is lost: the work must stop
// then.
func ConsumeTasks(ctx context.Context, c Consumer, handle func(ctx context.Context, task commands.Task) error) error {
	return Consume(ctx, c, func(ctx context.Context, msg *message.Message) error {
		var task commands.Task
		if err := json.Unmarshal(msg.Payload, &task); err != nil {
			return Permanent(fmt.Errorf("read task: %w", err))
		}
		return handle(ctx, task)
	})
}

// DecodeTask reads the task of a message on one of TaskTopics, for whoever deals with dead letters; ok is false when it holds
// none.
func DecodeTask(payload []byte) (task commands.Task, ok bool) {
	return task, json.Unmarshal(payload, &task) == nil && task.Kind != ""
}
