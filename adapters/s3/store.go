// Package s3 keeps blobs in an S3 bucket: Amazon's, or one of any server that speaks its protocol. It may import
// commands, domain and the AWS SDK.
package s3

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Store is a bucket of blobs, or the part of one that is under a prefix. Any number of processes may use it.
type Store struct {
	options Options
	client  *s3.Client
	cache   *cache
	signer  *v4.Signer
	public  *url.URL // of the bucket, as clients reach it

	buffers sync.Pool     // of PartBytes
	spare   chan struct{} // a place for each buffer that an upload may hold beside its first
}

var _ commands.Blobs = (*Store)(nil)

// Open prepares for work with a bucket. It asks storage nothing: Check does.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	client, err := newClient(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", o.Bucket, err)
	}
	s := &Store{
		options: o, client: client, spare: make(chan struct{}, o.BufferBytes/o.PartBytes),
		signer: v4.NewSigner(func(so *v4.SignerOptions) { so.DisableURIPathEscaping = true }), // S3's own rule
	}
	s.buffers.New = func() any { b := make([]byte, o.PartBytes); return &b }
	if s.public, err = publicURL(ctx, client.Options(), o); err != nil {
		return nil, err
	}
	if s.cache, err = openCache(o.CacheDir, o.CacheBytes); err != nil {
		return nil, err
	}
	return s, nil
}

// Close removes what Local has kept. Requests that run are not waited for.
func (s *Store) Close() error { return s.cache.close() }

// Check asks storage whether the bucket is there and the credentials are right. An error says what to do about it;
// ErrUnavailable: storage does not answer.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &s.options.Bucket, Prefix: &s.options.Prefix, MaxKeys: aws.Int32(1),
	})
	if err != nil {
		return s.failed(ctx, "look", "", err)
	}
	return nil
}

// place is where the blob with this key lies in the bucket.
func (s *Store) place(key string) *string { return aws.String(s.options.Prefix + key) }

func (s *Store) check(ctx context.Context, key string) error {
	if !validKey(key) {
		return fmt.Errorf("%w: %q is not the key of a blob", domain.ErrInvalid, key)
	}
	return ctx.Err()
}

// validKey: S3's limit is 1024 bytes, with the prefix.
func validKey(key string) bool { return len(key) <= 900 && commands.ValidKey(key) }
