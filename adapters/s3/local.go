package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/domain"
)

// downloadsAtOnce is how many windows of one blob are fetched at the same time.
const downloadsAtOnce = 4

// Local implements commands.Blobs with a copy in the cache directory. Callers share a copy, also one that is being
// fetched. The file must not be written to.
func (s *Store) Local(ctx context.Context, key string) (string, func(), error) {
	if err := s.check(ctx, key); err != nil {
		return "", nil, err
	}
	found, err := s.head(ctx, key)
	if err != nil {
		return "", nil, err
	}
	size := aws.ToInt64(found.ContentLength)
	// A blob that is replaced is another file: whoever reads the old one is not disturbed.
	sum := sha256.Sum256([]byte(key + "\n" + aws.ToString(found.ETag) + "\n" + found.LastModified.String()))
	return s.cache.get(ctx, hex.EncodeToString(sum[:16]), size, func(ctx context.Context, f *os.File) error {
		return s.download(ctx, key, found.ETag, size, f)
	})
}

func (s *Store) download(ctx context.Context, key string, etag *string, size int64, f *os.File) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(downloadsAtOnce)
	for from := int64(0); from < size && ctx.Err() == nil; from += window {
		g.Go(func() error {
			to := min(from+window, size)
			r := &reader{ctx: ctx, store: s, key: key, etag: etag, size: to, at: from}
			defer r.Close()
			n, err := io.Copy(io.NewOffsetWriter(f, from), r)
			if err == nil && n != to-from {
				err = fmt.Errorf("%w: storage gave %d bytes of %d", domain.ErrUnavailable, n, to-from)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("fetch blob %s: %w", key, err)
	}
	return nil
}
