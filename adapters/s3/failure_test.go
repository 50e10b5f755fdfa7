package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/backends"
)

// TestWrongSetUp wants every mistake of whoever runs the program told as what it is, and not as weather or as a blob
// that is not there.
func TestWrongSetUp(t *testing.T) {
	t.Parallel()
	right := options(t)
	ensure(t, right)
	for _, c := range []struct {
		name   string
		change func(*s3.Options)
		says   string
	}{
		{"no such bucket", func(o *s3.Options) { o.Bucket += "-not" }, "cinelog provision"},
		{"wrong secret", func(o *s3.Options) { o.SecretKey = "wrong" }, "AWS_SECRET_ACCESS_KEY"},
		{"wrong access key", func(o *s3.Options) { o.AccessKey = "nobody" }, "AWS_ACCESS_KEY_ID"},
		{"no name of a bucket", func(o *s3.Options) { o.Bucket = "No_Name" }, "not the name of a bucket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := right
			c.change(&o)
			o.CacheDir = t.TempDir()
			s := open(t, o)
			_, put := s.Put(t.Context(), "x", strings.NewReader("x"))
			_, parts := s.Put(t.Context(), "x", stream{bytes.NewReader(make([]byte, 9<<20))})
			_, _, local := s.Local(t.Context(), "x")
			_, _, _, opened := s.Open(t.Context(), "x")
			_, aborted := s.AbortStale(t.Context(), time.Now())
			for what, err := range map[string]error{
				"Check": s.Check(t.Context()), "Put": put, "Put in parts": parts, "Local": local, "Open": opened, "AbortStale": aborted,
				"Delete": s.Delete(t.Context(), "x"),
				"List":   s.List(t.Context(), "", func(commands.StoredBlob) error { return nil }),
			} {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v\nwant something about %q", what, err, c.says)
				}
				if errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrNotFound) {
					t.Errorf("%s has a kind: %v", what, err)
				}
				if strings.Contains(err.Error(), right.SecretKey) {
					t.Errorf("%s tells the secret: %v", what, err)
				}
			}
		})
	}
}

func TestNoRegionAndNoKeys(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_PROFILE", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_, err := s3.Open(t.Context(), s3.Options{Bucket: "media", AccessKey: "a", SecretKey: "b"})
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
	_, err = s3.Open(t.Context(), s3.Options{Bucket: "media", Region: "eu-central-1"})
	if err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("without keys: %v", err)
	}
}

// unavailable wants an error that is told as weather, and within the tries that were allowed.
func unavailable(t *testing.T, s *s3.Store) {
	t.Helper()
	_, put := s.Put(t.Context(), "x", strings.NewReader("x"))
	_, parts := s.Put(t.Context(), "x", stream{bytes.NewReader(make([]byte, 9<<20))})
	_, _, local := s.Local(t.Context(), "x")
	for what, err := range map[string]error{
		"Check": s.Check(t.Context()), "Put": put, "Put in parts": parts, "Local": local, "Delete": s.Delete(t.Context(), "x"),
		"List": s.List(t.Context(), "", func(commands.StoredBlob) error { return nil }),
	} {
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := s3.Options{
		Bucket: "media", Endpoint: "http://" + l.Addr().String(), PathStyle: true, AccessKey: "a", SecretKey: "b",
		CacheDir: t.TempDir(), Tries: 2,
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	unavailable(t, open(t, o))
}

// TestSilentStorage has storage take requests and never answer, or not even take them.
func TestSilentStorage(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(net.Conn){
		"takes":     func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"takes not": func(net.Conn) {},
		"hangs up":  func(c net.Conn) { _ = c.Close() },
		"speaks XMPP": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1)) // an answer before the question is another thing
			_, _ = io.WriteString(c, "<stream/>")
			_ = c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					t.Cleanup(func() { _ = c.Close() })
					go handle(c)
				}
			}()
			t.Cleanup(func() { _ = l.Close(); <-done })
			unavailable(t, open(t, s3.Options{
				Bucket: "media", Endpoint: "http://" + l.Addr().String(), PathStyle: true, AccessKey: "a", SecretKey: "b",
				CacheDir: t.TempDir(), Tries: 2, Timeout: 100 * time.Millisecond,
			}))
		})
	}
}

