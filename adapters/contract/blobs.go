package contract

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// Blobs is the suite of commands.Blobs. open returns a storage of its own for each test, empty and closed by the
// test's cleanup.
func Blobs(t *testing.T, open func(t *testing.T) commands.Blobs) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, commands.Blobs)
	}{
		{"a blob comes back as it was put", blobRoundTrip},
		{"an existing blob is replaced", blobReplaced},
		{"a reader that fails stores nothing", blobReaderFails},
		{"a context that ends stores nothing", blobContextEnds},
		{"readers see all of a blob or nothing", blobAllOrNothing},
		{"a key that is none is refused", blobKeys},
		{"a list is in the order of the keys", blobList},
		{"a list ends with the caller's error", blobListEnds},
		{"what is deleted is gone, twice too", blobDelete},
		{"puts and deletes in one place do not disturb each other", blobPutAndDelete},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func put(t *testing.T, b commands.Blobs, key string, data []byte) domain.Blob {
	t.Helper()
	blob, err := b.Put(t.Context(), key, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func content(t *testing.T, b commands.Blobs, key string) []byte {
	t.Helper()
	path, release, err := b.Local(t.Context(), key)
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

func keysUnder(t *testing.T, b commands.Blobs, prefix string) []string {
	t.Helper()
	var keys []string
	err := b.List(t.Context(), prefix, func(s commands.StoredBlob) error {
		keys = append(keys, s.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func noBlob(t *testing.T, b commands.Blobs, key string) {
	t.Helper()
	if _, _, err := b.Local(t.Context(), key); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("Local(%s): %v, want ErrNotFound", key, err)
	}
	if keys := keysUnder(t, b, key); len(keys) > 0 {
		t.Errorf("List(%s): %v, want nothing", key, keys)
	}
}

func randomBytes(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.Read(data) // never fails
	return data
}

func blobRoundTrip(t *testing.T, b commands.Blobs) {
	for _, size := range []int{0, 1, 4095, 1 << 20, 1<<20 + 1, 9<<20 + 7} {
		key := fmt.Sprintf("media/v/a1/0-run/720p/%05d.m4s", size)
		data := randomBytes(size)
		// Sources come in small uneven pieces from the network.
		blob, err := b.Put(t.Context(), key, iotest.HalfReader(bytes.NewReader(data)))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if want := (domain.Blob{Key: key, Bytes: int64(size), SHA256: hex.EncodeToString(sum[:])}); blob != want {
			t.Errorf("put %d bytes: %+v, want %+v", size, blob, want)
		}
		if !bytes.Equal(content(t, b, key), data) {
			t.Errorf("%d bytes came back changed", size)
		}
	}
}

func blobReplaced(t *testing.T, b commands.Blobs) {
	put(t, b, "a/b", []byte("first and longer"))
	put(t, b, "a/b", []byte("second"))
	if got := content(t, b, "a/b"); string(got) != "second" {
		t.Errorf("got %q", got)
	}
}

func blobReaderFails(t *testing.T, b commands.Blobs) {
	for _, want := range []error{io.ErrUnexpectedEOF, errors.New("connection reset")} {
		body := io.MultiReader(bytes.NewReader(randomBytes(3<<20)), iotest.ErrReader(want))
		if _, err := b.Put(t.Context(), "sources/v/x", body); !errors.Is(err, want) {
			t.Errorf("Put: %v, want %v", err, want)
		}
		noBlob(t, b, "sources/v/x")
	}
	put(t, b, "sources/v/x", []byte("old"))
	_, err := b.Put(t.Context(), "sources/v/x", iotest.ErrReader(io.ErrUnexpectedEOF))
	if err == nil || string(content(t, b, "sources/v/x")) != "old" {
		t.Errorf("a failed Put (%v) must leave the old blob", err)
	}
}

func blobContextEnds(t *testing.T, b commands.Blobs) {
	ctx, cancel := context.WithCancel(t.Context())
	body := io.MultiReader(bytes.NewReader(randomBytes(2<<20)), readerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	}), bytes.NewReader(randomBytes(2<<20)))
	if _, err := b.Put(ctx, "sources/v/x", io.LimitReader(body, 8<<20)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want context.Canceled", err)
	}
	noBlob(t, b, "sources/v/x")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func blobAllOrNothing(t *testing.T, b commands.Blobs) {
	half := make(chan struct{})
	resume := make(chan struct{})
	data := randomBytes(2 << 20)
	body := io.MultiReader(bytes.NewReader(data), readerFunc(func([]byte) (int, error) {
		close(half)
		<-resume
		return 0, io.EOF
	}))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := b.Put(t.Context(), "media/v/x", body); err != nil {
			t.Error(err)
		}
	})
	<-half
	noBlob(t, b, "media/v/x")
	if keys := keysUnder(t, b, ""); len(keys) > 0 {
		t.Errorf("half a blob is listed: %v", keys)
	}
	close(resume)
	wg.Wait()
	if !bytes.Equal(content(t, b, "media/v/x"), data) {
		t.Error("the blob is not what was put")
	}
}

func blobKeys(t *testing.T, b commands.Blobs) {
	put(t, b, "a/b", []byte("x"))
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a/.hidden", ".tmp/x", "A", "a b", "a\\b", "a\x00b",
		"a\nb", "ä", "a:b", "a%2fb", "~a", "a*",
	} {
		if _, err := b.Put(t.Context(), key, strings.NewReader("x")); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Put(%q): %v, want ErrInvalid", key, err)
		}
		if _, _, err := b.Local(t.Context(), key); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Local(%q): %v, want ErrInvalid", key, err)
		}
		if err := b.Delete(t.Context(), key); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Delete(%q): %v, want ErrInvalid", key, err)
		}
	}
	for _, key := range []string{"a", "a/b/c"} { // a directory of a key, and under one
		noLocal(t, b, key)
	}
	if got := keysUnder(t, b, ""); !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("stored: %v", got)
	}
}

