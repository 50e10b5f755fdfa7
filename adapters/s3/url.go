package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cinelog/cinelog/domain"
)

// publicURL is the address of the bucket as clients reach it.
func publicURL(ctx context.Context, c s3.Options, o Options) (*url.URL, error) {
	if o.CDN != "" {
		return url.Parse(strings.TrimSuffix(o.CDN, "/"))
	}
	params := s3.EndpointParameters{Bucket: &o.Bucket, Region: &c.Region, ForcePathStyle: &o.PathStyle, Endpoint: c.BaseEndpoint}
	if o.PublicEndpoint != "" {
		params.Endpoint = &o.PublicEndpoint
	}
	at, err := c.EndpointResolverV2.ResolveEndpoint(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: find its address: %w", o.Bucket, err)
	}
	return &at.URI, nil
}

// MediaOrigin is where media lie ("https://cdn.example.org"), for the policies of pages.
func (s *Store) MediaOrigin() string { return s.public.Scheme + "://" + s.public.Host }

// URL gives an address from which a client can fetch a blob, with ranges, for Options.URLLifetime at least. It stays
// the same for as long, so that caches work: what changes in it is the time of signing, and that is rounded down.
func (s *Store) URL(ctx context.Context, key string) (string, error) {
	if err := s.check(ctx, key); err != nil {
		return "", err
	}
	at := s.public.JoinPath(*s.place(key))
	if s.options.CDN != "" {
		return at.String(), nil
	}
	creds, err := s.client.Options().Credentials.Retrieve(ctx)
	if err != nil {
		return "", fmt.Errorf("sign the address of blob %s: %w: %w", key, domain.ErrUnavailable, err)
	}
	life := s.options.URLLifetime
	at.RawQuery = url.Values{"X-Amz-Expires": {strconv.Itoa(int(2 * life / time.Second))}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", fmt.Errorf("sign the address of blob %s: %w", key, err)
	}
	signed, _, err := s.signer.PresignHTTP(ctx, creds, r, "UNSIGNED-PAYLOAD", "s3", s.client.Options().Region, s.options.Now().Truncate(life))
	if err != nil {
		return "", fmt.Errorf("sign the address of blob %s: %w", key, err)
	}
	return signed, nil
}

// MediaURL is URL as playlists need it. Where nothing can be signed now it gives the address at which this program
// itself serves the blob, or says what is wrong.
func (s *Store) MediaURL(b domain.Blob) string {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.Timeout)
	defer cancel()
	if at, err := s.URL(ctx, b.Key); err == nil {
		return at
	}
	return "/" + b.Key
}
