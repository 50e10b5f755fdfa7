package s3_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/test/backends"
)

// options name a bucket that does not exist yet.
func options(tb testing.TB) s3.Options {
	tb.Helper()
	endpoint, access, secret := backends.S3(tb)
	return s3.Options{
		Bucket: "cinelog-test-" + strings.ToLower(rand.Text()), Region: backends.Region, Endpoint: endpoint, PathStyle: true,
		AccessKey: access, SecretKey: secret, CacheDir: tb.TempDir(),
	}
}

// open opens a store, whether its bucket exists or not.
func open(tb testing.TB, o s3.Options) *s3.Store {
	tb.Helper()
	s, err := s3.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// ensure opens a store and makes its bucket.
func ensure(tb testing.TB, o s3.Options) *s3.Store {
	tb.Helper()
	s := open(tb, o)
	if _, err := s.EnsureBucket(tb.Context(), []string{"*"}, false); err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	contract.Blobs(t, func(t *testing.T) commands.Blobs {
		t.Helper()
		return ensure(t, options(t))
	})
}

func TestBlobsUnderAPrefix(t *testing.T) {
	t.Parallel()
	o := options(t)
	outside := ensure(t, o)
	if _, err := outside.Put(t.Context(), "apart/x", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	contract.Blobs(t, func(t *testing.T) commands.Blobs {
		t.Helper()
		o := o
		o.Prefix = "a/" + strings.ToLower(rand.Text())
		o.CacheDir = t.TempDir()
		return open(t, o)
	})
}