func noLocal(t *testing.T, b commands.Blobs, key string) {
	t.Helper()
	if _, _, err := b.Local(t.Context(), key); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("Local(%s): %v, want ErrNotFound", key, err)
	}
}

func blobList(t *testing.T, b commands.Blobs) {
	want := []string{"m/a-b/x", "m/a.b/x", "m/a/x", "m/a/y/z", "m/a0/x", "m/ab", "n/x"}
	for _, i := range []int{3, 0, 6, 2, 5, 1, 4} {
		put(t, b, want[i], []byte(want[i]))
	}
	for prefix, keys := range map[string][]string{
		"": want, "m/": want[:6], "m/a": want[:6], "m/a/": want[2:4], "m/a/y/z": want[3:4], "m/a/y/": want[3:4], "m/b": nil,
		"x/y/z": nil, "n": want[6:],
	} {
		if got := keysUnder(t, b, prefix); !slices.Equal(got, keys) {
			t.Errorf("List(%q): %v, want %v", prefix, got, keys)
		}
	}
	err := b.List(t.Context(), "n/", func(s commands.StoredBlob) error {
		if s.Bytes != 3 || s.Modified <= 0 {
			t.Errorf("listed as %+v", s)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func blobListEnds(t *testing.T, b commands.Blobs) {
	put(t, b, "a/1", nil)
	put(t, b, "a/2", nil)
	enough := errors.New("enough")
	calls := 0
	err := b.List(t.Context(), "a/", func(commands.StoredBlob) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%v after %d calls, want the callback's error after one", err, calls)
	}
}

func blobDelete(t *testing.T, b commands.Blobs) {
	put(t, b, "a/b/1", nil)
	put(t, b, "a/b/2", nil)
	put(t, b, "a/c", nil)
	for range 2 {
		if err := b.Delete(t.Context(), "a/b/1", "a/b/2", "never/there"); err != nil {
			t.Fatal(err)
		}
	}
	if got := keysUnder(t, b, ""); !slices.Equal(got, []string{"a/c"}) {
		t.Errorf("left: %v", got)
	}
	put(t, b, "a/b/1", []byte("again"))
	if got := content(t, b, "a/b/1"); string(got) != "again" {
		t.Errorf("got %q", got)
	}
	if err := b.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}

func blobPutAndDelete(t *testing.T, b commands.Blobs) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := fmt.Sprintf("deep/er/%d", i)
			for range 10 {
				if _, err := b.Put(t.Context(), key, strings.NewReader(key)); err != nil {
					t.Error(err)
					return
				}
				if err := b.Delete(t.Context(), key); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := keysUnder(t, b, ""); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}
