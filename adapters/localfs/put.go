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
	"strings"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

const (
	// bufferSize is also how much is written at once. Larger writes make Linux take larger pieces of memory for its
	// cache, which are seldom at hand: with 1 MiB, 2 GiB cost 4.2 s of a CPU, with 256 KiB 2.1 s.
	bufferSize = 256 << 10
	buffers    = 8 // of one Put: one is read and written, the others wait for their digest
	// writeback is how many bytes are written before the disk is told to begin with them.
	writeback = 8 << 20
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
	blob, err := s.fill(ctx, f, r)
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

// fill copies r into f. The digest is computed beside it, so that it costs no time where there is a second CPU.
func (s *Store) fill(ctx context.Context, f *os.File, r io.Reader) (domain.Blob, error) {
	h := sha256.New()
	type piece struct {
		buf *[]byte
		n   int
	}
	free := make(chan *[]byte, buffers)
	full := make(chan piece, buffers)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range full {
			h.Write((*p.buf)[:p.n])
			free <- p.buf
		}
	}()
	var taken int
	take := func() *[]byte {
		if taken < buffers && len(free) == 0 { // small blobs need one buffer only
			taken++
			return s.buffers.Get().(*[]byte)
		}
		return <-free
	}
	var size, begun int64
	err := func() error {
		for {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			buf := take()
			n, err := readFull(r, *buf)
			full <- piece{buf, n}
			if n > 0 {
				// The hasher only reads the buffer, and nobody takes it again before this write is through.
				if _, err := f.Write((*buf)[:n]); err != nil {
					return err
				}
				size += int64(n)
			}
			if size-begun >= writeback {
				startWriteback(f, begun, size-begun)
				begun = size
			}
			if err == io.EOF { //nolint:errorlint // a wrapped EOF is not the end, see io.Reader
				return nil
			}
			if err != nil {
				return err
			}
		}
	}()
	close(full)
	<-done
	for range taken {
		s.buffers.Put(<-free)
	}
	return domain.Blob{Bytes: size, SHA256: hex.EncodeToString(h.Sum(nil))}, err
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
