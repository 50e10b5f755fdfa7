package memory

import (
	"bytes"
	"context"
	"fmt"
	"sort"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

var _ commands.CommitLog = (*Log)(nil)

// EachCommit implements commands.CommitReader.
func (l *Log) EachCommit(ctx context.Context, after domain.Position, limit int, each func(domain.StoredCommit) error) error {
	for _, c := range l.commitsAfter(after, limit) { // without the lock: each may take its time, or append
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := each(c); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (l *Log) commitsAfter(after domain.Position, limit int) []domain.StoredCommit {
	l.mu.RLock()
	defer l.mu.RUnlock()
	from := sort.Search(len(l.chain), func(i int) bool { return domain.Position(l.chain[i].first) >= after })
	var out []domain.StoredCommit
	for _, link := range l.chain[from:min(from+max(limit, 0), len(l.chain))] {
		first := l.events[link.first].recorded
		c := domain.StoredCommit{First: first.Position, Hash: bytes.Clone(link.hash), Commit: domain.Commit{
			ID: link.id, Stream: first.Stream, Expected: first.Version - 1, Time: first.Time, Meta: first.Meta,
		}}
		for _, e := range l.events[link.first:link.end] {
			c.Events = append(c.Events, domain.EncodedEvent{Type: e.encoded.Type, Data: bytes.Clone(e.encoded.Data)})
		}
		out = append(out, c)
	}
	return out
}

// Import implements commands.CommitLog.
func (l *Log) Import(ctx context.Context, commits []domain.StoredCommit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range commits {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.importOne(c); err != nil {
			return fmt.Errorf("import commits: %w", err)
		}
	}
	return nil
}

// EraseTexts implements commands.TextEraser.
func (l *Log) EraseTexts(ctx context.Context, stream string, e domain.VideoErased) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	indexes := l.streams[stream]
	if err := e.Within(len(indexes)); err != nil {
		return fmt.Errorf("erase texts of stream %s: %w", stream, err)
	}
	c := domain.StoredCommit{Commit: domain.Commit{Stream: stream}} // all of the stream as if it was one
	for _, i := range indexes {
		c.Events = append(c.Events, l.events[i].encoded)
	}
	events, changed, err := e.Apply(c)
	if err != nil {
		return err
	}
	for _, i := range changed {
		l.events[indexes[i]].encoded = events[i]
	}
	return nil
}

func (l *Log) importOne(c domain.StoredCommit) error {
	end := l.end()
	if c.First <= end.Position {
		at := sort.Search(len(l.chain), func(i int) bool { return domain.Position(l.chain[i].first+1) >= c.First })
		if at == len(l.chain) || !bytes.Equal(l.chain[at].hash, c.Hash) {
			return fmt.Errorf("%w: the log has another commit at position %d", domain.ErrConflict, c.First)
		}
		return nil
	}
	if _, err := end.Follow(c); err != nil {
		return err
	}
	_, taken := l.commits[c.Commit.ID]
	switch {
	case len(c.Events) > commands.MaxCommitEvents:
		return fmt.Errorf("%w: the commit at position %d has %d events", domain.ErrTooLarge, c.First, len(c.Events))
	case taken, len(l.streams[c.Commit.Stream]) != c.Commit.Expected:
		return fmt.Errorf("%w: for the commit at position %d, its id is in the log or its stream is not at version %d",
			domain.ErrConflict, c.First, c.Commit.Expected)
	}
	events := make([]domain.EncodedEvent, len(c.Events))
	for i, e := range c.Events {
		events[i] = domain.EncodedEvent{Type: e.Type, Data: bytes.Clone(e.Data)}
	}
	l.put(c.Commit, events)
	return nil
}
