package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Log is an event log that lives as long as the process does.
type Log struct {
	mu      sync.RWMutex
	events  []stored         // the event at position p is events[p-1]
	streams map[string][]int // indexes into events; version v is at v-1
	commits map[string]span
	chain   []link // of commits, in their order
}

// stored is an event as it was encoded: readers decode it and so never share memory with each other or the writer.
type stored struct {
	recorded domain.Recorded
	encoded  domain.EncodedEvent
}

// link is what is known of a commit beside its events.
type link struct {
	span

	id   string
	hash []byte
}

// span is where the events of a commit are.
type span struct{ first, end int }

var (
	_ commands.EventLog = (*Log)(nil)
	_ projections.Log   = (*Log)(nil)
)

// NewLog returns an empty log.
func NewLog() *Log {
	return &Log{streams: map[string][]int{}, commits: map[string]span{}}
}

// Append implements commands.EventLog.
func (l *Log) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	if err := commands.CheckCommit(c); err != nil {
		return domain.Appended{}, fmt.Errorf("append to stream %s: %w", c.Stream, err)
	}
	encoded, err := c.Encode()
	if err != nil {
		return domain.Appended{}, fmt.Errorf("append to stream %s: %w", c.Stream, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return domain.Appended{}, err
	}
	if s, ok := l.commits[c.ID]; ok {
		last := l.events[s.end-1].recorded
		return domain.Appended{Position: last.Position, Version: last.Version}, nil
	}
	if version := len(l.streams[c.Stream]); version != c.Expected {
		return domain.Appended{}, fmt.Errorf("append to stream %s: %w: it is at version %d, not %d",
			c.Stream, domain.ErrConflict, version, c.Expected)
	}
	return l.put(c, encoded), nil
}

// put stores a commit that fits.
func (l *Log) put(c domain.Commit, encoded []domain.EncodedEvent) domain.Appended {
	first := len(l.events)
	for i, e := range encoded {
		l.streams[c.Stream] = append(l.streams[c.Stream], len(l.events))
		l.events = append(l.events, stored{encoded: e, recorded: domain.Recorded{
			Position: domain.Position(first + i + 1), Stream: c.Stream, Version: c.Expected + i + 1,
			Time: time.UnixMicro(c.Time.UnixMicro()).UTC(), Meta: c.Meta,
		}})
	}
	l.commits[c.ID] = span{first, len(l.events)}
	hash := domain.ChainHash(l.end().Hash, domain.Position(first+1), c, encoded)
	l.chain = append(l.chain, link{l.commits[c.ID], c.ID, hash})
	return domain.Appended{Position: domain.Position(len(l.events)), Version: c.Expected + len(encoded)}
}

func (l *Log) end() domain.ChainEnd {
	if len(l.chain) == 0 {
		return domain.ChainEnd{}
	}
	return domain.ChainEnd{Position: domain.Position(len(l.events)), Hash: l.chain[len(l.chain)-1].hash}
}

// ReadStream implements commands.EventLog.
func (l *Log) ReadStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	indexes := l.streams[stream]
	indexes = indexes[min(max(after, 0), len(indexes)):]
	found := make([]stored, len(indexes))
	for i, index := range indexes {
		found[i] = l.events[index]
	}
	return decode(ctx, found)
}

// ReadCommit implements commands.EventLog.
func (l *Log) ReadCommit(ctx context.Context, id string) ([]domain.Recorded, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.commits[id]
	return decode(ctx, l.events[s.first:s.end])
}

// ReadAfter implements projections.Log.
func (l *Log) ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	first := int(min(max(after, 0), domain.Position(len(l.events))))
	end := min(first+min(max(limit, 0), len(l.events)), len(l.events))
	return decode(ctx, l.events[first:end])
}

// Head implements projections.Log.
func (l *Log) Head(ctx context.Context) (domain.Position, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return domain.Position(len(l.events)), ctx.Err()
}

func decode(ctx context.Context, events []stored) ([]domain.Recorded, error) {
	if err := ctx.Err(); err != nil || len(events) == 0 {
		return nil, err
	}
	out := make([]domain.Recorded, len(events))
	for i, s := range events {
		e, err := domain.DecodeEvent(s.encoded.Type, s.encoded.Data)
		if err != nil {
			return nil, fmt.Errorf("read the event at %d: %w", s.recorded.Position, err)
		}
		out[i] = s.recorded
		out[i].Event = e
	}
	return out, nil
}
