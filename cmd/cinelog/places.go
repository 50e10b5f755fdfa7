package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/localfs"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

// places says where things are kept, each by itself. The defaults keep everything in one folder of this machine.
type places struct {
	Data  string `help:"Folder of this process: all that is kept on this machine, and caches." default:"./data" env:"CINELOG_DATA" type:"path"`
	Log   string `help:"The event log: sqlite:DIR or mongodb://HOST/DATABASE (default: the data folder)." env:"CINELOG_LOG" placeholder:"URL"`
	Views string `help:"The read models: sqlite:DIR or mongodb://HOST/DATABASE (default: the data folder)." env:"CINELOG_VIEWS" placeholder:"URL"`
	Bus   string `help:"Messages: sqlite:DIR, or aws:PREFIX for SNS and SQS (default: the data folder)." env:"CINELOG_BUS" placeholder:"URL"`
	Blobs string `help:"Media: file:DIR or s3://BUCKET/PREFIX?region=&endpoint=&path-style=&cdn= (default: the data folder)." env:"CINELOG_BLOBS" placeholder:"URL"`
}

// place is one of them, taken apart.
type place struct {
	scheme string // sqlite, mongodb, aws, file or s3
	rest   string // a directory, a prefix of names, or the whole URL
}

func parsePlace(flag, value, usual string, schemes ...string) (place, error) {
	if value == "" {
		return place{schemes[0], usual}, nil
	}
	scheme, rest, _ := strings.Cut(value, ":")
	for _, known := range schemes {
		switch {
		case scheme != known && (known != "mongodb" || scheme != "mongodb+srv"):
			continue
		case known == "mongodb" || known == "s3":
			return place{known, value}, nil
		case rest == "" && known != "aws":
			return place{known, usual}, nil
		}
		return place{known, rest}, nil
	}
	return place{}, usageError(fmt.Sprintf("--%s %q: it begins with %s", flag, value, strings.Join(schemes, ":, ")+":"))
}

func (p places) log() (place, error) { return parsePlace("log", p.Log, p.Data, "sqlite", "mongodb") }

func (p places) views() (place, error) {
	return parsePlace("views", p.Views, p.Data, "sqlite", "mongodb")
}
func (p places) bus() (place, error) { return parsePlace("bus", p.Bus, p.Data, "sqlite", "aws") }
func (p places) blobs() (place, error) {
	return parsePlace("blobs", p.Blobs, filepath.Join(p.Data, "blobs"), "file", "s3")
}

// opener opens places, and closes in the reverse order what it has opened.
type opener struct {
	places

	logger  *slog.Logger
	lease   time.Duration // of messages; the default when 0
	tries   int           // of messages; the default when 0
	mongos  map[string]*mongo.DB
	ops     operations
	closers []io.Closer
}

func (p places) opener(log *slog.Logger) *opener {
	return &opener{places: p, logger: log, mongos: map[string]*mongo.DB{}}
}

func (o *opener) Close() error {
	var errs []error
	for _, c := range slices.Backward(o.closers) {
		errs = append(errs, c.Close())
	}
	o.closers = nil
	return errors.Join(errs...)
}

// keep closes c with the opener.
func keep[C io.Closer](o *opener, c C, err error) (C, error) {
	if err == nil {
		o.closers = append(o.closers, c)
	}
	return c, err
}

// mongo connects once to each database.
func (o *opener) mongo(ctx context.Context, uri string) (*mongo.DB, error) {
	if db, ok := o.mongos[uri]; ok {
		return db, nil
	}
	db, err := mongo.Open(ctx, uri, time.Now)
	if db, err = keep(o, db, err); err == nil {
		o.mongos[uri] = db
	}
	return db, unreached(err, "is the server up? --log and --views say where it is")
}

// ready says whether the databases can be reached that hold the log and the read models. Where only storage or messages
// are away, most requests can still be served.
func (o *opener) ready(ctx context.Context) error {
	for _, db := range o.mongos {
		if err := db.Ping(ctx); err != nil {
			return err
		}
	}
	return nil
}

// unreached says what to look at when nothing answers at a place.
func unreached(err error, hint string) error {
	if errors.Is(err, domain.ErrUnavailable) {
		return fmt.Errorf("%w (%s)", err, hint)
	}
	return err
}

// eventLog is the log, to append to and to read from.
type eventLog interface {
	commands.EventLog
	commands.CommitReader
	commands.TextEraser
	projections.Log
}

// wholeLog is a log to which other logs' commits may go too.
type wholeLog interface {
	eventLog
	commands.CommitLog
}

