package logfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/cinelog/cinelog/domain"
)

// Writer writes a file, commit by commit.
type Writer struct {
	to     *bufio.Writer
	end    domain.ChainEnd
	head   domain.Position
	events int64
	tombs  domain.Tombstones
}

// NewWriter writes the first line of a file for the events after a commit's end, up to the one at head.
func NewWriter(w io.Writer, after domain.ChainEnd, head domain.Position) (*Writer, error) {
	f := &Writer{to: bufio.NewWriterSize(w, 64<<10), end: after, head: head}
	return f, f.line(Header{
		Format: formatName, FormatVersion: formatVersion, After: after.Position, AfterHash: after.Hash, Head: head,
	})
}

// Commit writes the next commit. ErrInvalid: it does not follow the one before: the log is damaged.
func (f *Writer) Commit(c domain.StoredCommit) (err error) {
	if f.end, err = f.end.Follow(c); err != nil {
		return err
	}
	f.tombs.Follow(c)
	line := eventLine{
		Stream: c.Commit.Stream, Commit: c.Commit.ID, Time: c.Commit.Time.UTC().Format(timeFormat), Meta: c.Commit.Meta,
	}
	for i, e := range c.Events {
		line.Position, line.Version, line.Type = c.First+domain.Position(i), c.Commit.Expected+1+i, e.Type
		if i == len(c.Events)-1 {
			line.Hash = c.Hash
		}
		b, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("write the event at %d: %w", line.Position, err)
		}
		if err := fitsIntoLine(line, e.Data); err != nil {
			return err
		}
		_, _ = f.to.Write(b[:len(b)-1])
		_, _ = f.to.WriteString(`,"data":`)
		_, _ = f.to.Write(e.Data)
		if _, err := f.to.WriteString("}\n"); err != nil { // an error of the writes before comes again
			return fmt.Errorf("write the event at %d: %w", line.Position, err)
		}
		f.events++
	}
	return nil
}

// fitsIntoLine refuses what could not be read back to the byte. No log of this program has it.
func fitsIntoLine(l eventLine, data []byte) error {
	for _, text := range []string{
		l.Stream, l.Commit, l.Type, l.Meta.Actor, l.Meta.Correlation, l.Meta.Causation, l.Meta.Request,
	} {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%w: the event at %d has %q, which is not UTF-8", domain.ErrInvalid, l.Position, text)
		}
	}
	if bytes.IndexByte(data, '\n') >= 0 || !utf8.Valid(data) {
		return fmt.Errorf("%w: the data of the event at %d is not one line of UTF-8", domain.ErrInvalid, l.Position)
	}
	return nil
}

// Close writes the last line. It does not close what it writes to. ErrConflict: texts were erased meanwhile, and the event
// that says so is not in the file.
func (f *Writer) Close() error {
	if f.end.Position != f.head {
		return fmt.Errorf("%w: the events end at %d and not at %d", domain.ErrInvalid, f.end.Position, f.head)
	}
	if at := f.tombs.Unrecorded(); len(at) > 0 {
		return fmt.Errorf("%w: the texts of the event at %d were erased meanwhile: export again", domain.ErrConflict, at[0])
	}
	err := f.line(struct {
		End closing `json:"end"`
	}{closing{f.events, f.end.Position, f.end.Hash}})
	if err == nil {
		err = f.to.Flush()
	}
	return err
}

// End is where what was written ends.
func (f *Writer) End() domain.ChainEnd { return f.end }

func (f *Writer) line(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = f.to.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write a line of the file: %w", err)
	}
	return nil
}
