// Package localfs keeps blobs as files in a directory, durably: when Put returns, a power loss does not lose the blob.
// It may import commands, domain and the standard library.
package localfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// tempDir holds files that are being written. No key begins with a dot, so no blob is ever in it.
const (
	tempDir  = ".tmp"
	lockName = "lock" // in tempDir
)

// Store is a directory of blobs. Several processes may use one directory.
type Store struct {
	dir     string
	root    *os.Root
	lock    *os.File
	buffers sync.Pool

	// tree is held for reading while a blob is put into its directory, and for writing while empty directories go.
	tree    sync.RWMutex
	durable sync.Map // directories whose entry in their parent was fsynced by this process
}

var _ commands.Blobs = (*Store)(nil)

// Open opens a directory of blobs and makes it if there is none. What an earlier process left half-written is removed,
// unless another process works in the directory now.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, tempDir), 0o750); err != nil {
		return nil, failed("open blobs", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, failed("open blobs", dir, err)
	}
	s := &Store{dir: dir, root: root}
	s.buffers.New = func() any { return newBuffer() }
	if err := s.begin(); err != nil {
		return nil, errors.Join(failed("open blobs", dir, err), s.Close())
	}
	return s, nil
}

// begin takes a shared lock for the life of the process. Who gets it alone first is the only one here: then temporary
// files belong to nobody.
func (s *Store) begin() (err error) {
	if s.lock, err = s.root.OpenFile(tempDir+"/"+lockName, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	fd := int(s.lock.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		left, err := fs.ReadDir(s.root.FS(), tempDir)
		if err != nil {
			return err
		}
		for _, e := range left {
			if e.Name() != lockName {
				if err := s.root.Remove(tempDir + "/" + e.Name()); err != nil {
					return err
				}
			}
		}
	}
	return syscall.Flock(fd, syscall.LOCK_SH)
}

// Close releases the directory.
func (s *Store) Close() error {
	err := s.root.Close()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Local implements commands.Blobs. The file is the blob itself: it must not be written to.
func (s *Store) Local(ctx context.Context, key string) (string, func(), error) {
	f, _, _, err := s.Open(ctx, key)
	if err != nil {
		return "", nil, err
	}
	_ = f.Close() // nothing was written
	return filepath.Join(s.dir, filepath.FromSlash(key)), func() {}, nil
}

// Open gives a blob to read and seek in, with its size in bytes and the time when it was stored. ErrNotFound.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, time.Time, error) {
	if err := s.check(ctx, key); err != nil {
		return nil, 0, time.Time{}, err
	}
	f, err := s.root.Open(key)
	if err != nil {
		return nil, 0, time.Time{}, failed("open blob", key, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close() // the first error says more
		return nil, 0, time.Time{}, failed("open blob", key, err)
	}
	return f, info.Size(), info.ModTime(), nil
}

// Sum reads a whole blob and returns its SHA-256 in hex. ErrNotFound.
func (s *Store) Sum(ctx context.Context, key string) (string, error) {
	f, _, _, err := s.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, &contextReader{ctx, f}); err != nil {
		return "", failed("read blob", key, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

type contextReader struct {
	ctx context.Context //nolint:containedctx // lives as long as one call
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Delete implements commands.Blobs. Directories that become empty go too.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	dirs := map[string]bool{}
	for _, key := range keys {
		if err := s.check(ctx, key); err != nil {
			return err
		}
		if err := s.root.Remove(key); err != nil && !absent(err) {
			return failed("delete blob", key, err)
		}
		dirs[path.Dir(key)] = true
	}
	s.tree.Lock()
	defer s.tree.Unlock()
	for dir := range dirs {
		for ; dir != "."; dir = path.Dir(dir) {
			s.durable.Delete(dir)
			if err := s.root.Remove(dir); err != nil && !absent(err) {
				break // not empty
			}
		}
	}
	return nil
}

func (s *Store) check(ctx context.Context, key string) error {
	if !validKey(key) {
		return fmt.Errorf("%w: %q is not the key of a blob", domain.ErrInvalid, key)
	}
	return ctx.Err()
}

func validKey(key string) bool { return len(key) <= 1000 && commands.ValidKey(key) }

// failed names what failed and gives the error its kind.
func failed(what, name string, err error) error {
	switch {
	case absent(err):
		err = domain.ErrNotFound
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EROFS),
		errors.Is(err, syscall.EIO), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		err = fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return fmt.Errorf("%s %s: %w", what, name, err)
}

// absent says whether nothing is there: no such file, or a file where the key has a directory.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }
