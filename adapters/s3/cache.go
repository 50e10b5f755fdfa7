package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/cinelog/cinelog/domain"
)

// cache keeps copies of blobs as files of a directory of its own. What nobody uses goes, the longest unused first, as
// soon as there is more than max in all.
type cache struct {
	dir  string
	max  int64
	lock *os.File // of dir, held for the life of the process: it tells others that dir is in use

	fetches sync.WaitGroup
	mu      sync.Mutex
	copies  map[string]*cached
	bytes   int64
	fetched int
	uses    int64 // counts releases, to tell which copy is the longest unused
}

type cached struct {
	name, path string
	bytes      int64
	users      int
	lastUse    int64
	cancel     context.CancelFunc // of the fetch
	done       chan struct{}      // closed when the fetch is over
	err        error              // of the fetch
}

// openCache makes a directory under parent and removes those of processes that are gone. Without a parent there is no
// cache.
func openCache(parent string, maxBytes int64) (_ *cache, err error) {
	c := &cache{max: maxBytes, copies: map[string]*cached{}}
	if parent == "" {
		return c, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open the media cache: %w", errors.Join(err, c.close()))
		}
	}()
	if parent, err = filepath.Abs(parent); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(parent, 0o750); err != nil {
		return nil, err
	}
	whole, err := locked(filepath.Join(parent, "lock"), 0) // nobody makes a directory while another looks
	if err != nil {
		return nil, err
	}
	defer whole.Close()
	dirs, err := filepath.Glob(filepath.Join(parent, "process-*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		lock, err := locked(filepath.Join(dir, "lock"), syscall.LOCK_NB)
		if err != nil {
			continue // in use
		}
		err = os.RemoveAll(dir)
		if err := errors.Join(err, lock.Close()); err != nil {
			return nil, err
		}
	}
	if c.dir, err = os.MkdirTemp(parent, "process-"); err != nil {
		return nil, err
	}
	c.lock, err = locked(filepath.Join(c.dir, "lock"), 0)
	return c, err
}

// locked opens a file and locks it; closing unlocks.
func locked(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// close ends fetches and removes the directory.
func (c *cache) close() error {
	c.mu.Lock()
	for _, f := range c.copies {
		f.cancel()
	}
	c.mu.Unlock()
	c.fetches.Wait()
	if c.dir == "" {
		return nil
	}
	err := os.RemoveAll(c.dir)
	if c.lock != nil {
		err = errors.Join(err, c.lock.Close())
	}
	return err
}

// get gives the file with this name, which fetch fills if there is none yet. A fetch goes on as long as somebody waits.
func (c *cache) get(ctx context.Context, name string, bytes int64, fetch func(context.Context, *os.File) error) (string, func(), error) {
	if c.dir == "" {
		return "", nil, errors.New("no directory for copies of media is set")
	}
	c.mu.Lock()
	f := c.copies[name]
	if f == nil {
		fetchCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		c.fetched++
		path := filepath.Join(c.dir, fmt.Sprintf("%s-%d", name, c.fetched)) // a fetch that was given up may still be there
		f = &cached{name: name, path: path, bytes: bytes, cancel: cancel, done: make(chan struct{})}
		c.copies[name] = f
		c.bytes += bytes
		c.fetches.Go(func() { c.fetch(fetchCtx, f, fetch) })
	}
	f.users++
	c.evict()
	c.mu.Unlock()
	select {
	case <-f.done:
		if f.err != nil {
			return "", nil, f.err
		}
		return f.path, sync.OnceFunc(func() { c.release(f) }), nil
	case <-ctx.Done():
		c.release(f)
		return "", nil, context.Cause(ctx)
	}
}

func (c *cache) fetch(ctx context.Context, f *cached, fill func(context.Context, *os.File) error) {
	defer f.cancel()
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640) //nolint:gosec // as blobs on disk are
	if err == nil {
		err = errors.Join(fill(ctx, file), file.Close())
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok { // the disk is full, or fails
		err = fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.err = err; err != nil {
		c.drop(f)
		_ = os.Remove(f.path) // it may have been dropped before it was there
	}
	close(f.done)
}

func (c *cache) release(f *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.users--
	if f.users > 0 {
		return
	}
	c.uses++
	f.lastUse = c.uses
	select {
	case <-f.done:
		c.evict()
	default: // the last who waited for it has gone
		f.cancel()
		c.drop(f)
	}
}

// evict removes what nobody uses until the rest fits. The caller holds mu.
func (c *cache) evict() {
	for c.bytes > c.max {
		var oldest *cached
		for _, f := range c.copies {
			if f.users == 0 && (oldest == nil || f.lastUse < oldest.lastUse) {
				oldest = f
			}
		}
		if oldest == nil {
			return
		}
		c.drop(oldest)
	}
}

// drop forgets a copy and removes its file, once. The caller holds mu.
func (c *cache) drop(f *cached) {
	if c.copies[f.name] != f {
		return
	}
	delete(c.copies, f.name)
	c.bytes -= f.bytes
	_ = os.Remove(f.path) // else close does it
}
