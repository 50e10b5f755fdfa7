package s3_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/domain"
)

func local(t *testing.T, s *s3.Store, key string) (path string, release func()) {
	t.Helper()
	path, release, err := s.Local(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return path, release
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// gated opens a store whose downloads say on begun that they have begun, and then wait until gate is closed.
func gated(t *testing.T, o s3.Options) (s *s3.Store, begun, gate chan struct{}) {
	t.Helper()
	begun, gate = make(chan struct{}, 100), make(chan struct{})
	return open(t, through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if operation(r) == http.MethodGet {
			begun <- struct{}{}
			select {
			case <-gate:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		pass.ServeHTTP(w, r)
	})), begun, gate
}

func TestCopiesAreSharedAndKept(t *testing.T) {
	t.Parallel()
	o := options(t)
	put(t, ensure(t, o), "x", "0123456789")
	s, begun, gate := gated(t, o)
	paths := make(chan string, 4)
	var wg sync.WaitGroup
	for range cap(paths) {
		wg.Go(func() {
			path, release, err := s.Local(t.Context(), "x")
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			paths <- path
		})
	}
	close(gate)
	wg.Wait()
	path, release := local(t, s, "x") // nobody has it, but it is still there
	defer release()
	for range cap(paths) {
		if other := <-paths; other != path {
			t.Errorf("copies at %s and %s", path, other)
		}
	}
	if n := len(begun); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
}

func TestTheLongestUnusedCopyGoes(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.CacheBytes = 25 // two of them
	s := ensure(t, o)
	for _, key := range []string{"a", "b", "c", "d"} {
		put(t, s, key, "0123456789")
	}
	a, releaseA := local(t, s, "a")
	b, releaseB := local(t, s, "b")
	releaseB()
	releaseA()
	releaseA() // a second time changes nothing
	_, again := local(t, s, "b")
	again()
	c, releaseC := local(t, s, "c")
	if exists(t, a) || !exists(t, b) || !exists(t, c) {
		t.Errorf("with room for two: a %t, b %t, c %t; want the last two used", exists(t, a), exists(t, b), exists(t, c))
	}
	b, releaseB = local(t, s, "b")
	d, releaseD := local(t, s, "d")
	for _, path := range []string{b, c, d} { // all in use: more than fits, and none may go
		if !exists(t, path) {
			t.Errorf("%s went while it was in use", path)
		}
	}
	releaseC()
	if exists(t, c) {
		t.Error("too much is kept")
	}
	releaseB()
	releaseD()
}

func TestAReplacedBlobIsAnotherCopy(t *testing.T) {
	t.Parallel()
	s := ensure(t, options(t))
	put(t, s, "x", "first")
	path, release := local(t, s, "x")
	defer release()
	put(t, s, "x", "second")
	if got := content(t, s, "x"); string(got) != "second" {
		t.Errorf("got %q", got)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("whoever had the old one reads %q, %v", got, err)
	}
}

func TestADownloadEndsWithItsLastWaiter(t *testing.T) {
	t.Parallel()
	o := options(t)
	put(t, ensure(t, o), "x", "0123456789")
	o.Tries = 1
	s, begun, gate := gated(t, o)
	impatient, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, _, err := s.Local(impatient, "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("Local: %v, want context.Canceled", err)
		}
	})
	<-begun
	leave()
	wg.Wait()
	if copies, err := filepath.Glob(filepath.Join(o.CacheDir, "process-*", "*-*")); len(copies) > 0 || err != nil {
		t.Errorf("left of it: %v, %v", copies, err)
	}
	got := make(chan error, 1)
	go func() {
		_, release, err := s.Local(t.Context(), "x")
		if err == nil {
			release()
		}
		got <- err
	}()
	select {
	case <-begun: // a second download
		close(gate)
		if err := <-got; err != nil {
			t.Error(err)
		}
	case err := <-got:
		t.Errorf("the next one got %v of a download that nobody waited for", err)
	}
}

func TestCopiesOfDeadProcessesGo(t *testing.T) {
	t.Parallel()
	o := options(t)
	s := ensure(t, o)
	put(t, s, "x", "0123456789")
	living, release := local(t, s, "x")
	defer release()
	dead := filepath.Join(o.CacheDir, "process-dead", "copy")
	if err := os.MkdirAll(filepath.Dir(dead), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dead, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := s3.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if exists(t, dead) || !exists(t, living) {
		t.Errorf("a dead process's copy: %t, a living one's: %t", exists(t, dead), exists(t, living))
	}
	mine, _ := local(t, other, "x")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if exists(t, filepath.Dir(mine)) || !exists(t, living) {
		t.Errorf("after Close, its copies: %t, another's: %t", exists(t, filepath.Dir(mine)), exists(t, living))
	}
}

func TestNoPlaceForCopies(t *testing.T) {
	t.Parallel()
	o := options(t)
	ensure(t, o)
	put(t, open(t, o), "x", "x")
	o.CacheDir = ""
	if _, _, err := open(t, o).Local(t.Context(), "x"); err == nil || errors.Is(err, domain.ErrNotFound) {
		t.Errorf("without a directory: %v", err)
	}
	o.CacheDir = t.TempDir()
	s := open(t, o)
	dirs, err := filepath.Glob(filepath.Join(o.CacheDir, "process-*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("%v, %v", dirs, err)
	}
	if err := os.RemoveAll(dirs[0]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Local(t.Context(), "x"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a disk that fails: %v, want ErrUnavailable", err)
	}
}
