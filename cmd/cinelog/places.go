package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
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
