package s3_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/domain"
)

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// fetch gets a blob as a client does: by its address, without keys.
func fetch(t *testing.T, s *s3.Store, key string, header http.Header) answer {
	t.Helper()
	at, err := s.URL(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return get(t, at, header)
}

func get(t *testing.T, at string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k := range header {
		r.Header.Set(k, header.Get(k))
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func put(t *testing.T, s *s3.Store, key, data string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, strings.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

func TestSignedAddresses(t *testing.T) {
	t.Parallel()
	o := options(t)
	now := time.Now()
	o.Now = func() time.Time { return now }
	o.URLLifetime = time.Hour
	s := ensure(t, o)
	put(t, s, "media/v/1.m4s", "0123456789")

	res := fetch(t, s, "media/v/1.m4s", http.Header{"Range": {"bytes=2-4"}, "Origin": {"https://example.org"}})
	if res.status != http.StatusPartialContent || res.body != "234" {
		t.Errorf("a range: %d %q", res.status, res.body)
	}
	if got := res.header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("Access-Control-Allow-Origin: %q", got)
	}
	if got := res.header.Get("Access-Control-Expose-Headers"); !strings.Contains(got, "Content-Range") {
		t.Errorf("Access-Control-Expose-Headers: %q", got)
	}

	at := s.MediaURL(domain.Blob{Key: "media/v/1.m4s"})
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"without a signature": u.Scheme + "://" + u.Host + u.Path,
		"of another key":      strings.Replace(at, "1.m4s", "2.m4s", 1),
	} {
		if res := get(t, bad, nil); res.status != http.StatusForbidden {
			t.Errorf("an address %s: %d", name, res.status)
		}
	}

	// Two hours after the begin of the window of signing, and no sooner than one after it was given out.
	begin := now.Truncate(time.Hour)
	for _, age := range []time.Duration{0, 59 * time.Minute} {
		now = begin.Add(age)
		if again := s.MediaURL(domain.Blob{Key: "media/v/1.m4s"}); again != at {
			t.Errorf("after %s the address is another: caches do not know it", age)
		}
	}
	now = begin.Add(time.Hour)
	if again := s.MediaURL(domain.Blob{Key: "media/v/1.m4s"}); again == at {
		t.Error("the address never changes")
	}
	now = begin.Add(-time.Hour - time.Second)
	if res := fetch(t, s, "media/v/1.m4s", nil); res.status != http.StatusForbidden {
		t.Errorf("an address that was signed more than two lifetimes ago: %d", res.status)
	}
	now = begin.Add(-time.Second)
	if res := fetch(t, s, "media/v/1.m4s", nil); res.status != http.StatusOK {
		t.Errorf("an address that was signed less than two lifetimes ago: %d", res.status)
	}
}

func TestAddressesOfOthers(t *testing.T) {
	t.Parallel()
	aws := s3.Options{Bucket: "media", Region: "eu-central-1", AccessKey: "a", SecretKey: "b", Prefix: "p"}
	cdn, public, paths := aws, aws, aws
	cdn.CDN = "https://cdn.example.org/x/"
	public.Endpoint, public.PublicEndpoint, public.PathStyle = "http://s3:7070", "https://media.example.org", true
	paths.PathStyle = true
	for _, c := range []struct {
		options        s3.Options
		origin, prefix string
	}{
		{aws, "https://media.s3.eu-central-1.amazonaws.com", "https://media.s3.eu-central-1.amazonaws.com/p/a/b?X-Amz-"},
		{paths, "https://s3.eu-central-1.amazonaws.com", "https://s3.eu-central-1.amazonaws.com/media/p/a/b?X-Amz-"},
		{public, "https://media.example.org", "https://media.example.org/media/p/a/b?X-Amz-"},
		{cdn, "https://cdn.example.org", "https://cdn.example.org/x/p/a/b"},
	} {
		s := open(t, c.options)
		at := s.MediaURL(domain.Blob{Key: "a/b"})
		if s.MediaOrigin() != c.origin || !strings.HasPrefix(at, c.prefix) {
			t.Errorf("%s, %s; want %s, %s", s.MediaOrigin(), at, c.origin, c.prefix)
		}
		if c.options.CDN != "" && at != c.prefix {
			t.Errorf("an address of the CDN is signed: %s", at)
		}
	}
}
