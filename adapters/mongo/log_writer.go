package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// writer appends to the end of the log, together with other processes.
//
// Why this is right: a commit is inserted under the position after the end of the log that the tail knew when the round
// began, and the versions of streams are looked at after that. When the insert succeeds nobody has appended in between,
// so whatever was known of the versions at that end, or later, still held. When it fails as a duplicate somebody was
// faster: the writer has the tail look at what was appended and starts over. What the tail knows was read with majority
// concern or has been acknowledged, so it is never rolled back; when the writer does not hear what became of an insert
// the tail knows as much as before, and the next look or the next insert shows. Readers may bring the tail further at
// any moment, also to a commit of the writer that it has not heard of yet: then the same commit is put there twice,
// which changes nothing.
type writer struct {
	commits *mongo.Collection
	tail    *tail
}

// store gives every pending append its result or its error.
func (w *writer) store(ctx context.Context, todo []*pending) {
	for round := 0; len(todo) > 0; round++ {
		before := len(todo)
		var err error
		if todo, err = w.round(ctx, todo); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
			}
			for _, p := range todo {
				p.err = err
			}
			return
		}
		if len(todo) == before && round > 0 {
			w.pause(ctx, round)
		}
	}
}

// pause lets a faster process finish: what it has inserted may not be readable yet.
func (w *writer) pause(ctx context.Context, round int) {
	t := time.NewTimer(min(time.Duration(round)*time.Millisecond, 50*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// round stores what can be stored now, answers what can be answered now, and returns the rest. An error is the store's
// and holds for the rest.
func (w *writer) round(ctx context.Context, todo []*pending) (rest []*pending, err error) {
	end, known := w.tail.last()
	if !known {
		if err := w.tail.advance(ctx); err != nil {
			return todo, err
		}
		end, _ = w.tail.last()
	}
	if err := w.learnVersions(ctx, todo, 1); err != nil {
		return todo, err
	}
	ready, doubtful, later := w.sort(todo)
	if len(doubtful) > 0 {
		open, err := w.settle(ctx, doubtful)
		return append(append(open, ready...), later...), err
	}
	open, err := w.insert(ctx, end, ready)
	return append(open, later...), err
}

// sort says which appends fit to what is known (ready, in this order), which do not (doubtful), and which depend on
// one that is ready: the same id, or the same stream at a version that is not there yet.
func (w *writer) sort(todo []*pending) (ready, doubtful, later []*pending) {
	versions := w.versions(todo)
	ids := map[string]bool{}
	added := map[string]int{}
	for _, p := range todo {
		c := p.commit
		version, again := added[c.Stream]
		if !again {
			version = versions[c.Stream]
		}
		switch {
		case ids[c.ID]:
			later = append(later, p)
		case version == c.Expected:
			ready = append(ready, p)
			ids[c.ID] = true
			added[c.Stream] = c.Expected + len(p.events)
		case again:
			later = append(later, p)
		default:
			doubtful = append(doubtful, p)
		}
	}
	return ready, doubtful, later
}

// versions returns the versions of the streams of these appends, those that are known.
func (w *writer) versions(todo []*pending) map[string]int {
	w.tail.mu.Lock()
	defer w.tail.mu.Unlock()
	versions := map[string]int{}
	for _, p := range todo {
		if version, ok := w.tail.version(p.commit.Stream); ok {
			versions[p.commit.Stream] = version
		}
	}
	return versions
}

// insert sends commits in one ordered insert, to stand after end, and returns those that are not done with: a prefix is
// stored, and one after it may have got an error of its own.
func (w *writer) insert(ctx context.Context, end domain.ChainEnd, ready []*pending) (rest []*pending, err error) {
	if len(ready) == 0 {
		return nil, nil
	}
	docs := make([]*commitDoc, len(ready))
	last := end
	for i, p := range ready {
		d := p.doc
		d.First, d.Last = last.Position+1, last.Position+domain.Position(len(p.events))
		d.Key = commitKey(d.First)
		d.Hash = domain.ChainHash(last.Hash, d.First, p.commit, p.events)
		docs[i] = &d
		last = domain.ChainEnd{Position: d.Last, Hash: d.Hash}
	}
	stored := len(docs)
	_, err = w.commits.InsertMany(ctx, docs, options.InsertMany().SetOrdered(true))
	if err != nil {
		var failed mongo.BulkWriteException
		switch {
		case !errors.As(err, &failed):
			return ready, unavailable(ctx, err)
		case failed.WriteConcernError != nil || len(failed.WriteErrors) != 1:
			return ready, fmt.Errorf("%w: %w", domain.ErrUnavailable, err) // there, but perhaps not for good
		}
		stored = failed.WriteErrors[0].Index
	}
	for i, d := range docs[:stored] {
		ready[i].result = domain.Appended{Position: d.Last, Version: d.Next - 1}
		w.tail.put(d)
		end.Position = d.Last
	}
	switch {
	case err == nil:
		return nil, nil
	case mongo.IsDuplicateKeyError(err):
		rest = ready[stored:]
		// Most often somebody else has appended; if nobody has, it is the id, or the first version of the stream.
		if err := w.tail.advance(ctx); err != nil {
			return rest, err
		}
		if now, _ := w.tail.last(); now.Position > end.Position {
			return rest, nil
		}
		return w.settle(ctx, rest)
	}
	ready[stored].err = unavailable(ctx, err) // something about this one
	return ready[stored+1:], nil
}

// settle decides about appends that do not fit to what is known: those whose id is there get its result, those whose
// stream is elsewhere a conflict, and the rest is returned, to be tried again.
func (w *writer) settle(ctx context.Context, doubtful []*pending) (open []*pending, err error) {
	if err := w.tail.advance(ctx); err != nil {
		return doubtful, err
	}
	if err := w.learnVersions(ctx, doubtful, 0); err != nil {
		return doubtful, err
	}
	// The ids after the versions: else a commit of ours, of which nobody had heard, might come to be there in between,
	// and be taken for somebody else's.
	versions := w.versions(doubtful)
	there, err := w.results(ctx, doubtful)
	if err != nil {
		return doubtful, err
	}
	for _, p := range doubtful {
		if result, ok := there[p.commit.ID]; ok {
			p.result = result
			continue
		}
		if version := versions[p.commit.Stream]; version != p.commit.Expected {
			p.err = fmt.Errorf("%w: the stream is at version %d, not %d", domain.ErrConflict, version, p.commit.Expected)
			continue
		}
		open = append(open, p)
	}
	return open, nil
}

// results returns the results of those of these appends whose id is in the log.
func (w *writer) results(ctx context.Context, todo []*pending) (map[string]domain.Appended, error) {
	there := map[string]domain.Appended{}
	found := func(c *commitDoc) { there[c.ID] = domain.Appended{Position: c.Last, Version: c.Next - 1} }
	var ask bson.A
	for _, p := range todo {
		if kept, whole := w.tail.commit(p.commit.ID); kept != nil {
			found(kept.doc)
		} else if !whole {
			ask = append(ask, p.commit.ID)
		}
	}
	if len(ask) == 0 {
		return there, nil
	}
	err := eachCommit(ctx, w.commits, bson.D{{Key: "id", Value: bson.D{{Key: "$in", Value: ask}}}},
		options.Find().SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "last", Value: 1}, {Key: "next", Value: 1}}),
		func(c *commitDoc) error {
			found(c)
			return nil
		})
	return there, err
}

