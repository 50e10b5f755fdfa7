package mongo

import (
	"bytes"
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

var (
	_ commands.CommitLog    = (*Log)(nil)
	_ commands.CommitReader = (*LogReader)(nil)
)

// EachCommit implements commands.CommitReader.
func (r *LogReader) EachCommit(ctx context.Context, after domain.Position, limit int, each func(domain.StoredCommit) error) error {
	if limit < 1 {
		return nil
	}
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(limit))
	var failed error
	err := eachCommit(ctx, r.commits, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: commitKey(after)}}}}, o, func(c *commitDoc) error {
		if failed = each(c.stored()); failed != nil {
			return errEnough
		}
		return nil
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return fmt.Errorf("read the commits after %d: %w", after, err)
	}
	return nil
}

func (c *commitDoc) stored() domain.StoredCommit {
	s := domain.StoredCommit{
		First: c.First, Hash: c.Hash, Events: make([]domain.EncodedEvent, len(c.Events)),
		Commit: domain.Commit{
			ID: c.ID, Stream: c.Stream, Expected: c.Version - 1, Time: time.UnixMicro(c.Time).UTC(), Meta: domain.Meta(c.Meta),
		},
	}
	for i, e := range c.Events {
		s.Events[i] = domain.EncodedEvent{Type: e.Type, Data: []byte(e.Data)}
	}
	return s
}

// storedDoc is the document of a commit, with its size as newPending counts it.
func storedDoc(c domain.StoredCommit) (doc *commitDoc, size int, err error) {
	n := len(c.Events)
	doc = &commitDoc{
		Key: commitKey(c.First), First: c.First, Last: c.Last(), Stream: c.Commit.Stream, Version: c.Commit.Expected + 1, Next: c.Commit.Expected + 1 + n,
		ID: c.Commit.ID, Time: c.Commit.Time.UnixMicro(), Meta: metaDoc(c.Commit.Meta), Events: make([]eventDoc, n), Hash: c.Hash,
	}
	for i, e := range c.Events {
		if !utf8.Valid(e.Data) {
			return nil, 0, fmt.Errorf("%w: the event at position %d is not UTF-8", domain.ErrInvalid, c.First+domain.Position(i))
		}
		doc.Events[i] = eventDoc{Type: e.Type, Data: string(e.Data)}
	}
	if size = doc.size(); size > maxCommit || n > commands.MaxCommitEvents {
		return nil, 0, fmt.Errorf("%w: the commit at position %d has %d events of %d bytes, at most %d and %d",
			domain.ErrTooLarge, c.First, n, size, commands.MaxCommitEvents, maxCommit)
	}
	return doc, size, nil
}

// Import implements commands.CommitLog. Commits go in as those of an append do: whoever inserts a position first has it,
// so that an append, or another import, at the same time makes no gap, but an error or nothing left to do.
func (l *Log) Import(ctx context.Context, commits []domain.StoredCommit) error {
	l.importing.Lock()
	defer l.importing.Unlock()
	for len(commits) > 0 {
		rest, err := l.importSome(ctx, commits)
		if err != nil {
			l.imported = domain.ChainEnd{}
			return fmt.Errorf("import commits: %w", err)
		}
		commits = rest
	}
	return nil
}

// importSome takes the first commits and returns the others. Where they go on after the import before, the log is not asked
// where it ends: if somebody else was there, the insert says so.
func (l *Log) importSome(ctx context.Context, commits []domain.StoredCommit) (rest []domain.StoredCommit, err error) {
	if l.imported.Position == 0 || commits[0].First != l.imported.Position+1 {
		newest, err := l.newest(ctx)
		if err != nil {
			return nil, err
		}
		l.imported = domain.ChainEnd{Position: newest.Last, Hash: newest.Hash}
		if commits, err = l.skipThere(ctx, commits, newest.Last); err != nil || len(commits) == 0 {
			return nil, err
		}
	}
	docs, end, err := importBatch(commits, l.imported)
	if err != nil {
		return nil, err
	}
	_, err = l.commits.InsertMany(ctx, docs, options.InsertMany().SetOrdered(true))
	switch {
	case err == nil:
		l.imported = end
		return commits[len(docs):], nil
	case !mongo.IsDuplicateKeyError(err):
		return nil, unavailable(ctx, err)
	}
	newest, failed := l.newest(ctx)
	if failed != nil {
		return nil, failed
	}
	if newest.Last <= l.imported.Position { // nobody else is there, so it is not the position
		return nil, fmt.Errorf("%w: after position %d, a commit's id or its stream's version is taken: %w",
			domain.ErrConflict, newest.Last, err)
	}
	l.imported = domain.ChainEnd{} // look again: it may be the same commits
	return commits, nil
}

// importBatch makes documents of as many commits as go into one insert, and says where the log ends after them.
func importBatch(commits []domain.StoredCommit, end domain.ChainEnd) (docs []*commitDoc, _ domain.ChainEnd, _ error) {
	size := 0
	for _, c := range commits {
		doc, n, err := storedDoc(c)
		if err != nil {
			return nil, end, err
		}
		if len(docs) > 0 && (len(docs) == maxBatch || size+n > maxBatchBytes) {
			break
		}
		if end, err = end.Follow(c); err != nil {
			return nil, end, err
		}
		docs, size = append(docs, doc), size+n
	}
	return docs, end, nil
}

// skipThere returns the commits after head. Those before must be in the log: the hash says so for all that is in a commit
// and before it.
func (l *Log) skipThere(ctx context.Context, commits []domain.StoredCommit, head domain.Position) ([]domain.StoredCommit, error) {
	n := 0
	for n < len(commits) && commits[n].First <= head {
		n++
	}
	if n == 0 {
		return commits, nil
	}
	hashes := map[domain.Position][]byte{}
	err := eachCommit(ctx, l.commits,
		bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: commitKey(commits[0].First)}, {Key: "$lte", Value: commitKey(commits[n-1].First)}}}},
		options.Find().SetProjection(bson.D{{Key: "first", Value: 1}, {Key: "hash", Value: 1}}), func(c *commitDoc) error {
			hashes[c.First] = c.Hash
			return nil
		})
	if err != nil {
		return nil, err
	}
	for _, c := range commits[:n] {
		if !bytes.Equal(hashes[c.First], c.Hash) {
			return nil, fmt.Errorf("%w: the log has another commit at position %d", domain.ErrConflict, c.First)
		}
	}
	return commits[n:], nil
}