// openLog opens the log for a server. alone says that no other process can append to it.
func (o *opener) openLog(ctx context.Context) (log eventLog, alone bool, err error) {
	at, err := o.log()
	if err != nil {
		return nil, false, err
	}
	if at.scheme == "mongodb" {
		db, err := o.mongo(ctx, at.rest)
		if err != nil {
			return nil, false, err
		}
		l, err := mongo.OpenLog(ctx, db)
		l, err = keep(o, l, err)
		return l, false, err
	}
	if at.rest != o.Data { // which is locked already
		release, err := lockData(at.rest)
		if err != nil {
			return nil, false, err
		}
		o.closers = append(o.closers, closer(release))
	}
	l, err := sqlite.OpenLog(ctx, at.rest)
	l, err = keep(o, l, err)
	return l, true, err
}

// logReader is the log, for commands that look at it beside a server or without one.
type logReader interface {
	projections.Log
	commands.CommitReader
	ReadStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error)
	Streams(ctx context.Context) ([]string, error)
	VerifyChain(ctx context.Context) (findings []string, err error)
}

func (o *opener) readLog(ctx context.Context) (logReader, error) {
	at, err := o.log()
	if err != nil {
		return nil, err
	}
	if at.scheme == "mongodb" {
		db, err := o.mongo(ctx, at.rest)
		if err != nil {
			return nil, err
		}
		return mongo.OpenLogReadOnly(ctx, db)
	}
	l, err := openLogToRead(ctx, at.rest)
	return keep(o, l, err)
}

// lockLog makes sure that no server uses the log meanwhile, where it is on this machine: elsewhere nothing says so.
func (o *opener) lockLog() error {
	at, err := o.log()
	if err != nil || at.scheme == "mongodb" {
		return err
	}
	release, err := lockData(at.rest)
	if err == nil {
		o.closers = append(o.closers, closer(release))
	}
	return err
}

// appendBeside opens a log that is there, to append to it beside a server or without one.
func (o *opener) appendBeside(ctx context.Context) (eventLog, error) {
	at, err := o.log()
	if err == nil && at.scheme == "sqlite" && !hasLog(at.rest) {
		err = fmt.Errorf("%w: there is no event log in %s", domain.ErrNotFound, at.rest)
	}
	if err != nil {
		return nil, err
	}
	return o.importLog(ctx)
}

// importLog opens the log, which lockLog has locked, to put another one's commits into it.
func (o *opener) importLog(ctx context.Context) (wholeLog, error) {
	at, err := o.log()
	if err != nil {
		return nil, err
	}
	if at.scheme == "mongodb" {
		db, err := o.mongo(ctx, at.rest)
		if err != nil {
			return nil, err
		}
		l, err := mongo.OpenLog(ctx, db)
		return keep(o, l, err)
	}
	l, err := sqlite.OpenLog(ctx, at.rest)
	return keep(o, l, err)
}

// checkLog opens the log to look what importing into it would do. One that is not there yet is empty.
func (o *opener) checkLog(ctx context.Context) (commands.CommitReader, error) {
	at, err := o.log()
	if err != nil {
		return nil, err
	}
	if at.scheme == "sqlite" && !hasLog(at.rest) {
		return memory.NewLog(), nil
	}
	return o.readLog(ctx)
}

// media is the storage of blobs, with the addresses at which players find them.
type media struct {
	commands.Blobs
	web.Media

	sum  func(ctx context.Context, key string) (string, error)
	here bool // as files of this machine
	// url and origin are for storage that serves media itself.
	url    func(domain.Blob) string
	origin string
	check  func(context.Context) error // may be nil
	// abortStale drops uploads to storage that were begun before a moment and never ended; may be nil.
	abortStale func(ctx context.Context, before time.Time) (int, error)
	// temporary lists files that are half written, and dropTemporary removes one; both may be nil.
	temporary     func() ([]commands.StoredBlob, error)
	dropTemporary func(key string) error
}

func (o *opener) openBlobs(ctx context.Context) (media, error) {
	at, err := o.blobs()
	if err != nil {
		return media{}, err
	}
	if at.scheme == "file" {
		s, err := localfs.Open(at.rest)
		if s, err = keep(o, s, err); err != nil {
			return media{}, err
		}
		return media{Blobs: s, Media: s, sum: s.Sum, here: true, temporary: s.Temporary, dropTemporary: s.DropTemporary}, nil
	}
	s, err := o.openS3(ctx, at)
	if err != nil {
		return media{}, err
	}
	if err := s.Check(ctx); err != nil {
		return media{}, unreached(err, "is it up? the endpoint in --blobs says where it is")
	}
	return media{
		Blobs: s, Media: s, sum: s.Sum, url: s.MediaURL, origin: s.MediaOrigin(), check: s.Check, abortStale: s.AbortStale,
	}, nil
}

