package localfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const (
	bufferSize = 1 << 20 // also how much is written at once
	buffers    = 4       // of one Put: one is read into, one is written, one is digested
)

// Put implements commands.Blobs: a temporary file, fsynced, renamed into place, and its directory fsynced. Leaving one
// of the two fsyncs out loses acknowledged files when the power goes.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (domain.Blob, error) {
	if err := s.check(ctx, key); err != nil {
		return domain.Blob{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return domain.Blob{}, fmt.Errorf("name a temporary file: %w", err)
	}
	temp := tempDir + "/" + id.String()
	f, err := s.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return domain.Blob{}, failed("store blob", key, err)
	}
	blob, err := s.fill(ctx, f, r, s.watcher(r, temp))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = s.place(temp, key)
	}
	if err != nil {
		_ = s.root.Remove(temp) // else the next Open does it
		return domain.Blob{}, failed("store blob", key, err)
	}
	blob.Key = key
	return blob, nil
}

// watcher returns what tells a commands.FileWatcher how far its file has come.
func (s *Store) watcher(r io.Reader, temp string) func(bytes int64) {
	w, ok := r.(commands.FileWatcher)
	if !ok {
		return func(int64) {}
	}
	name := filepath.Join(s.dir, filepath.FromSlash(temp))
	return func(bytes int64) { w.Stored(name, bytes) }
}

// fill copies r into f. Reading, writing and the digest are stages that run beside each other, so that the slowest alone
// decides how long it takes.
func (s *Store) fill(ctx context.Context, f *os.File, r io.Reader, stored func(bytes int64)) (domain.Blob, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	free := make(chan *[]byte, buffers)
	full := make(chan piece, buffers)
	written := make(chan piece, buffers)
	go func() {
		defer close(written)
		out := writer{f: f}
		for p := range full {
			if ctx.Err() == nil {
				if err := out.write((*p.buf)[:p.n]); err != nil {
					fail(err)
				}
				stored(out.size)
			}
			written <- p
		}
	}()
	h := sha256.New()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range written {
			h.Write((*p.buf)[:p.n])
			free <- p.buf
		}
	}()

	var size int64
	taken := 0
	for ctx.Err() == nil {
		var buf *[]byte
		if taken < buffers && len(free) == 0 { // small blobs need one buffer only
			taken++
			buf = s.buffers.Get().(*[]byte)
		} else {
			buf = <-free
		}
		n, err := readFull(r, *buf)
		size += int64(n)
		full <- piece{buf, n}
		if err == io.EOF { //nolint:errorlint // a wrapped EOF is not the end, see io.Reader
			break
		}
		if err != nil {
			fail(err)
		}
	}
	close(full)
	<-done
	for range taken {
		s.buffers.Put(<-free)
	}
	return domain.Blob{Bytes: size, SHA256: hex.EncodeToString(h.Sum(nil))}, context.Cause(ctx)
}

// piece is what one read brought.
type piece struct {
	buf *[]byte
	n   int
}

// readFull fills buf as far as r goes. io.ReadFull would say io.ErrUnexpectedEOF at the end of r, and that is what a
// request's body says when the client was cut off.
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	return n, err
}

// place moves a finished temporary file to its key, with every directory on the way there for good.
func (s *Store) place(temp, key string) error {
	s.tree.RLock()
	defer s.tree.RUnlock()
	dir := path.Dir(key)
	if err := s.makeDir(dir); err != nil {
		return err
	}
	if err := s.root.Rename(temp, key); err != nil {
		return err
	}
	return s.syncDir(dir)
}

// makeDir makes a directory and its parents. Also a directory that exists is fsynced in its parent once: another Put
// may have made it a moment ago and not have come to the fsync yet.
func (s *Store) makeDir(dir string) error {
	if dir == "." {
		return nil
	}
	at := ""
	for part := range strings.SplitSeq(dir, "/") {
		parent := at
		at = path.Join(at, part)
		if _, ok := s.durable.Load(at); ok {
			continue
		}
		if err := s.root.Mkdir(at, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if parent == "" {
			parent = "."
		}
		if err := s.syncDir(parent); err != nil {
			return err
		}
		s.durable.Store(at, true)
	}
	return nil
}

func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}
