package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

func TestOpenReadsAndSeeks(t *testing.T) {
	t.Parallel()
	s := ensure(t, options(t))
	data := randomBytes(9 << 20) // more than one request's worth
	for key, data := range map[string][]byte{"a/b": data, "a/empty": {}} {
		if _, err := s.Put(t.Context(), key, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		f, size, stored, err := s.Open(t.Context(), key)
		if err != nil || size != int64(len(data)) || stored.IsZero() {
			t.Fatalf("size %d, stored %s, %v", size, stored, err)
		}
		if err := iotest.TestReader(f, data); err != nil {
			t.Error(err)
		}
		if _, err := f.Seek(-1, io.SeekStart); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Seek(-1): %v", err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, _, _, err := s.Open(t.Context(), "a"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("Open of a directory of keys: %v, want ErrNotFound", err)
	}
}

// TestBrokenConnectionsAreMade again has every answer break off after a while.
func TestBrokenConnectionsAreMadeAgain(t *testing.T) {
	t.Parallel()
	o := options(t)
	ensure(t, o)
	var broken atomic.Int32
	s := open(t, through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if operation(r) == http.MethodGet {
			broken.Add(1)
			w = &cutAfter{w, 1 << 20}
		}
		pass.ServeHTTP(w, r)
	}))
	data := randomBytes(5<<20 + 1)
	if _, err := s.Put(t.Context(), "x", bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content(t, s, "x"), data) || broken.Load() < 6 {
		t.Errorf("the blob came back changed, or not in %d requests", broken.Load())
	}
}

func TestConnectionsThatGiveNothing(t *testing.T) {
	t.Parallel()
	o := options(t)
	ensure(t, o)
	s := open(t, through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if operation(r) == http.MethodGet {
			w = &cutAfter{w, 0}
		}
		pass.ServeHTTP(w, r)
	}))
	put(t, s, "x", "0123456789")
	if _, _, err := s.Local(t.Context(), "x"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Local: %v, want ErrUnavailable", err)
	}
	if _, err := s.Sum(t.Context(), "x"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Sum: %v, want ErrUnavailable", err)
	}
}

func TestReadersSeeOneVersion(t *testing.T) {
	t.Parallel()
	s := ensure(t, options(t))
	put(t, s, "x", "first")
	f, _, _, err := s.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put(t, s, "x", "other")
	if data, err := io.ReadAll(f); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("read %q, %v: half of each, or more", data, err)
	}
}

func TestManyBlobs(t *testing.T) {
	t.Parallel()
	o := options(t)
	ensure(t, o)
	var deletes atomic.Int32
	s := open(t, through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if operation(r) == "delete" {
			deletes.Add(1)
		}
		pass.ServeHTTP(w, r)
	}))
	var want []string
	var wg sync.WaitGroup
	turns := make(chan struct{}, 16)
	for i := range 1005 { // more than a page of a list, more than a request deletes
		key := fmt.Sprintf("m/1/%04d", i)
		want = append(want, key)
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if _, err := s.Put(t.Context(), key, strings.NewReader(key)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	put(t, s, "m/10", "stays")
	if got := keys(t, s); !slices.Equal(got, append(want, "m/10")) {
		t.Errorf("%d keys listed, want %d in order", len(got), len(want)+1)
	}
	if _, err := s.DeletePrefix(t.Context(), "m/1"); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("DeletePrefix(m/1): %v, want ErrInvalid", err)
	}
	if err := s.Delete(t.Context(), want[:1002]...); err != nil || deletes.Load() != 2 { // S3 takes 1000 at once
		t.Errorf("Delete: %d requests, %v", deletes.Load(), err)
	}
	if got := keys(t, s); !slices.Equal(got, append(want[1002:], "m/10")) {
		t.Errorf("left after Delete: %v", got)
	}
	if n, err := s.DeletePrefix(t.Context(), "m/1/"); n != 3 || err != nil {
		t.Errorf("DeletePrefix: %d, %v", n, err)
	}
	if got := keys(t, s); !slices.Equal(got, []string{"m/10"}) {
		t.Errorf("left after DeletePrefix: %v", got)
	}
}

// TestDeletesThatFail has storage delete one key and refuse another in the same answer.
func TestDeletesThatFail(t *testing.T) {
	t.Parallel()
	s := open(t, through(t, options(t), func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		_, _ = io.WriteString(w, `<DeleteResult><Error><Key>b</Key><Code>InternalError</Code><Message>try again</Message></Error></DeleteResult>`)
	}))
	if err := s.Delete(t.Context(), "a", "b"); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "blob b") {
		t.Errorf("Delete: %v", err)
	}
}

func TestListSkipsWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	o := options(t)
	ensure(t, o)
	s := open(t, through(t, o, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		_, _ = io.WriteString(w, `<ListBucketResult><Contents><Key>a/</Key></Contents><Contents><Key>Readme.TXT</Key></Contents>`+
			`<Contents><Key>b</Key><Size>1</Size></Contents></ListBucketResult>`)
	}))
	if got := keys(t, s); !slices.Equal(got, []string{"b"}) {
		t.Errorf("listed: %v", got)
	}
	err := s.List(t.Context(), "../", func(commands.StoredBlob) error { return nil })
	if !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("List(../): %v, want ErrInvalid", err)
	}
}
