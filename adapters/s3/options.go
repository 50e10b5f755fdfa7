package s3

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Options say where blobs are kept and how. Only Bucket and CacheDir are needed on Amazon's own S3.
type Options struct {
	Bucket string
	Prefix string // of all keys in the bucket, without the slash that follows it
	// Region, AccessKey and SecretKey are found where the AWS tools look for them (environment, profile, role of the
	// machine) when empty.
	Region               string
	AccessKey, SecretKey string
	// Endpoint is the address of an S3 that is not Amazon's. PublicEndpoint is the same as clients reach it, when they
	// do so by another name than this process; their media addresses are signed for it.
	Endpoint, PublicEndpoint string
	// PathStyle addresses https://host/bucket/key instead of https://bucket.host/key.
	PathStyle bool
	// CDN is the address under which the keys are public ("https://cdn.example.org/media-of-ours"). Media addresses are
	// then neither signed nor limited in time.
	CDN string
	// URLLifetime is how long a signed address holds at least; it may hold twice as long. 6 h when zero, 3.5 days at
	// most. Credentials of a role sign nothing that outlives them.
	URLLifetime time.Duration

	// CacheDir holds the blobs that Local gives out; CacheBytes is how much of it is kept for the next caller, 20 GiB
	// when zero. What is in use may take more.
	CacheDir   string
	CacheBytes int64

	// PartBytes is the size of a part of an upload, 8 MiB when zero (which makes 78 GiB the largest blob), 5 MiB at
	// least. An upload holds one part in memory, and more where BufferBytes, which all uploads share, has room for them:
	// 128 MiB when zero.
	PartBytes, BufferBytes int64
	// Timeout is how long storage may be silent before a try is given up, 20 s when zero; Tries is how often a request
	// is tried, 3 times when zero.
	Timeout time.Duration
	Tries   int

	// ContentType names the type that storage shall say a key has, "" for none; those with one may be kept by caches
	// for ever. May be nil.
	ContentType func(key string) string
	Now         func() time.Time
}

// S3's limits (Amazon S3 user guide, "Multipart upload limits"; AWS Signature Version 4, X-Amz-Expires).
const (
	minPartBytes = 5 << 20
	maxParts     = 10_000
	maxLifetime  = 7 * 24 * time.Hour
)

// ParseURL reads s3://BUCKET[/PREFIX][?region=R&endpoint=URL&public-endpoint=URL&path-style=true&cdn=URL&lifetime=6h].
// ErrInvalid.
func ParseURL(at string) (Options, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return Options{}, fmt.Errorf("%w: %q is not s3://BUCKET, s3://BUCKET/PREFIX or one of them with ?options", domain.ErrInvalid, at)
	}
	o := Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	for name, values := range u.Query() {
		err := o.set(name, values[len(values)-1])
		if err != nil {
			return Options{}, fmt.Errorf("%w: %q: %s: %w", domain.ErrInvalid, at, name, err)
		}
	}
	return o, o.check()
}

func (o *Options) set(name, value string) (err error) {
	switch name {
	case "region":
		o.Region = value
	case "endpoint":
		o.Endpoint = value
	case "public-endpoint":
		o.PublicEndpoint = value
	case "path-style":
		o.PathStyle, err = strconv.ParseBool(value)
	case "cdn":
		o.CDN = value
	case "lifetime":
		o.URLLifetime, err = time.ParseDuration(value)
	default:
		err = errors.New("unknown; known are region, endpoint, public-endpoint, path-style, cdn and lifetime")
	}
	return err
}

func (o *Options) check() error {
	if o.Prefix != "" && !validKey(o.Prefix) {
		return fmt.Errorf("%w: prefix %q must be made of lower-case letters, digits, '.', '-', '_' and '/'", domain.ErrInvalid, o.Prefix)
	}
	for name, at := range map[string]string{"endpoint": o.Endpoint, "public-endpoint": o.PublicEndpoint, "cdn": o.CDN} {
		if at == "" {
			continue
		}
		if u, err := url.Parse(at); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
			return fmt.Errorf("%w: %s %q must be http://HOST or https://HOST", domain.ErrInvalid, name, at)
		}
	}
	if o.URLLifetime < 0 || o.URLLifetime > maxLifetime/2 {
		return fmt.Errorf("%w: a lifetime of %s is not within 0 and %s", domain.ErrInvalid, o.URLLifetime, maxLifetime/2)
	}
	if o.PartBytes != 0 && o.PartBytes < minPartBytes {
		return fmt.Errorf("%w: parts of %d bytes are below S3's limit of %d", domain.ErrInvalid, o.PartBytes, minPartBytes)
	}
	return nil
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	o.URLLifetime = cmp.Or(o.URLLifetime, 6*time.Hour)
	o.CacheBytes = cmp.Or(o.CacheBytes, 20<<30)
	o.PartBytes = cmp.Or(o.PartBytes, 8<<20)
	o.BufferBytes = cmp.Or(o.BufferBytes, 128<<20)
	o.Timeout = cmp.Or(o.Timeout, 20*time.Second)
	o.Tries = cmp.Or(o.Tries, 3)
	if o.ContentType == nil {
		o.ContentType = func(string) string { return "" }
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of the clock that is taken
	}
	if o.Prefix != "" {
		o.Prefix += "/"
	}
	return o
}
