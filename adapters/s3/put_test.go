package s3_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const part = 5 << 20 // the smallest that S3 takes

func randomBytes(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.Read(data) // never fails
	return data
}

func content(t *testing.T, s *s3.Store, key string) []byte {
	t.Helper()
	path, release, err := s.Local(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func keys(t *testing.T, s *s3.Store) []string {
	t.Helper()
	var all []string
	err := s.List(t.Context(), "", func(b commands.StoredBlob) error {
		all = append(all, b.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// stream hides everything of a reader but Read.
type stream struct{ io.Reader }

func TestSizesAroundParts(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.PartBytes = part
	o.BufferBytes = part // so that uploads wait for each other's buffers
	s := ensure(t, o)
	var wg sync.WaitGroup
	for _, size := range []int{part - 1, part, part + 1, 2 * part, 4*part + 7} {
		wg.Go(func() {
			data := randomBytes(size)
			sum := sha256.Sum256(data)
			for name, r := range map[string]io.Reader{"stream": stream{bytes.NewReader(data)}, "memory": bytes.NewReader(data)} {
				key := name + "/" + hex.EncodeToString(sum[:4])
				got, err := s.Put(t.Context(), key, r)
				if want := (domain.Blob{Key: key, Bytes: int64(size), SHA256: hex.EncodeToString(sum[:])}); err != nil || got != want {
					t.Errorf("%d bytes, %s: %+v, %v", size, name, got, err)
					continue
				}
				if !bytes.Equal(content(t, s, key), data) {
					t.Errorf("%d bytes came back changed", size)
				}
				if got, err := s.Sum(t.Context(), key); err != nil || got != hex.EncodeToString(sum[:]) {
					t.Errorf("Sum: %s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestPutHoldsFewParts measures how far an upload reads ahead of what storage has taken.
func TestPutHoldsFewParts(t *testing.T) {
	t.Parallel()
	const most = 5 * part // four on their way and one being read
	var stored, ahead atomic.Int64
	o := options(t)
	o.PartBytes = part
	ensure(t, o)
	s := open(t, through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if operation(r) != "part" {
			pass.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		pass.ServeHTTP(answer, r)
		stored.Add(r.ContentLength) // before the answer goes out and the next part is read
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
	}))
	left := int64(24 * part)
	var read int64
	r := readerFunc(func(p []byte) (int, error) {
		if left == 0 {
			return 0, io.EOF
		}
		n := min(int64(len(p)), left)
		left, read = left-n, read+n
		ahead.Store(max(ahead.Load(), read-stored.Load()))
		return int(n), nil
	})
	if _, err := s.Put(t.Context(), "sources/v/x", r); err != nil {
		t.Fatal(err)
	}
	if ahead.Load() > most {
		t.Errorf("an upload held %d bytes, want at most %d", ahead.Load(), most)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestCreateDoesNotReplace(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.PartBytes = part
	s := ensure(t, o)
	for _, size := range []int{3, part + 1} { // one request, and a multipart upload
		key := "once/" + string(rune('a'+size%26))
		var won atomic.Int32
		var winner atomic.Pointer[[]byte]
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				data := randomBytes(size)
				switch _, err := s.Create(t.Context(), key, stream{bytes.NewReader(data)}); {
				case err == nil:
					won.Add(1)
					winner.Store(&data)
				case !errors.Is(err, domain.ErrConflict):
					t.Errorf("Create: %v, want ErrConflict", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || !bytes.Equal(content(t, s, key), *winner.Load()) {
			t.Errorf("%d bytes: %d of 6 created it, want one, and its content", size, won.Load())
		}
	}
}

// TestLostAnswers has storage do what it is asked for and the answer get lost: the second try meets the first one's
// work.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, operation string
		bytes           int
		create          bool
	}{
		{"a multipart upload that was completed", "complete", part + 1, false},
		{"a multipart upload that was completed and must be new", "complete", part + 1, true},
		{"a blob that must be new", http.MethodPut, 3, true},
		{"a part", "part", 2*part + 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.PartBytes = part
			ensure(t, o)
			var lost atomic.Int32
			s := open(t, through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if operation(r) == c.operation && lost.Add(1) == 1 {
					w = &cutAfter{ResponseWriter: discardHeader{w}}
					defer panic(http.ErrAbortHandler)
				}
				pass.ServeHTTP(w, r)
			}))
			put := s.Put
			if c.create {
				put = s.Create
			}
			data := randomBytes(c.bytes)
			if _, err := put(t.Context(), "x", stream{bytes.NewReader(data)}); err != nil {
				t.Fatal(err)
			}
			if lost.Load() < 2 {
				t.Fatal("no second try was seen")
			}
			if !bytes.Equal(content(t, s, "x"), data) {
				t.Error("the blob is not what was put")
			}
			if n, err := s.AbortStale(t.Context(), time.Now().Add(time.Hour)); n != 0 || err != nil {
				t.Errorf("%d uploads left unfinished, %v", n, err)
			}
		})
	}
}

// discardHeader keeps an answer from being sent.
type discardHeader struct{ http.ResponseWriter }

func (discardHeader) WriteHeader(int)             {}
func (discardHeader) Write(p []byte) (int, error) { return len(p), nil }

func TestBusyStorageIsAskedAgain(t *testing.T) {
	t.Parallel()
	o := options(t)
	ensure(t, o)
	var asked atomic.Int32
	s := open(t, through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if operation(r) == http.MethodPut && asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
			return
		}
		pass.ServeHTTP(w, r)
	}))
	if _, err := s.Put(t.Context(), "x", strings.NewReader("x")); err != nil || asked.Load() != 2 {
		t.Errorf("%d tries, %v", asked.Load(), err)
	}
}

func TestBlobsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.PartBytes = part
	o.ContentType = func(key string) string {
		if strings.HasSuffix(key, ".m4s") {
			return "video/iso.segment"
		}
		return ""
	}
	s := ensure(t, o)
	for key, want := range map[string]string{"a/1.m4s": "video/iso.segment", "a/2": ""} {
		for _, size := range []int{1, part + 1} {
			if _, err := s.Put(t.Context(), key, stream{bytes.NewReader(randomBytes(size))}); err != nil {
				t.Fatal(err)
			}
			h := fetch(t, s, key, nil).header
			if want != "" && (h.Get("Content-Type") != want || !strings.Contains(h.Get("Cache-Control"), "immutable")) {
				t.Errorf("%s of %d bytes: Content-Type %q, Cache-Control %q", key, size, h.Get("Content-Type"), h.Get("Cache-Control"))
			}
			if want == "" && h.Get("Cache-Control") != "" {
				t.Errorf("%s may be cached: %q", key, h.Get("Cache-Control"))
			}
		}
	}
}
