package logfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// maxBytes is the most that one line, or the data of one commit, may have. A log takes less.
const maxBytes = 32 << 20

// Reader reads a file, commit by commit, and trusts nothing in it. Its errors name the line.
type Reader struct {
	from   *bufio.Reader
	long   []byte // a line that is longer than the buffer of from
	at     int    // number of the line that was read last, from 1 on
	header Header
	end    domain.ChainEnd
	events int64
	tombs  domain.Tombstones
	done   bool
}

// NewReader reads the first line. ErrInvalid when it is not that of such a file, or of a version that is too new.
func NewReader(r io.Reader) (*Reader, error) {
	f := &Reader{from: bufio.NewReaderSize(r, 64<<10)}
	line, err := f.line()
	switch {
	case err == io.EOF: //nolint:errorlint // line returns it as it is
		return nil, fmt.Errorf("%w: the file is empty", domain.ErrInvalid)
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(line, &f.header); err != nil || f.header.Format != formatName {
		return nil, f.wrong("this is not the first line of an export of events: %.80q", line)
	}
	h := f.header
	switch {
	case h.FormatVersion < 1:
		return nil, f.wrong("format_version %d", h.FormatVersion)
	case h.FormatVersion > formatVersion:
		return nil, f.wrong("the file is of format_version %d, this program reads up to %d: use a newer one", h.FormatVersion, formatVersion)
	case h.After < 0, h.Head < h.After, (h.After == 0) != (len(h.AfterHash) == 0):
		return nil, f.wrong("after %d (hash %x) and head %d do not go together", h.After, []byte(h.AfterHash), h.Head)
	}
	f.end = h.Start()
	return f, nil
}

// Header returns the first line.
func (f *Reader) Header() Header { return f.header }

// Line is the number of the line that was read last.
func (f *Reader) Line() int { return f.at }

// End is where what was read ends.
func (f *Reader) End() domain.ChainEnd { return f.end }

// Next returns the next commit, which follows the one before, and io.EOF after the last if the file is whole. ErrInvalid:
// it is not.
func (f *Reader) Next() (c domain.StoredCommit, err error) {
	if f.done {
		return c, io.EOF
	}
	size := 0
	for {
		line, err := f.line()
		if err == io.EOF { //nolint:errorlint // line returns it as it is
			return c, fmt.Errorf("%w: the file ends after line %d without the closing line: it was cut off, at position %d of %d",
				domain.ErrInvalid, f.at, f.end.Position, f.header.Head)
		}
		if err != nil {
			return c, err
		}
		var l anyLine
		if err := json.Unmarshal(line, &l); err != nil {
			return c, f.wrong("this is not the line of an event: %v", err)
		}
		if l.End != nil {
			if len(c.Events) > 0 {
				return c, f.wrong("the closing line stands in the middle of commit %s: lines are missing", c.Commit.ID)
			}
			return c, f.close(*l.End)
		}
		if err := f.add(&c, l); err != nil {
			return c, err
		}
		if size += len(l.Data); size > maxBytes {
			return c, f.wrong("commit %s has more than %d bytes", c.Commit.ID, maxBytes)
		}
		if len(l.Hash) > 0 {
			break
		}
	}
	f.end, err = f.end.Follow(c)
	if err != nil {
		return c, f.wrongly(err)
	}
	f.events += int64(len(c.Events))
	f.tombs.Follow(c)
	return c, nil
}

// add puts the event of a line into the commit that is being read.
func (f *Reader) add(c *domain.StoredCommit, l anyLine) error {
	if want := f.end.Position + 1 + domain.Position(len(c.Events)); l.Position != want {
		return f.wrong("position %d where %d must be", l.Position, want)
	}
	at, err := time.Parse(time.RFC3339Nano, l.Time)
	if err != nil {
		return f.wrong("time %q", l.Time)
	}
	if _, err := domain.DecodeEvent(l.Type, l.Data); errors.Is(err, domain.ErrUnknownEvent) {
		return f.wrong("%v: import it with the program that wrote it, or a newer one", err)
	} else if err != nil {
		return f.wrong("%v", err)
	}
	commit := domain.Commit{ID: l.Commit, Stream: l.Stream, Expected: l.Version - 1 - len(c.Events), Time: at.UTC(), Meta: l.Meta}
	switch first := c.Commit; {
	case len(c.Events) == 0:
		c.First, c.Commit = l.Position, commit
	case first.ID != commit.ID:
		return f.wrong("commit %s begins before commit %s has ended with its hash", commit.ID, first.ID)
	case first.Stream != commit.Stream, first.Expected != commit.Expected, !first.Time.Equal(commit.Time), first.Meta != commit.Meta:
		return f.wrong("stream, version, time or meta does not go with the other events of commit %s", first.ID)
	case len(c.Events) == commands.MaxCommitEvents:
		return f.wrong("commit %s has more than %d events", first.ID, commands.MaxCommitEvents)
	}
	c.Events = append(c.Events, domain.EncodedEvent{Type: l.Type, Data: l.Data})
	c.Hash = l.Hash
	return nil
}

func (f *Reader) close(c closing) error {
	switch {
	case f.end.Position != f.header.Head:
		return f.wrong("the events end at position %d, the first line says %d", f.end.Position, f.header.Head)
	case c.Events != f.events, c.Position != f.end.Position:
		return f.wrong("the closing line speaks of %d events up to position %d, and there are %d up to %d",
			c.Events, c.Position, f.events, f.end.Position)
	case !bytes.Equal(c.Hash, f.end.Hash):
		return f.wrong("the closing line has another hash than the last commit")
	}
	if at := f.tombs.Unrecorded(); len(at) > 0 {
		return f.wrong("the event at %d is a tombstone, and no erasure is recorded that leaves this of it", at[0])
	}
	if _, err := f.line(); err == nil {
		return f.wrong("there is something after the closing line")
	} else if err != io.EOF { //nolint:errorlint // line returns it as it is
		return err
	}
	f.done = true
	return io.EOF
}

// line returns the next line, good until the next call, or io.EOF.
func (f *Reader) line() ([]byte, error) {
	f.long = f.long[:0]
	for {
		part, err := f.from.ReadSlice('\n')
		if err == nil && len(f.long) == 0 {
			f.at++
			return part, nil
		}
		f.long = append(f.long, part...)
		switch {
		case err == nil:
			f.at++
			return f.long, nil
		case err == io.EOF && len(f.long) == 0:
			return nil, io.EOF
		case err == io.EOF:
			f.at++
			return nil, f.wrong("the file ends in the middle of this line: it was cut off, at position %d of %d", f.end.Position, f.header.Head)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("read the file after line %d: %w", f.at, err)
		case len(f.long) > maxBytes:
			f.at++
			return nil, f.wrong("the line has more than %d bytes", maxBytes)
		}
	}
}

func (f *Reader) wrong(format string, args ...any) error {
	return f.wrongly(fmt.Errorf("%w: %s", domain.ErrInvalid, fmt.Sprintf(format, args...)))
}

func (f *Reader) wrongly(err error) error { return fmt.Errorf("line %d: %w", f.at, err) }
