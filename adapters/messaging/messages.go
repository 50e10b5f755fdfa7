// Package messaging is what this program's messages have in common whatever carries them: what they look like, the
// relay that publishes the event log, the consuming of events and tasks, what becomes of a message whose handler
// failed, and what can be told of queues. It works on any Watermill Publisher and Subscriber; adapters/bus and
// adapters/aws are the transports, and the only adapters that import it. It may import domain, and the ports of
// commands and projections.
package messaging

import (
	"context"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/domain"
)

// Topics.
const (
	// TopicEvents carries every event of the log, as CloudEvents.
	TopicEvents = "events"
	// TopicUrgent carries the work that somebody waits for, and TopicTasks the rest, for competing workers: all of them
	// are one consumer group. They are two because no transport but SQLite's knows an order but that of arrival, and so
	// that short work finds a worker beside the long.
	TopicUrgent = "urgent"
	TopicTasks  = "tasks"
)

// Metadata of messages.
const (
	// MetaType is an event's type or a task's kind. With MetaVideo and MetaPosition, a consumer may skip a message without
	// reading it.
	MetaType     = "type"
	MetaVideo    = "video"
	MetaPosition = "position"
	// MetaPriority, set by a publisher, is a number, 0 by default. Where the transport can do that, a message is handed
	// out as if it had come a minute earlier for each: those with a higher one first, and none waits for ever.
	MetaPriority = "priority"
	// MetaReceiveCount, set by a subscriber, says how often the message was handed out, this time included.
	MetaReceiveCount = "receive_count"
	// MetaCorrelation is the correlation id that log lines about the message carry.
	MetaCorrelation = "correlation"
	// MetaRetryAfter says how long a message is to wait that was nacked without a failure. See Postpone.
	MetaRetryAfter = "retry_after"
	// MetaFailure says why a handler failed. See Fail.
	MetaFailure = "failure"

	// MetaLastTry, set by a subscriber, is "true" when another failure makes the message a dead letter.
	MetaLastTry = "last_try"
	// MetaDecided says of a message that was a dead letter what somebody has decided: Redriven or Dropped.
	MetaDecided = "decided"
	Redriven    = "redriven"
	Dropped     = "dropped"

	metaPermanent = "failure_permanent" // "true": no further try can change it
)

// Priority returns what MetaPriority says.
func Priority(m message.Metadata) int {
	n, err := strconv.Atoi(m.Get(MetaPriority))
	if err != nil {
		return 0
	}
	return n
}

func eventMessage(ctx context.Context, e domain.Recorded) (*message.Message, error) {
	body, err := domain.MarshalShortCloudEvent(e)
	if err != nil {
		return nil, err
	}
	position := strconv.FormatInt(int64(e.Position), 10)
	msg := message.NewMessageWithContext(ctx, "event-"+position, body)
	msg.Metadata.Set(MetaType, domain.EventType(e.Event))
	msg.Metadata.Set(MetaVideo, e.Stream)
	msg.Metadata.Set(MetaPosition, position)
	if e.Meta.Correlation != "" {
		msg.Metadata.Set(MetaCorrelation, e.Meta.Correlation)
	}
	return msg, nil
}
