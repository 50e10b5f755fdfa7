package main

import (
	"context"
	"fmt"

	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

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

// logPlace is where the log is, and what lies beside it: a database in MongoDB, or else a folder.
func (o *opener) logPlace(ctx context.Context) (db *mongo.DB, dir string, err error) {
	at, err := o.log()
	if err == nil && at.scheme == "mongodb" {
		db, err = o.mongo(ctx, at.rest)
	}
	return db, at.rest, err
}

// openLog opens the log for a server. alone says that no other process can append to it.
func (o *opener) openLog(ctx context.Context) (log eventLog, alone bool, err error) {
	db, dir, err := o.logPlace(ctx)
	if err != nil {
		return nil, false, err
	}
	if db != nil {
		l, err := mongo.OpenLog(ctx, db)
		l, err = keep(o, l, err)
		return l, false, err
	}
	if dir != o.Data { // which is locked already
		release, err := lockData(dir)
		if err != nil {
			return nil, false, err
		}
		o.closers = append(o.closers, closer(release))
	}
	l, err := sqlite.OpenLog(ctx, dir)
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
	db, dir, err := o.logPlace(ctx)
	if err != nil {
		return nil, err
	}
	if db != nil {
		return mongo.OpenLogReadOnly(ctx, db)
	}
	l, err := openLogToRead(ctx, dir)
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
	db, dir, err := o.logPlace(ctx)
	if err != nil {
		return nil, err
	}
	if db != nil {
		l, err := mongo.OpenLog(ctx, db)
		return keep(o, l, err)
	}
	l, err := sqlite.OpenLog(ctx, dir)
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
