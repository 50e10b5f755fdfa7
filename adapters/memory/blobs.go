package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Blobs keeps blobs in memory, for tests.
type Blobs struct {
	now func() time.Time

	mu    sync.RWMutex
	blobs map[string]blob
}

type blob struct {
	data     []byte
	modified int64
}

var _ commands.Blobs = (*Blobs)(nil)

// NewBlobs returns an empty storage; now dates its blobs.
func NewBlobs(now func() time.Time) *Blobs {
	return &Blobs{now: now, blobs: map[string]blob{}}
}

func (b *Blobs) check(ctx context.Context, key string) error {
	if !commands.ValidKey(key) {
		return fmt.Errorf("%w: %q is not the key of a blob", domain.ErrInvalid, key)
	}
	return ctx.Err()
}

// Put implements commands.Blobs.
func (b *Blobs) Put(ctx context.Context, key string, r io.Reader) (domain.Blob, error) {
	if err := b.check(ctx, key); err != nil {
		return domain.Blob{}, err
	}
	data, err := io.ReadAll(r)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return domain.Blob{}, fmt.Errorf("store blob %s: %w", key, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blobs[key] = blob{data, b.now().Unix()}
	sum := sha256.Sum256(data)
	return domain.Blob{Key: key, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}, nil
}

// Local implements commands.Blobs with a temporary file.
func (b *Blobs) Local(ctx context.Context, key string) (string, func(), error) {
	if err := b.check(ctx, key); err != nil {
		return "", nil, err
	}
	b.mu.RLock()
	found, ok := b.blobs[key]
	b.mu.RUnlock()
	if !ok {
		return "", nil, fmt.Errorf("open blob %s: %w", key, domain.ErrNotFound)
	}
	f, err := os.CreateTemp("", "cinelog-blob-*")
	if err != nil {
		return "", nil, fmt.Errorf("open blob %s: %w", key, err)
	}
	release := func() { _ = os.Remove(f.Name()) }
	_, err = f.Write(found.data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		release()
		return "", nil, fmt.Errorf("open blob %s: %w", key, err)
	}
	return f.Name(), release, nil
}

// List implements commands.Blobs.
func (b *Blobs) List(ctx context.Context, prefix string, each func(commands.StoredBlob) error) error {
	b.mu.RLock()
	all := maps.Clone(b.blobs)
	b.mu.RUnlock()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		stored := commands.StoredBlob{Key: key, Bytes: int64(len(all[key].data)), Modified: all[key].modified}
		if err := each(stored); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements commands.Blobs.
func (b *Blobs) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := b.check(ctx, key); err != nil {
			return err
		}
		b.mu.Lock()
		delete(b.blobs, key)
		b.mu.Unlock()
	}
	return nil
}