// learnVersions reads the versions of the streams of these appends, as far as they are not known, where at least one
// expects this version or a higher one: a stream that is expected to be new needs no look, since the unique index of
// stream and version refuses a second first commit.
func (w *writer) learnVersions(ctx context.Context, todo []*pending, least int) error {
	known := w.versions(todo)
	lowest := map[string]int{}
	for _, p := range todo {
		c := p.commit
		if _, ok := known[c.Stream]; ok {
			continue
		}
		expected := max(c.Expected, 0)
		if other, ok := lowest[c.Stream]; ok {
			expected = min(expected, other)
		}
		lowest[c.Stream] = expected
	}
	var ask bson.A
	for stream, version := range lowest {
		if version < least {
			continue
		}
		// The commits that end after the version expected, or at it: where that is right, the newest one. Where there
		// is none the version is lower, and whatever was expected is wrong.
		ask = append(ask, bson.D{
			{Key: "stream", Value: stream},
			{Key: "version", Value: bson.D{{Key: "$gt", Value: version - commands.MaxCommitEvents}}},
			{Key: "next", Value: bson.D{{Key: "$gt", Value: version}}},
		})
	}
	if len(ask) == 0 {
		return nil
	}
	return eachCommit(ctx, w.commits, bson.D{{Key: "$or", Value: ask}},
		options.Find().SetProjection(bson.D{{Key: "stream", Value: 1}, {Key: "next", Value: 1}}),
		func(c *commitDoc) error {
			w.tail.mu.Lock()
			defer w.tail.mu.Unlock()
			w.tail.learn(c.Stream, c.Next-1)
			return nil
		})
}
