package mongo

import (
	"context"
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// commitDoc is a commit. There is one document for each, so that a commit can only be there as a whole. Its key is the
// position of its first event, the next one's key is that of Last+1: of all who want to append at one place, the unique
// key lets one in, and whether there is a next commit is one look at one key. The newest commit is never deleted, nor is
// any other; nor is one changed, except that texts of events are erased.
type commitDoc struct {
	Key     string          `bson:"_id"`     // commitKey(First)
	First   domain.Position `bson:"first"`   // position of the first event
	Last    domain.Position `bson:"last"`    // position of the last event
	Stream  string          `bson:"stream"`  //
	Version int             `bson:"version"` // of the first event
	Next    int             `bson:"next"`    // the version that the stream's next commit begins with
	ID      string          `bson:"id"`
	Time    int64           `bson:"time"` // microseconds since 1970, UTC
	Meta    metaDoc         `bson:"meta"`
	Events  []eventDoc      `bson:"events"`
	Hash    []byte          `bson:"hash"` // domain.ChainHash over the hash of the commit before
}

type metaDoc struct {
	Actor       string `bson:"actor,omitempty"`
	Correlation string `bson:"correlation,omitempty"`
	Causation   string `bson:"causation,omitempty"`
	Request     string `bson:"request,omitempty"`
}

// eventDoc is an event. Its data stays the text that was hashed.
type eventDoc struct {
	Type string `bson:"type"`
	Data string `bson:"data"`
}

// commitKey is the key of the commit that begins at a position. Keys sort as positions do. They are text since not every
// server that speaks the protocol finds a number by its index.
func commitKey(first domain.Position) string { return fmt.Sprintf("%020d", max(first, 0)) }

// size is how many bytes of text are in a commit, with what BSON adds to each event.
func (c *commitDoc) size() int {
	n := len(c.ID) + len(c.Stream) + len(c.Meta.Actor) + len(c.Meta.Correlation) + len(c.Meta.Causation) + len(c.Meta.Request)
	for _, e := range c.Events {
		n += len(e.Type) + len(e.Data) + eventOverhead
	}
	return n
}

// logFormat is the format of the log that this program reads and writes. In the first one the keys were numbers.
const logFormat = 2

func logCollection() collection {
	return collection{name: "commits", indexes: []index{
		{name: "stream_version", keys: bson.D{{Key: "stream", Value: 1}, {Key: "version", Value: 1}}, unique: true},
		{name: "commit_id", keys: bson.D{{Key: "id", Value: 1}}, unique: true},
	}}
}

// LogReader reads the event log and cannot change it.
type LogReader struct {
	commits *mongo.Collection
	tail    *tail
}

// Log is the event log. Any number of processes may append to the same one.
type Log struct {
	*LogReader

	writer  *writer
	queue   chan *pending // unbuffered: an append that was received is in the running batch
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once

	importing sync.Mutex
	imported  domain.ChainEnd // where the last import left the log; zero when that is not known
}

var (
	_ commands.EventLog = (*Log)(nil)
	_ projections.Log   = (*Log)(nil)
	_ projections.Log   = (*LogReader)(nil)
)

// OpenLog opens the event log, which Provision has created. ErrNotFound when it has not. Close it; db stays open.
func OpenLog(ctx context.Context, db *DB) (*Log, error) {
	reader, err := OpenLogReadOnly(ctx, db)
	if err != nil {
		return nil, err
	}
	l := &Log{
		LogReader: reader, writer: &writer{commits: reader.commits, tail: reader.tail},
		queue: make(chan *pending), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go l.write() //nolint:gosec,contextcheck // it ends with Close and not with the opener's context
	return l, nil
}

// OpenLogReadOnly opens the event log for reading. It needs no closing.
func OpenLogReadOnly(ctx context.Context, db *DB) (*LogReader, error) {
	c := logCollection()
	err := db.provisioned(ctx, c)
	if err == nil {
		err = db.checkFormat(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	commits := db.db.Collection(c.name)
	return &LogReader{commits: commits, tail: newTail(commits, db.tailBytes)}, nil
}

// Close lets the running batch end. Appends that were not picked up, and all later ones, are ErrUnavailable.
func (l *Log) Close() error {
	l.once.Do(func() {
		close(l.stop)
		<-l.stopped
	})
	return nil
}
