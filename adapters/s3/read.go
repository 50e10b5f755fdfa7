package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cinelog/cinelog/domain"
)

// window is how much of a blob one request asks for. A reader that stops early wastes what is left of it, and the
// connection with it.
const window = 8 << 20

// head asks what storage knows of a blob. ErrNotFound only if it is the blob that is missing: the answer to a HEAD
// does not tell it from a missing bucket or from credentials that are wrong.
func (s *Store) head(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	found, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.options.Bucket, Key: s.place(key)})
	if err == nil {
		return found, nil
	}
	if absent(err) || code(err) == "Forbidden" || code(err) == "BadRequest" {
		if err := s.Check(ctx); err != nil {
			return nil, fmt.Errorf("open blob %s: %w", key, err)
		}
	}
	return nil, s.failed(ctx, "open blob", key, err)
}

// Open gives a blob to read and seek in, with its size in bytes and the time when it was stored. What is read is
// asked for as it is read; a connection that breaks is made again. ErrNotFound.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, time.Time, error) {
	if err := s.check(ctx, key); err != nil {
		return nil, 0, time.Time{}, err
	}
	found, err := s.head(ctx, key)
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	r := &reader{ctx: ctx, store: s, key: key, etag: found.ETag, size: aws.ToInt64(found.ContentLength)}
	return r, r.size, aws.ToTime(found.LastModified), nil
}

// Sum reads a whole blob and returns its SHA-256 in hex. ErrNotFound.
func (s *Store) Sum(ctx context.Context, key string) (string, error) {
	r, _, _, err := s.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// reader reads one version of a blob: when it is replaced meanwhile, reading fails.
type reader struct {
	ctx   context.Context //nolint:containedctx // that of Open; io.Reader has no place for one
	store *Store
	key   string
	etag  *string
	size  int64

	at     int64
	body   io.ReadCloser // from at on, nil when nothing was asked for
	failed int           // how often in a row without a byte
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		if r.at >= r.size {
			return 0, io.EOF
		}
		if len(p) == 0 {
			return 0, nil
		}
		if r.body == nil {
			body, err := r.store.span(r.ctx, r.key, r.etag, r.at, min(r.at+window, r.size))
			if err != nil {
				return 0, err
			}
			r.body = body
		}
		n, err := r.body.Read(p)
		r.at += int64(n)
		if err != nil {
			_ = r.Close()
		}
		if n > 0 {
			r.failed = 0
			return n, nil
		}
		if err == nil || errors.Is(err, io.EOF) && r.at >= r.size {
			continue
		}
		r.failed++
		if r.failed >= r.store.options.Tries || r.ctx.Err() != nil {
			return 0, r.store.failed(r.ctx, "read blob", r.key, err)
		}
	}
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("%w: seek to %d in blob %s", domain.ErrInvalid, offset, r.key)
	}
	if offset != r.at {
		_ = r.Close()
	}
	r.at = offset
	return offset, nil
}

// Close ends the request that is running. Reading on begins another.
func (r *reader) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}

// span asks for the bytes of a blob from one offset to before another.
func (s *Store) span(ctx context.Context, key string, etag *string, from, to int64) (io.ReadCloser, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.options.Bucket, Key: s.place(key), IfMatch: etag,
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1)),
	})
	if err != nil {
		if code(err) == "PreconditionFailed" {
			return nil, fmt.Errorf("read blob %s: %w: it was replaced meanwhile", key, domain.ErrUnavailable)
		}
		return nil, s.failed(ctx, "read blob", key, err)
	}
	return out.Body, nil
}
