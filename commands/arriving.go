package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Arriving is a source that is still being sent.
type Arriving interface {
	// Total is how many bytes it will have.
	Total() int64
	// Wait returns when so many bytes from its beginning are in the file, or all that there will be: at least that many of
	// them. An error says that the rest does not come.
	Wait(ctx context.Context, bytes int64) (arrived int64, err error)
}

// FileWatcher is a reader whose content others want to work on while it is being stored. Storage that writes it to a file
// on this machine tells it which one that is and how many bytes, from its beginning, can be read there; the file may get
// another name later.
type FileWatcher interface {
	io.Reader
	Stored(path string, bytes int64)
}

// errNotSent says that an upload ended before its last byte.
var errNotSent = errors.New("the upload did not come to its end")

// arrival is the Arriving of an upload. It keeps a second name for the file, which stays when storage gives the file its
// own.
type arrival struct {
	total int64

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, with each change
	path    string
	arrived int64
	err     error
}

func newArrival(total int64) *arrival {
	return &arrival{total: total, changed: make(chan struct{})}
}

// linkSuffix makes the second name: where storage keeps what is not finished it also clears up what a crash left.
const linkSuffix = ".ahead"

// stored notes how far the file at path has grown.
func (a *arrival) stored(path string, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return
	}
	if a.path == "" {
		if err := os.Link(path, path+linkSuffix); err != nil {
			a.fail(fmt.Errorf("keep the file of an upload: %w", err))
			return
		}
		a.path = path + linkSuffix
	}
	a.arrived = bytes
	a.signal()
}

// fail ends it, unless all is there.
func (a *arrival) fail(err error) {
	if a.err == nil && a.arrived < a.total {
		a.err = err
		a.signal()
	}
}

func (a *arrival) signal() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// end says that no more is sent.
func (a *arrival) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail(errNotSent)
}

// remove takes the second name away.
func (a *arrival) remove() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail(errNotSent)
	if a.path != "" {
		_ = os.Remove(a.path) // else the storage's next start does it
	}
}

// Total implements Arriving.
func (a *arrival) Total() int64 { return a.total }

// Wait implements Arriving.
func (a *arrival) Wait(ctx context.Context, bytes int64) (int64, error) {
	for {
		a.mu.Lock()
		arrived, err, changed := a.arrived, a.err, a.changed
		a.mu.Unlock()
		switch {
		case arrived >= min(bytes, a.total):
			return arrived, nil
		case err != nil:
			return arrived, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return arrived, context.Cause(ctx)
		}
	}
}

// file waits for the first bytes and names the file that they are in.
func (a *arrival) file(ctx context.Context) (string, error) {
	if _, err := a.Wait(ctx, 1); err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.path, nil
}

// watchedBody tells an arrival of what storage has stored of a body.
type watchedBody struct {
	io.Reader

	arrival *arrival
}

// Stored implements FileWatcher.
func (b watchedBody) Stored(path string, bytes int64) { b.arrival.stored(path, bytes) }

// copiedBody writes what it reads to a file of its own, where storage has none on this machine.
type copiedBody struct {
	io.Reader

	arrival *arrival
	file    *os.File
	written int64
}

// Read implements io.Reader. A copy that cannot be written is given up; the upload goes on.
func (b *copiedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.file != nil && n > 0 {
		if _, failed := b.file.Write(p[:n]); failed != nil {
			b.arrival.end()
			b.close()
		} else {
			b.written += int64(n)
			b.arrival.stored(b.file.Name(), b.written)
		}
	}
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

// close ends the copy; its second name stays.
func (b *copiedBody) close() {
	if b.file != nil {
		_ = b.file.Close() // nothing depends on it
		_ = os.Remove(b.file.Name())
		b.file = nil
	}
}
