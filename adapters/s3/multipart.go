package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/domain"
)

// partsAtOnce is how many parts of one upload are on their way at the same time.
const partsAtOnce = 4

func (s *Store) buffer() *[]byte { return s.buffers.Get().(*[]byte) }

// parts stores a blob whose first part is full. It owns first.
func (u *upload) parts(ctx context.Context, r io.Reader, first *[]byte) (domain.Blob, error) {
	in := &s3.CreateMultipartUploadInput{
		Bucket: &u.options.Bucket, Key: u.place(u.key), Metadata: map[string]string{putMark: u.mark},
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, // of each part; storage compares it with what came in
	}
	in.ContentType, in.CacheControl = u.headers()
	begun, err := u.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		u.buffers.Put(first)
		return domain.Blob{}, u.failed(ctx, "store blob", u.key, err)
	}
	parts, err := u.send(ctx, begun.UploadId, r, first)
	if err == nil {
		err = u.complete(ctx, begun.UploadId, parts)
	}
	if err != nil {
		u.abort(ctx, begun.UploadId)
		return domain.Blob{}, err
	}
	return u.blob(), nil
}

// send uploads r part by part and returns what the parts are called. It takes a buffer for the part that is being read
// and one for each that is on its way.
func (u *upload) send(ctx context.Context, id *string, r io.Reader, first *[]byte) ([]types.CompletedPart, error) {
	g, partsCtx := errgroup.WithContext(ctx)
	buffers := u.newPartBuffers()
	defer buffers.release()
	var mu sync.Mutex
	var names []types.CompletedPart
	buf, n, err := first, len(*first), error(nil)
	for {
		if n > 0 && len(names) < maxParts {
			data, whose, at := (*buf)[:n], buf, len(names)
			mu.Lock()
			names = append(names, types.CompletedPart{})
			mu.Unlock()
			g.Go(func() error {
				defer buffers.put(whose)
				name, err := u.part(partsCtx, id, at+1, data)
				mu.Lock()
				defer mu.Unlock()
				names[at] = name
				return err
			})
			u.hash.Write(data) // while the part is on its way; nobody else takes the buffer before this loop goes on
			u.size += int64(n)
		} else {
			buffers.put(buf)
			if n > 0 {
				err = fmt.Errorf("%w: more than %d parts of %d bytes", domain.ErrTooLarge, maxParts, u.options.PartBytes)
			}
		}
		if err != nil {
			break
		}
		buf = buffers.take()
		n, err = u.fill(partsCtx, r, *buf)
	}
	gone := partsCtx.Err() != nil // then reading ended because storage failed, or because the caller left
	sent := g.Wait()
	switch {
	case err != io.EOF && !gone: //nolint:errorlint // a wrapped EOF is not the end, see io.Reader
		return nil, fmt.Errorf("store blob %s: %w", u.key, err)
	case sent != nil:
		return nil, sent
	case ctx.Err() != nil:
		return nil, fmt.Errorf("store blob %s: %w", u.key, context.Cause(ctx))
	}
	return names, nil
}

// partBuffers are the buffers of one upload. The first is its own, so that it always moves on; the others count
// against what all uploads may hold together.
type partBuffers struct {
	*Store

	free chan *[]byte
	held int
}

func (s *Store) newPartBuffers() *partBuffers {
	return &partBuffers{Store: s, free: make(chan *[]byte, partsAtOnce+1), held: 1}
}

func (b *partBuffers) put(buf *[]byte) { b.free <- buf }

// take returns a free buffer, one more where that is allowed, or the next that becomes free.
func (b *partBuffers) take() *[]byte {
	select {
	case buf := <-b.free:
		return buf
	default:
	}
	if b.held <= partsAtOnce {
		select {
		case b.spare <- struct{}{}:
			b.held++
			return b.buffer()
		default:
		}
	}
	return <-b.free
}

// release gives all buffers back, each of which must have been put.
func (b *partBuffers) release() {
	for i := range b.held {
		b.buffers.Put(<-b.free)
		if i > 0 {
			<-b.spare
		}
	}
}

func (u *upload) part(ctx context.Context, id *string, n int, data []byte) (types.CompletedPart, error) {
	number := int32(n) //nolint:gosec // at most maxParts
	out, err := u.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.options.Bucket, Key: u.place(u.key), UploadId: id, PartNumber: &number,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		if absent(err) { // somebody aborted it as stale: the whole upload must be done again
			err = fmt.Errorf("%w: the upload was aborted: %w", domain.ErrUnavailable, err)
			return types.CompletedPart{}, fmt.Errorf("store part %d of blob %s: %w", number, u.key, err)
		}
		return types.CompletedPart{}, u.failed(ctx, fmt.Sprintf("store part %d of blob", number), u.key, err)
	}
	return types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC32: out.ChecksumCRC32}, nil
}

func (u *upload) complete(ctx context.Context, id *string, parts []types.CompletedPart) error {
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &u.options.Bucket, Key: u.place(u.key), UploadId: id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if u.create {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := u.client.CompleteMultipartUpload(ctx, in)
	if err == nil || u.stored(ctx, err) {
		return nil
	}
	if c := code(err); c == "NoSuchUpload" || c == "InvalidPart" { // the second where parts were on their way meanwhile
		return fmt.Errorf("store blob %s: %w: the upload was aborted: %w", u.key, domain.ErrUnavailable, err)
	}
	return u.failed(ctx, "store blob", u.key, err)
}

// abort drops what was uploaded, also when the caller has gone away, and asks until it is gone: a part that was on its way
// may come in after the first time (Amazon S3 API, AbortMultipartUpload). Failing is harmless: AbortStale does it later.
func (u *upload) abort(ctx context.Context, id *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		_, err := u.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &u.options.Bucket, Key: u.place(u.key), UploadId: id,
		}, once)
		if absent(err) || (err != nil && status(err) == 0) { // gone, or nobody answers
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// AbortStale drops multipart uploads that were begun before a time and never completed, and says how many. They are
// invisible and cost storage until then.
func (s *Store) AbortStale(ctx context.Context, before time.Time) (int, error) {
	aborted := 0
	pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{
		Bucket: &s.options.Bucket, Prefix: &s.options.Prefix,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return aborted, s.failed(ctx, "list uploads", "", err)
		}
		for _, u := range page.Uploads {
			if u.Initiated == nil || !u.Initiated.Before(before) {
				continue
			}
			_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
				Bucket: &s.options.Bucket, Key: u.Key, UploadId: u.UploadId,
			})
			if err != nil && !absent(err) {
				return aborted, s.failed(ctx, "abort upload of", aws.ToString(u.Key), err)
			}
			aborted++
		}
	}
	return aborted, nil
}
