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
// Why this is right: a commit is inserted under the position after the newest commit that the writer knows. When that
// succeeds nobody has appended in between, so whatever the writer had known of the streams' versions at that commit, or
// later, still held. When it fails as a duplicate somebody was faster: the writer reads what was appended and starts
// over. What it knows it has read with majority concern or has had acknowledged, so it is never rolled back; when it
// does not hear what became of an insert it knows as much as before, and the next insert shows.
type writer struct {
	commits *mongo.Collection

	known    bool            // next and hash are the end of the log, as far as this process knows
	next     domain.Position // of the next event
	hash     []byte          // of the newest commit
	versions map[string]int  // of streams, as of next or later; not of all
}

const (
	maxVersions = 50_000 // streams whose version is remembered
	maxTail     = 1000   // commits of others that are read one by one; where there are more, all is forgotten
)

func newWriter(commits *mongo.Collection) *writer {
	return &writer{commits: commits, versions: map[string]int{}}
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
	if !w.known {
		if err := w.forget(ctx); err != nil {
			return todo, err
		}
	}
	if err := w.learnVersions(ctx, todo, 1); err != nil {
		return todo, err
	}
	ready, doubtful, later := w.sort(todo)
	if len(doubtful) > 0 {
		open, err := w.settle(ctx, doubtful)
		return append(append(open, ready...), later...), err
	}
	open, err := w.insert(ctx, ready)
	return append(open, later...), err
}

// sort says which appends fit to what is known (ready, in this order), which do not (doubtful), and which depend on
// one that is ready: the same id, or the same stream at a version that is not there yet.
func (w *writer) sort(todo []*pending) (ready, doubtful, later []*pending) {
	ids := map[string]bool{}
	added := map[string]int{}
	for _, p := range todo {
		c := p.commit
		version, again := added[c.Stream]
		if !again {
			version = w.versions[c.Stream]
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

// insert sends commits in one ordered insert and returns those that are not done with: a prefix is stored, and one after
// it may have got an error of its own.
func (w *writer) insert(ctx context.Context, ready []*pending) (rest []*pending, err error) {
	if len(ready) == 0 {
		return nil, nil
	}
	docs := make([]*commitDoc, len(ready))
	next, hash := w.next, w.hash
	for i, p := range ready {
		d := p.doc
		d.First, d.Last = next, next+domain.Position(len(p.events))-1
		d.Hash = domain.ChainHash(hash, d.First, p.commit, p.events)
		docs[i] = &d
		next, hash = d.Last+1, d.Hash
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
		w.follow(d)
	}
	switch {
	case err == nil:
		return nil, nil
	case mongo.IsDuplicateKeyError(err):
		rest = ready[stored:]
		// Most often somebody else has appended; if nobody has, it is the id, or the first version of the stream.
		if moved, err := w.catchUp(ctx); moved || err != nil {
			return rest, err
		}
		return w.settle(ctx, rest)
	}
	ready[stored].err = unavailable(ctx, err) // something about this one
	return ready[stored+1:], nil
}

// follow goes on to the end of a commit that comes after all that is known.
func (w *writer) follow(d *commitDoc) {
	w.next, w.hash = d.Last+1, d.Hash
	if len(w.versions) >= maxVersions {
		clear(w.versions)
	}
	w.versions[d.Stream] = max(w.versions[d.Stream], d.Next-1)
}

// settle decides about appends that do not fit to what is known: those whose id is there get its result, those whose
// stream is elsewhere a conflict, and the rest is returned, to be tried again.
func (w *writer) settle(ctx context.Context, doubtful []*pending) (open []*pending, err error) {
	if _, err := w.catchUp(ctx); err != nil {
		return doubtful, err
	}
	if err := w.learnVersions(ctx, doubtful, 0); err != nil {
		return doubtful, err
	}
	ids := make(bson.A, len(doubtful))
	for i, p := range doubtful {
		ids[i] = p.commit.ID
	}
	there := map[string]domain.Appended{}
	err = eachCommit(ctx, w.commits, bson.D{{Key: "id", Value: bson.D{{Key: "$in", Value: ids}}}},
		options.Find().SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "last", Value: 1}, {Key: "next", Value: 1}}),
		func(c *commitDoc) error {
			there[c.ID] = domain.Appended{Position: c.Last, Version: c.Next - 1}
			return nil
		})
	if err != nil {
		return doubtful, err
	}
	for _, p := range doubtful {
		if result, ok := there[p.commit.ID]; ok {
			p.result = result
			continue
		}
		if version := w.versions[p.commit.Stream]; version != p.commit.Expected {
			p.err = fmt.Errorf("%w: the stream is at version %d, not %d", domain.ErrConflict, version, p.commit.Expected)
			continue
		}
		open = append(open, p)
	}
	return open, nil
}

// forget drops all that is known and reads the end of the log.
func (w *writer) forget(ctx context.Context) error {
	newest, err := (&LogReader{w.commits}).newest(ctx)
	if err != nil {
		return err
	}
	clear(w.versions)
	w.next, w.hash, w.known = newest.Last+1, newest.Hash, true
	return nil
}

// catchUp reads what others have appended, and says whether there was anything.
func (w *writer) catchUp(ctx context.Context) (moved bool, err error) {
	n := 0
	err = eachCommit(ctx, w.commits, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: w.next}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(maxTail).
			SetProjection(bson.D{{Key: "last", Value: 1}, {Key: "stream", Value: 1}, {Key: "next", Value: 1}, {Key: "hash", Value: 1}}),
		func(c *commitDoc) error {
			if c.First != w.next {
				return fmt.Errorf("the log has no event at %d but one at %d: it is damaged", w.next, c.First)
			}
			w.follow(c)
			n++
			return nil
		})
	if err == nil && n == maxTail {
		err = w.forget(ctx)
	}
	return n > 0, err
}

// learnVersions reads the versions of the streams of these appends, as far as they are not known, where at least one
// expects this version or a higher one: a stream that is expected to be new needs no look, since the unique index of
// stream and version refuses a second first commit.
func (w *writer) learnVersions(ctx context.Context, todo []*pending, least int) error {
	lowest := map[string]int{}
	for _, p := range todo {
		c := p.commit
		if _, known := w.versions[c.Stream]; known {
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
			w.versions[c.Stream] = max(w.versions[c.Stream], c.Next-1)
			return nil
		})
}
