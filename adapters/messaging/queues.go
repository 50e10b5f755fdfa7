package messaging

import (
	"context"
	"log/slog"
	"time"
)

// Backlog is what lies in one consumer group's queue.
type Backlog struct {
	Topic, Group string
	Ready        int       // could be handed out now
	InWork       int       // leased to handlers
	Delayed      int       // failed, to be tried again later; SQS cannot tell, and counts them as InWork
	Dead         int       // see DeadLetter
	Oldest       time.Time // publication of the oldest message that is not dead; zero when there is none, and with SQS
}

// DeadLetter is a message that no handler could deal with. It stays until somebody decides about it; SQS keeps it for
// 14 days at most, as it does anything.
type DeadLetter struct {
	ID        string // the transport's
	Topic     string
	Group     string
	UUID      string
	Metadata  map[string]string
	Payload   []byte
	Attempts  int
	Reason    string
	Published time.Time // when it came into the group's queue
	Died      time.Time // zero where SQS moved it itself
}

// Bell holds one token when there may be something to look at, however often it was rung.
type Bell chan struct{}

// NewBell returns a bell that was not rung yet.
func NewBell() Bell { return make(Bell, 1) }

// Ring never blocks.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// Watch is how a transport tells of the dead letters of a consumer group.
type Watch struct {
	Topic, Group string
	Letters      func(context.Context) ([]DeadLetter, error) // those of the group that are there
	Died         Bell                                        // rung when a message may have become one
	Log          *slog.Logger
}

// Run hands the dead letters to handle until ctx ends: those that are there, and each that comes, also those that a
// crash made. They stay where they are. Every start hands all of them out again, and handle's error makes one come
// again within a minute.
func (w Watch) Run(ctx context.Context, handle func(context.Context, DeadLetter) error) error {
	tick := time.NewTicker(deadLetterTick)
	defer tick.Stop()
	known := map[string]bool{}
	for {
		letters, err := w.Letters(ctx)
		if err != nil && ctx.Err() == nil {
			w.Log.ErrorContext(ctx, "cannot read dead letters", "topic", w.Topic, "group", w.Group, "error", err)
		}
		for _, l := range letters {
			if known[l.ID] {
				continue
			}
			if err := handle(ctx, l); err != nil {
				w.Log.WarnContext(ctx, "dead letter not handled", "topic", w.Topic, "group", w.Group, "id", l.ID, "error", err)
				continue
			}
			known[l.ID] = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.Died:
		case <-tick.C:
		}
	}
}

// deadLetterTick finds what no bell told: leases that ran out for the last time, what another process buried, and a
// handle that failed.
const deadLetterTick = 30 * time.Second
