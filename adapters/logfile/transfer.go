package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const (
	pageCommits = 10_000  // read from a log at once: no read lasts long beside a server
	batchEvents = 1000    // handed to a log at once
	batchBytes  = 4 << 20 // likewise
)

// Export writes the events of a log after a position to w, up to the newest one at the moment of the call; what is
// appended meanwhile is left out. progress, which may be nil, hears the position and the last one.
//
// ErrInvalid: no commit ends at after, or the log is damaged.
func Export(
	ctx context.Context, log commands.CommitReader, w io.Writer, after domain.Position, progress func(at, head domain.Position),
) (domain.ChainEnd, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return domain.ChainEnd{}, err
	}
	start, err := endAt(ctx, log, after, head)
	if err != nil {
		return start, err
	}
	f, err := NewWriter(w, start, head)
	if err != nil {
		return start, err
	}
	for f.End().Position < head {
		before := f.End().Position
		err := log.EachCommit(ctx, before, pageCommits, func(c domain.StoredCommit) error {
			if c.First > head {
				return errEnough
			}
			return f.Commit(c)
		})
		switch {
		case err != nil && !errors.Is(err, errEnough):
			return f.End(), fmt.Errorf("export the events after position %d: %w", f.End().Position, err)
		case f.End().Position == before:
			return f.End(), fmt.Errorf("export: %w: the log has no event at position %d", domain.ErrInvalid, before+1)
		}
		if progress != nil {
			progress(f.End().Position, head)
		}
	}
	return f.End(), f.Close()
}

// errEnough ends EachCommit without an error.
var errEnough = errors.New("enough")

// endAt returns the end of the commit that ends at a position.
func endAt(ctx context.Context, log commands.CommitReader, at, head domain.Position) (end domain.ChainEnd, err error) {
	switch {
	case at == 0:
		return end, nil
	case at < 0 || at > head:
		return end, fmt.Errorf("%w: there is no position %d: the log ends at %d", domain.ErrInvalid, at, head)
	}
	err = log.EachCommit(ctx, max(0, at-commands.MaxCommitEvents), commands.MaxCommitEvents, func(c domain.StoredCommit) error {
		if c.Last() < at {
			return nil
		}
		end = domain.ChainEnd{Position: c.Last(), Hash: bytes.Clone(c.Hash)}
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return end, err
	}
	if end.Position != at {
		return end, fmt.Errorf("%w: position %d is inside of a commit, which ends at %d", domain.ErrInvalid, at, end.Position)
	}
	return end, nil
}

// Imported is what became of the events of a file.
type Imported struct {
	Events   int64           // in the file
	There    int64           // of them in the log already
	Position domain.Position // where the file ends
	Head     domain.Position // where the log ends after it
	Hash     []byte          // of the commit at Position
	Erased   int             // videos whose erasure the file records
}

// Import puts the commits of a file into a log that is empty or ends where the file begins or anywhere in it; what is
// there already must be equal, and erasures that the file records are carried out in the log. When it ends with an error, what has gone in is a whole part of the file, and importing
// the file again goes on after it. progress may be nil.
//
// ErrInvalid: the file is not as it was written. ErrConflict: it does not fit to what is in the log.
func Import(ctx context.Context, log commands.CommitLog, f *Reader, progress func(domain.Position)) (Imported, error) {
	return move(ctx, log, log, f, progress)
}

// Check is Import that writes nothing, and says what it would do.
func Check(ctx context.Context, log commands.CommitReader, f *Reader, progress func(domain.Position)) (Imported, error) {
	return move(ctx, log, nil, f, progress)
}

func move(
	ctx context.Context, log commands.CommitReader, into commands.CommitLog, f *Reader, progress func(domain.Position),
) (Imported, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return Imported{}, err
	}
	h := f.Header()
	if h.After > head {
		return Imported{}, fmt.Errorf("%w: the file begins after position %d, and the log ends at %d: import what is between first "+
			"(cinelog events export --after %d)", domain.ErrConflict, h.After, head, head)
	}
	t := transfer{log: log, into: into, file: f, progress: progress, head: head, there: h.After, erased: map[string][]domain.Recorded{}}
	if err := t.sameStart(ctx); err != nil {
		return Imported{}, err
	}
	for {
		c, err := f.Next()
		if err == io.EOF { //nolint:errorlint // Next returns it as it is
			break
		}
		if err == nil {
			err = t.take(ctx, c)
		}
		if err != nil {
			return Imported{}, err
		}
	}
	if err := t.flush(ctx); err != nil {
		return Imported{}, err
	}
	if err := t.erase(ctx); err != nil {
		return Imported{}, err
	}
	end := f.End()
	done := Imported{Position: end.Position, Hash: end.Hash, Head: max(head, end.Position), Events: int64(end.Position - h.After), Erased: len(t.erased)}
	done.There = int64(min(head, end.Position) - h.After)
	return done, nil
}

