package messaging

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/cinelog/cinelog/domain"
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
	Published time.Time // when it came into the group's queue
	Reason    string    // of its last failure
	Died      time.Time // the last failure; zero where SQS moved it itself
	// First is its first failure. SQS keeps nothing with a message that is under way: there it is the first one that the
	// process saw which gave up on it, and none where SQS moved it itself.
	First Failure
}

// Failure is why a message was not handled, once.
type Failure struct {
	Reason string
	Time   time.Time
}

// HasPlace tells whether others may wait behind the letter: it is about an event. One that is dropped goes back once
// more, with MetaDecided; consumers let it pass unhandled.
func (l DeadLetter) HasPlace() bool { return l.Position() > 0 }

// Position is the place in the log of the event that the letter is about; 0 where it is about none.
func (l DeadLetter) Position() domain.Position {
	n, err := strconv.ParseInt(l.Metadata[MetaPosition], 10, 64)
	if err != nil {
		return 0
	}
	return domain.Position(n)
}

// Letters picks dead letters; what is empty picks all.
type Letters struct{ Topic, Group, Video string }

// Of returns those that are picked, in the order in which they are to be sent again: of each video by position.
func (p Letters) Of(letters []DeadLetter) []DeadLetter {
	picked := slices.DeleteFunc(slices.Clone(letters), func(l DeadLetter) bool {
		return p.Topic != "" && l.Topic != p.Topic || p.Group != "" && l.Group != p.Group || p.Video != "" && l.Metadata[MetaVideo] != p.Video
	})
	slices.SortStableFunc(picked, func(a, b DeadLetter) int { return cmp.Compare(a.Position(), b.Position()) })
	return picked
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