// TestServerDiesInAnUpload kills storage in the middle of an upload: nobody ever sees a part of the blob, and what is
// left of it can be removed.
func TestServerDiesInAnUpload(t *testing.T) {
	t.Parallel()
	server, access, secret := backends.StartS3(t)
	o := s3.Options{
		Bucket: "media", Endpoint: server.URL, PathStyle: true, AccessKey: access, SecretKey: secret, CacheDir: t.TempDir(),
		PartBytes: part, Tries: 2,
	}
	s := ensure(t, o)
	const key = "sources/v/x"
	put := func(end func() error) error {
		_, err := s.Put(t.Context(), key, io.MultiReader(
			bytes.NewReader(randomBytes(6*part)), readerFunc(func([]byte) (int, error) { return 0, end() }),
		))
		return err
	}
	err := put(func() error {
		server.Stop(t)
		return io.EOF
	})
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Put: %v, want ErrUnavailable", err)
	}
	server.Start(t)
	if all := keys(t, s); len(all) > 0 {
		t.Errorf("half a blob is visible: %v", all)
	}
	if _, _, err := s.Local(t.Context(), key); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("Local: %v, want ErrNotFound", err)
	}
	for _, c := range []struct {
		before time.Time
		want   int
	}{{time.Now().Add(-time.Hour), 0}, {time.Now().Add(time.Minute), 1}, {time.Now().Add(time.Minute), 0}} {
		if n, err := s.AbortStale(t.Context(), c.before); n != c.want || err != nil {
			t.Errorf("AbortStale: %d, %v; want %d", n, err, c.want)
		}
	}
	if err := put(func() error { return io.EOF }); err != nil {
		t.Error("with the server back:", err)
	}
}

// TestStorageAbortsAnUpload is what happens to an upload that takes longer than the age at which uploads are stale.
func TestStorageAbortsAnUpload(t *testing.T) {
	t.Parallel()
	aborted := func(t *testing.T, s *s3.Store, _ http.ResponseWriter) (answered bool) {
		t.Helper()
		if n, err := s.AbortStale(t.Context(), time.Now().Add(time.Minute)); n != 1 || err != nil {
			t.Errorf("AbortStale: %d, %v", n, err)
		}
		return false
	}
	partGone := func(_ *testing.T, _ *s3.Store, w http.ResponseWriter) (answered bool) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<Error><Code>InvalidPart</Code></Error>")
		return true
	}
	for _, c := range []struct {
		name, before string
		handle       func(*testing.T, *s3.Store, http.ResponseWriter) bool
	}{
		{"before a part", "part", aborted},
		{"before it is completed", "complete", aborted},
		{"with parts on their way", "complete", partGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.PartBytes = part
			direct := ensure(t, o)
			var once sync.Once
			s := open(t, through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				answered := false
				if operation(r) == c.before {
					once.Do(func() { answered = c.handle(t, direct, w) })
				}
				if !answered {
					pass.ServeHTTP(w, r)
				}
			}))
			_, err := s.Put(t.Context(), "x", stream{bytes.NewReader(randomBytes(2 * part))})
			if !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrNotFound) {
				t.Errorf("Put: %v, want ErrUnavailable", err)
			}
		})
	}
}

// TestNothingIsLeftOfAnUploadThatFails looks for what a list does not show.
func TestNothingIsLeftOfAnUploadThatFails(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.PartBytes = part
	s := ensure(t, o)
	left := errors.New("the client left")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, c := range []struct {
		want error
		end  func() error
	}{
		{left, func() error { return left }},
		{context.Canceled, func() error { cancel(); return nil }},
	} {
		body := readerFunc(func(p []byte) (int, error) { return len(p), c.end() })
		_, err := s.Put(ctx, "x", io.MultiReader(bytes.NewReader(randomBytes(3*part)), body))
		if !errors.Is(err, c.want) {
			t.Errorf("Put: %v, want %v", err, c.want)
		}
	}
	if n, err := s.AbortStale(t.Context(), time.Now().Add(time.Minute)); n != 0 || err != nil {
		t.Errorf("%d uploads left unfinished, %v", n, err)
	}
}