// transfer is an import that is under way.
type transfer struct {
	log      commands.CommitReader
	into     commands.CommitLog // nil: only look
	file     *Reader
	progress func(domain.Position)

	head  domain.Position // where the log ended before
	there domain.Position // up to here, the two were compared
	page  []place         // of the log, after there

	batch         []domain.StoredCommit
	events, bytes int

	erased map[string][]domain.Recorded // the events that record it, by stream
}

// place is what is compared of a commit in the log: its hash stands for all that is in it and before it.
type place struct {
	first, last domain.Position
	hash        []byte
}

// sameStart checks that the commit after which the file begins is in the log.
func (t *transfer) sameStart(ctx context.Context) error {
	start := t.file.Header().Start()
	end, err := endAt(ctx, t.log, start.Position, t.head)
	if err != nil && !errors.Is(err, domain.ErrInvalid) {
		return err
	}
	if err != nil || !bytes.Equal(end.Hash, start.Hash) {
		return fmt.Errorf("line %d: %w: the log has another commit at position %d than the log that the file is from",
			t.file.Line(), domain.ErrConflict, start.Position)
	}
	return nil
}

// take compares a commit with the one in the log, or puts it into the batch.
func (t *transfer) take(ctx context.Context, c domain.StoredCommit) error {
	switch e, err := c.Erasures(); {
	case err != nil:
		return err
	case len(e.Events) > 0:
		t.erased[c.Commit.Stream] = append(t.erased[c.Commit.Stream], domain.Recorded{Event: e})
	}
	if c.First <= t.head {
		return t.compare(ctx, c)
	}
	if t.into == nil {
		t.tell(c.Last())
		return nil
	}
	t.batch, t.events = append(t.batch, c), t.events+len(c.Events)
	for _, e := range c.Events {
		t.bytes += len(e.Data)
	}
	if t.events >= batchEvents || t.bytes >= batchBytes {
		return t.flush(ctx)
	}
	return nil
}

func (t *transfer) compare(ctx context.Context, c domain.StoredCommit) error {
	if len(t.page) == 0 {
		err := t.log.EachCommit(ctx, t.there, pageCommits, func(c domain.StoredCommit) error {
			t.page = append(t.page, place{c.First, c.Last(), bytes.Clone(c.Hash)})
			return nil
		})
		if err != nil {
			return err
		}
		t.tell(t.there)
	}
	if len(t.page) == 0 || t.page[0].first != c.First || !bytes.Equal(t.page[0].hash, c.Hash) {
		return fmt.Errorf("line %d: %w: the log has another commit at position %d than the file: it is not a copy of the log that the "+
			"file is from (the two are equal up to position %d)", t.file.Line(), domain.ErrConflict, c.First, t.there)
	}
	t.there, t.page = t.page[0].last, t.page[1:]
	return nil
}

// flush hands the batch to the log. A log that is away for a moment is asked again: the same commits may be sent twice.
func (t *transfer) flush(ctx context.Context) error {
	if len(t.batch) == 0 {
		return nil
	}
	for try := 1; ; try++ {
		err := t.into.Import(ctx, t.batch)
		if err == nil {
			break
		}
		if errors.Is(err, domain.ErrConflict) {
			err = fmt.Errorf("%w (does somebody else write to this log? stop all servers that use it)", err)
		}
		if try == maxTries || !errors.Is(err, domain.ErrUnavailable) || ctx.Err() != nil {
			return fmt.Errorf("import up to line %d: %w", t.file.Line(), err)
		}
		wait := time.NewTimer(time.Duration(try) * time.Second)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
	t.tell(t.batch[len(t.batch)-1].Last())
	t.batch, t.events, t.bytes = nil, 0, 0
	return nil
}

// erase carries out what the file says that was erased: a copy that was made before has the texts.
func (t *transfer) erase(ctx context.Context) error {
	if t.into == nil {
		return nil
	}
	for stream, recorded := range t.erased {
		if err := t.into.EraseTexts(ctx, stream, domain.Erased(recorded)); err != nil {
			return err
		}
	}
	return nil
}

// maxTries are enough for a change of the primary: 15 s, besides what each try takes.
const maxTries = 6

func (t *transfer) tell(at domain.Position) {
	if t.progress != nil {
		t.progress(at)
	}
}