func (o *opener) openS3(ctx context.Context, at place) (*s3.Store, error) {
	options, err := s3.ParseURL(at.rest)
	if err != nil {
		return nil, err
	}
	options.CacheDir, options.ContentType, options.Now = filepath.Join(o.Data, "cache"), web.MediaType, time.Now
	s, err := s3.Open(ctx, options)
	return keep(o, s, err)
}

// openBus opens the queues of a server. The relay's checkpoint lies with the messages, or with the read models where
// messages are elsewhere.
func (o *opener) openBus(ctx context.Context) (messageBus, error) {
	at, err := o.bus()
	if err != nil {
		return nil, err
	}
	if at.scheme == "sqlite" {
		return o.openQueues(ctx, at, bus.Options{Log: o.logger, Now: time.Now, Lease: o.lease, MaxReceive: o.tries})
	}
	options, err := o.awsOptions(ctx, at)
	if err != nil {
		return nil, err
	}
	options.DoNotCreate, options.MaxReceive = true, o.tries
	b, err := aws.Open(ctx, options)
	if b, err = keep(o, b, err); err != nil {
		return nil, unreached(err, "is there a way to it? AWS_REGION and AWS_ENDPOINT_URL say where it is")
	}
	checkpoint, err := o.relayCheckpoint(ctx)
	return awsBus{b, checkpoint}, err
}

func (o *opener) openQueues(ctx context.Context, at place, options bus.Options) (messageBus, error) {
	db, err := sqlite.OpenDB(ctx, filepath.Join(at.rest, "bus.db"), sqlite.Normal)
	if db, err = keep(o, db, err); err != nil {
		return nil, err
	}
	options.Durable = []string{messaging.TopicViews} // the others can be published again
	queues, err := bus.Open(ctx, db, options)
	if queues, err = keep(o, queues, err); err != nil {
		return nil, err
	}
	for topic, groups := range consumerGroups() {
		for _, group := range groups {
			if err := queues.DeclareGroup(ctx, topic, group); err != nil {
				return nil, err
			}
		}
	}
	return sqliteBus{queues}, nil
}

func (o *opener) awsOptions(ctx context.Context, at place) (aws.Options, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Options{}, fmt.Errorf("find the settings of AWS: %w", err)
	}
	options := aws.Options{Config: cfg, Log: o.logger, Now: time.Now, Prefix: at.rest, Lease: o.lease}
	options.Topics = awsTopics()
	return options, nil
}

func awsTopics() (topics []aws.Topic) {
	for topic, groups := range consumerGroups() {
		t := aws.Topic{Name: topic, Work: slices.Contains(messaging.TaskTopics(), topic)}
		for _, group := range groups {
			t.Groups = append(t.Groups, aws.Group{Name: group, Types: wantedTypes(topic, group)})
		}
		topics = append(topics, t)
	}
	return topics
}

// inspectBus opens the queues beside the server that works on them.
func (o *opener) inspectBus(ctx context.Context) (messageBus, error) {
	at, err := o.bus()
	if err != nil {
		return nil, err
	}
	if at.scheme == "sqlite" {
		return o.openQueues(ctx, at, bus.Options{Shared: true, Now: time.Now})
	}
	return o.openBus(ctx)
}

// existingBus is inspectBus where a server has been: nothing is made.
func (o *opener) existingBus(ctx context.Context) (messageBus, error) {
	at, err := o.bus()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(at.rest, "bus.db")); at.scheme == "sqlite" && err != nil {
		return nil, errors.New("there are no messages yet")
	}
	return o.inspectBus(ctx)
}

// relayCheckpoint keeps how far the relay has come as a read model that has no rows.
func (o *opener) relayCheckpoint(ctx context.Context) (*rowsCheckpoint, error) {
	at, err := o.views()
	if err != nil {
		return nil, err
	}
	model := projections.RelayModel()
	if at.scheme == "mongodb" {
		db, err := o.mongo(ctx, at.rest)
		if err != nil {
			return nil, err
		}
		rows, err := mongo.OpenRows(ctx, db, model)
		return &rowsCheckpoint{rows: rows}, err
	}
	rows, err := sqlite.OpenRows(ctx, at.rest, model)
	rows, err = keep(o, rows, err)
	return &rowsCheckpoint{rows: rows}, err
}
