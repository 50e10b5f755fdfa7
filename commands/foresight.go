package commands

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/cinelog/cinelog/domain"
)

// foresight is a video as it will be when the upload that is under way has ended well. It is an EventLog and storage for
// a Worker: what that records is kept here until the upload is recorded, and goes to the log from then on.
type foresight struct {
	EventLog
	Blobs

	ahead   *Ahead
	service *Service
	video   domain.VideoID
	attempt int
	source  string // the key that the source will have
	arrival *arrival
	copied  *copiedBody
	cancel  context.CancelCauseFunc
	ended   chan struct{} // closed when no work is under way any more
	settled chan struct{} // closed when the upload is recorded
	planned chan struct{} // closed when there is a plan before

	mu      sync.Mutex // held from take to done, so that nothing comes between
	taken   bool
	known   int // events that the log has of the video
	events  []domain.Event
	keys    []string
	outcome outcome
}

type outcome int

const (
	pending outcome = iota
	recorded
	dropped
)

// maxForeseen leaves room in the commit for the last events of a run.
const maxForeseen = MaxCommitEvents - 40

var errForeseen = errors.New("as much is done ahead of an upload as goes into its commit")

// body lets the work see what of the body is stored.
func (f *foresight) body(r io.Reader) io.Reader {
	if f == nil {
		return r
	}
	if f.ahead.Spool == "" {
		return watchedBody{r, f.arrival}
	}
	file, err := os.CreateTemp(f.ahead.Spool, "upload-")
	if err != nil {
		f.arrival.end()
		return r
	}
	f.copied = &copiedBody{Reader: r, arrival: f.arrival, file: file}
	return f.copied
}

// stored says that storage has taken all of the body, or no more of it.
func (f *foresight) stored() {
	if f != nil {
		f.arrival.end()
		if f.copied != nil {
			f.copied.close()
		}
	}
}

// take returns what follows from the upload by now, if that is the one that was foreseen. Nothing is added until done.
func (f *foresight) take(upload []domain.Event) []domain.Event {
	if f == nil || len(upload) != 1 {
		return upload
	}
	if e, ok := upload[0].(domain.VideoUploaded); !ok || e.Attempt != f.attempt {
		return upload
	}
	if !f.taken {
		f.taken = true
		f.mu.Lock()
	}
	return append(upload, f.events[1:]...)
}

// done says what has become of the upload. Blobs that no commit can name are removed.
func (f *foresight) done(ctx context.Context, ok, unsure bool) {
	if f == nil {
		return
	}
	if !f.taken {
		f.mu.Lock()
	}
	f.outcome = dropped
	if ok && f.taken {
		f.outcome = recorded
		close(f.settled)
	}
	ok = f.outcome == recorded
	f.mu.Unlock()
	if ok {
		select {
		case <-f.ended:
			f.forget()
		default: // what is at work goes on
		}
		return
	}
	f.cancel(errNotSent)
	<-f.ended
	if !unsure {
		f.service.discard(ctx, f.keys...)
	}
	f.forget()
}

// forget takes the keys from those that a sweep may not touch: by now the log names them, or nobody does.
func (f *foresight) forget() {
	for _, key := range f.keys {
		f.service.uploads.Delete(key)
	}
}

// ReadStream implements EventLog.
func (f *foresight) ReadStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcome != pending || stream != string(f.video) {
		return f.EventLog.ReadStream(ctx, stream, after) //nolint:wrapcheck // it is that log
	}
	events, err := f.EventLog.ReadStream(ctx, stream, 0)
	if err != nil {
		return nil, err //nolint:wrapcheck // it is that log
	}
	f.known = len(events)
	for i, e := range f.events {
		events = append(events, domain.Recorded{Stream: stream, Version: f.known + i + 1, Time: f.service.Now(), Event: e})
	}
	return events[min(after, len(events)):], nil
}

// Append implements EventLog.
func (f *foresight) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.outcome == recorded:
		return f.EventLog.Append(ctx, c) //nolint:wrapcheck // it is that log
	case f.outcome == dropped:
		return domain.Appended{}, domain.ErrSuperseded
	case c.Expected != f.known+len(f.events):
		return domain.Appended{}, domain.ErrConflict
	case len(f.events)+len(c.Events) > maxForeseen:
		return domain.Appended{}, errForeseen
	}
	f.events = append(f.events, c.Events...)
	return domain.Appended{Version: c.Expected + len(c.Events)}, nil
}

// Local implements Blobs: the source is where it is being written.
func (f *foresight) Local(ctx context.Context, key string) (string, func(), error) {
	if key != f.source {
		return f.Blobs.Local(ctx, key) //nolint:wrapcheck // it is that storage
	}
	path, err := f.arrival.file(ctx)
	return path, func() {}, err
}

// Put implements Blobs.
func (f *foresight) Put(ctx context.Context, key string, r io.Reader) (domain.Blob, error) {
	f.mu.Lock()
	f.keys = append(f.keys, key)
	f.service.uploads.Store(key, true)
	f.mu.Unlock()
	return f.Blobs.Put(ctx, key, r) //nolint:wrapcheck // it is that storage
}
