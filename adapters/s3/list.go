package s3

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// List implements commands.Blobs. S3 lists in the order of the keys.
func (s *Store) List(ctx context.Context, prefix string, each func(commands.StoredBlob) error) error {
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		if err := s.check(ctx, prefix[:i]); err != nil {
			return err
		}
	}
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{
		Bucket: &s.options.Bucket, Prefix: s.place(prefix),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return s.failed(ctx, "list blobs", prefix, err)
		}
		for _, o := range page.Contents {
			key := strings.TrimPrefix(aws.ToString(o.Key), s.options.Prefix)
			if !validKey(key) {
				continue // not ours
			}
			blob := commands.StoredBlob{Key: key, Bytes: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified).Unix()}
			if err := each(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

// deletesAtOnce is how many keys one request may delete (Amazon S3 API reference, DeleteObjects).
const deletesAtOnce = 1000

// Delete implements commands.Blobs.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := s.check(ctx, key); err != nil {
			return err
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), deletesAtOnce)
		if err := s.deleteBatch(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (s *Store) deleteBatch(ctx context.Context, keys []string) error {
	objects := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		objects[i].Key = s.place(key)
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.options.Bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return s.failed(ctx, fmt.Sprintf("delete %d blobs, of which the first is", len(keys)), keys[0], err)
	}
	for _, e := range out.Errors {
		if c := aws.ToString(e.Code); c != "NoSuchKey" {
			return fmt.Errorf("delete blob %s: %w: %s: %s", aws.ToString(e.Key), domain.ErrUnavailable, c, aws.ToString(e.Message))
		}
	}
	return nil
}

// DeletePrefix removes every blob under a prefix, which must end with a slash so that "media/1" does not take
// "media/10" with it, and says how many.
func (s *Store) DeletePrefix(ctx context.Context, prefix string) (int, error) {
	if !strings.HasSuffix(prefix, "/") {
		return 0, fmt.Errorf("%w: %q does not end with a slash", domain.ErrInvalid, prefix)
	}
	deleted := 0
	var batch []string
	flush := func() error {
		err := s.Delete(ctx, batch...)
		if err == nil {
			deleted += len(batch)
		}
		batch = batch[:0]
		return err
	}
	err := s.List(ctx, prefix, func(b commands.StoredBlob) error {
		if batch = append(batch, b.Key); len(batch) == deletesAtOnce {
			return flush() // what is gone does not disturb the listing: it goes on after the last key that it gave
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return deleted, err
}
