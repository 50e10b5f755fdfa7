package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// immutable is the Cache-Control of what clients fetch: keys name an attempt, so what lies under one never changes.
const immutable = "public, max-age=31536000, immutable"

// putMark is the metadata that tells our object from another's after an answer was lost.
const putMark = "cinelog-put"

// inMemory is a reader whose content is in memory already: it needs no buffer.
type inMemory interface {
	io.ReaderAt
	io.Seeker
	Len() int
}

// Put implements commands.Blobs: one request for what fits into a part, else a multipart upload, which nobody sees
// before it is completed.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (domain.Blob, error) {
	return s.put(ctx, key, r, false)
}

// Create is Put that does not replace: ErrConflict when there is a blob with this key.
func (s *Store) Create(ctx context.Context, key string, r io.Reader) (domain.Blob, error) {
	return s.put(ctx, key, r, true)
}

func (s *Store) put(ctx context.Context, key string, r io.Reader, create bool) (domain.Blob, error) {
	if err := s.check(ctx, key); err != nil {
		return domain.Blob{}, err
	}
	mark, err := uuid.NewV7()
	if err != nil {
		return domain.Blob{}, fmt.Errorf("mark a blob: %w", err)
	}
	u := &upload{Store: s, key: key, mark: mark.String(), create: create, hash: sha256.New()}
	if m, ok := r.(inMemory); ok && int64(m.Len()) <= s.options.PartBytes {
		at, err := m.Seek(0, io.SeekCurrent)
		if err != nil {
			return domain.Blob{}, fmt.Errorf("store blob %s: %w", key, err)
		}
		return u.whole(ctx, io.NewSectionReader(m, at, int64(m.Len())))
	}
	first := s.buffer()
	n, err := u.fill(ctx, r, *first)
	switch {
	case err == io.EOF: //nolint:errorlint // a wrapped EOF is not the end, see io.Reader
		defer s.buffers.Put(first)
		return u.whole(ctx, bytes.NewReader((*first)[:n]))
	case err != nil:
		s.buffers.Put(first)
		return domain.Blob{}, fmt.Errorf("store blob %s: %w", key, err)
	}
	return u.parts(ctx, r, first)
}

// upload is one Put.
type upload struct {
	*Store

	key, mark string
	create    bool
	hash      hash.Hash
	size      int64
}

func (u *upload) blob() domain.Blob {
	return domain.Blob{Key: u.key, Bytes: u.size, SHA256: hex.EncodeToString(u.hash.Sum(nil))}
}

// fill reads a part. io.EOF: that was the last of it. io.ReadFull would say io.ErrUnexpectedEOF at the end of r, and
// that is what a request's body says when the client was cut off.
func (u *upload) fill(ctx context.Context, r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	return n, err
}

// whole stores a blob in one request. Storage compares the content with our digest before it keeps it.
func (u *upload) whole(ctx context.Context, body io.ReadSeeker) (domain.Blob, error) {
	n, err := io.Copy(u.hash, body)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return domain.Blob{}, fmt.Errorf("store blob %s: %w", u.key, err)
	}
	u.size = n
	sum := u.hash.Sum(nil)
	in := &s3.PutObjectInput{
		Bucket: &u.options.Bucket, Key: u.place(u.key), Body: body, ContentLength: &n,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
		Metadata:       map[string]string{putMark: u.mark},
	}
	in.ContentType, in.CacheControl = u.headers()
	if u.create {
		in.IfNoneMatch = aws.String("*")
	}
	// The signature covers the digest, which would be computed a second time for it.
	_, err = u.client.PutObject(v4.SetPayloadHash(ctx, hex.EncodeToString(sum)), in)
	if err != nil && !u.stored(ctx, err) {
		return domain.Blob{}, u.failed(ctx, "store blob", u.key, err)
	}
	return u.blob(), nil
}

func (u *upload) headers() (contentType, cacheControl *string) {
	if t := u.options.ContentType(u.key); t != "" {
		return &t, aws.String(immutable)
	}
	return nil, nil
}

// stored says, after an error that leaves it open, whether the blob is there all the same and ours: storage did what
// we asked for, but the answer was lost, and perhaps a second try found the first one's work in its way.
func (u *upload) stored(ctx context.Context, err error) bool {
	open := code(err) == "PreconditionFailed" || code(err) == "NoSuchUpload" ||
		status(err) == 0 || status(err) >= http.StatusInternalServerError
	if !open || ctx.Err() != nil {
		return false
	}
	found, err := u.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &u.options.Bucket, Key: u.place(u.key)}, once)
	return err == nil && found.Metadata[putMark] == u.mark && aws.ToInt64(found.ContentLength) == u.size
}

// once is for requests that are not worth a second try.
func once(o *s3.Options) { o.RetryMaxAttempts = 1 }
