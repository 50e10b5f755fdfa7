package localfs_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/localfs"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

func open(tb testing.TB, dir string) *localfs.Store {
	tb.Helper()
	s, err := localfs.Open(dir)
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

func TestBlobs(t *testing.T) {
	t.Parallel()
	contract.Blobs(t, func(t *testing.T) commands.Blobs {
		t.Helper()
		return open(t, t.TempDir())
	})
}

// names lists everything in dir, with what a store keeps for itself.
func names(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Put(t.Context(), "a/b/c", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a/b/c"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, "a/b/c", strings.NewReader("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if got := names(t, dir); got != ".tmp .tmp/lock" {
		t.Errorf("left: %s", got)
	}
}

func TestOpenRemovesTemporaryFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := open(t, dir)
	left := filepath.Join(dir, ".tmp", "left")
	if err := os.WriteFile(left, []byte("half a blob"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir) // somebody else works here: the file may be its own
	if _, err := os.Stat(left); err != nil {
		t.Error("a second store removed a file of the first:", err)
	}

	other := t.TempDir()
	if err := os.MkdirAll(filepath.Join(other, ".tmp"), 0o750); err != nil {
		t.Fatal(err)
	}
	left = filepath.Join(other, ".tmp", "left")
	if err := os.WriteFile(left, []byte("half a blob"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, other)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Error("a file of a dead process is still there:", err)
	}
	if _, err := first.Put(t.Context(), "x", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	s := open(t, dir)
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if f, _, _, err := s.Open(t.Context(), "link/secret"); err == nil {
		_ = f.Close()
		t.Error("a link was followed out of the directory")
	}
	if _, err := s.Put(t.Context(), "link/new", strings.NewReader("x")); err == nil {
		t.Error("a blob was put through a link")
	}
	if got := names(t, outside); got != "secret" {
		t.Errorf("outside: %s", got)
	}
}

func TestOpenSeeks(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if _, err := s.Put(t.Context(), "a/b", strings.NewReader("0123456789")); err != nil {
		t.Fatal(err)
	}
	f, size, stored, err := s.Open(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(f)
	if err != nil || string(rest) != "789" || size != 10 || stored.IsZero() {
		t.Errorf("got %q, size %d, stored %s, %v", rest, size, stored, err)
	}
	if _, _, _, err := s.Open(t.Context(), "a"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("a directory opened as a blob: %v", err)
	}
	sum, err := s.Sum(t.Context(), "a/b")
	if err != nil || sum != "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882" {
		t.Errorf("Sum: %s, %v", sum, err)
	}
}
