package mongo

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const (
	// maxBatch is how many commits are sent at once. FerretDB goes on with the next hundred when one of a hundred
	// fails, whatever it was told; MongoDB takes far more.
	maxBatch = 100
	// maxBatchBytes bounds a batch's memory; it always goes into one message of at most 48 MB.
	maxBatchBytes = 8 << 20
	// maxCommit is the most that one commit may hold, so that its document stays below MongoDB's 16 MiB.
	maxCommit = 15 << 20
	// batchTimeout bounds the time for which a batch keeps its callers, also when the server went away.
	batchTimeout = 10 * time.Second
)

// pending is an append that waits for its batch.
type pending struct {
	commit domain.Commit
	events []domain.EncodedEvent
	doc    commitDoc // without its place and hash
	size   int

	result domain.Appended
	err    error
	done   chan struct{}
}

// Append implements commands.EventLog. When ctx ends before the writer has picked the commit up, nothing is stored and
// the error is ctx's; from then on Append waits for the real result, at most as long as one batch may take.
func (l *Log) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	p, err := newPending(c)
	if err != nil {
		return domain.Appended{}, fmt.Errorf("append to stream %s: %w", c.Stream, err)
	}
	if err := ctx.Err(); err != nil {
		return domain.Appended{}, err
	}
	select {
	case l.queue <- p:
		<-p.done
	case <-ctx.Done():
		return domain.Appended{}, ctx.Err()
	case <-l.stop:
		p.err = fmt.Errorf("%w: the log is closed", domain.ErrUnavailable)
	}
	if p.err != nil {
		return domain.Appended{}, fmt.Errorf("append to stream %s: %w", c.Stream, p.err)
	}
	return p.result, nil
}

// newPending encodes a commit, in the caller's goroutine, so that the writer has nothing to do but write.
func newPending(c domain.Commit) (*pending, error) {
	if err := commands.CheckCommit(c); err != nil {
		return nil, err
	}
	events, err := c.Encode()
	if err != nil {
		return nil, err
	}
	p := &pending{commit: c, events: events, done: make(chan struct{}), doc: commitDoc{
		Stream: c.Stream, Version: c.Expected + 1, Next: c.Expected + 1 + len(events), ID: c.ID, Time: c.Time.UnixMicro(),
		Meta: metaDoc(c.Meta), Events: make([]eventDoc, len(events)),
	}}
	for i, e := range events {
		p.doc.Events[i] = eventDoc{Type: e.Type, Data: string(e.Data)}
	}
	p.size = p.doc.size()
	if p.size > maxCommit {
		return nil, fmt.Errorf("%w: a commit of %d bytes, at most %d", domain.ErrTooLarge, p.size, maxCommit)
	}
	return p, nil
}

// eventOverhead is what BSON adds to an event.
const eventOverhead = 40

// write is the one goroutine of this process that writes. Every append that waits goes into the next batch, so that
// they share its way to the server and its fsync.
func (l *Log) write() {
	defer close(l.stopped)
	for {
		select {
		case p := <-l.queue:
			// A batch belongs to many callers: no single one's context may end it.
			ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
			batch := l.collect(p)
			l.writer.store(ctx, batch)
			cancel()
			for _, p := range batch {
				close(p.done)
			}
		case <-l.stop:
			return
		}
	}
}

// collect returns first with whatever else waits.
func (l *Log) collect(first *pending) []*pending {
	batch := []*pending{first}
	size := first.size
	for yielded := 0; len(batch) < maxBatch && size < maxBatchBytes; {
		select {
		case p := <-l.queue:
			yielded = 0
			batch = append(batch, p)
			size += p.size
			continue
		default:
		}
		if yielded == maxYields {
			break
		}
		// The callers of the last batch may be about to append again: turns for them cost nothing beside a round trip.
		runtime.Gosched()
		yielded++
	}
	return batch
}

const maxYields = 1
