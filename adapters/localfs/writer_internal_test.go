package localfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/iotest"
)

// Large blobs change over from the machine's cache to the disk itself, and back for the end.
func TestLargeBlobsAreWhole(t *testing.T) {
	t.Parallel()
	data := make([]byte, directFrom+3*bufferSize+4711)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data) // never fails
	for _, size := range []int{
		directFrom - 1, directFrom, directFrom + 1, directFrom + bufferSize - 1, directFrom + bufferSize,
		directFrom + 2*bufferSize + 4096, len(data),
	} {
		dir := t.TempDir()
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		blob, err := s.Put(t.Context(), "media/a", iotest.HalfReader(bytes.NewReader(data[:size])))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "media", "a"))
		if err != nil || !bytes.Equal(got, data[:size]) {
			t.Errorf("%d bytes went in, %d others came out, %v", size, len(got), err)
		}
		sum := sha256.Sum256(data[:size])
		if blob.Bytes != int64(size) || blob.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%d bytes: %+v", size, blob)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A file that takes only so much stands for a disk that is full. The rest of what the client sends is not waited for.
func TestAFailedWriteEndsThePut(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(os.DevNull) // not for writing
	if err != nil {
		t.Fatal(err)
	}
	endless := &counter{r: rand.NewChaCha8([32]byte{3})}
	if _, err := s.fill(t.Context(), f, endless, func(int64) {}); !errors.Is(err, syscall.EBADF) {
		t.Error(err)
	}
	if endless.n > 64*bufferSize {
		t.Errorf("%d bytes were read", endless.n)
	}
	reason := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if _, err := s.fill(ctx, f, endless, func(int64) {}); !errors.Is(err, reason) {
		t.Error(err)
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err //nolint:wrapcheck // a reader's
}
