package backends

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// kind is a kind of server; its name is its directory in test/servers.
type kind int

const (
	mongo kind = iota
	aws
	s3
)

func (k kind) String() string { return [...]string{"mongo", "aws", "s3"}[k] }

// build returns the command that starts a server. What it takes (a minute or less) is done once for each state of
// test/servers and kept in the user's cache directory, also when several test processes come at once.
func build(k kind) ([]string, error) {
	source, err := sources()
	if err != nil {
		return nil, err
	}
	sum, err := fingerprint(k, source)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "cinelog-test", k.String()+"-"+sum)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); errors.Is(err, fs.ErrNotExist) {
		if err = install(k, source, dir, lock); err == nil {
			err = os.WriteFile(done, nil, 0o600)
		}
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if k == aws {
		node, err := filepath.Glob(filepath.Join(dir, "node_modules", "node-*", "bin", "node"))
		if err != nil {
			return nil, err
		}
		if len(node) == 0 { // a platform that npm has no Node.js for: then the machine's own must be new enough
			node = []string{"node"}
		}
		return []string{node[0], "--no-warnings", filepath.Join(dir, "main.mjs")}, nil
	}
	return []string{filepath.Join(dir, k.String())}, nil
}

// install builds a server. The process that does it holds the lock too: when ours is killed, the next one waits for it.
func install(k kind, source, dir string, lock *os.File) error {
	ctx := context.Background()
	var what *exec.Cmd
	if k == aws {
		if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil { // of one that was killed
			return err
		}
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(source, "aws"))); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		what = exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
		what.Dir = dir
	} else {
		what = exec.CommandContext(ctx, "go", "build", "-tags", "ferretdb_no_postgresql", "-o", dir, "./"+k.String())
		what.Dir = source
		what.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	}
	what.ExtraFiles = []*os.File{lock}
	if out, err := what.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s\nTo see it by hand: cd %s && %s", err, out, what.Dir, strings.Join(what.Args, " "))
	}
	return nil
}

// sources finds test/servers above the directory of the running test.
func sources() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.Contains(mod, []byte("module github.com/cinelog/cinelog\n")) {
			return filepath.Join(dir, "test", "servers"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no module github.com/cinelog/cinelog above %s", here)
		}
	}
}

// fingerprint names a state of a server's sources, with what builds them.
func fingerprint(k kind, source string) (string, error) {
	parts := []string{k.String()}
	if k != aws {
		parts = append(parts, "serve", "go.mod", "go.sum")
	}
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	files := os.DirFS(source)
	for _, part := range parts {
		err := fs.WalkDir(files, part, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "node_modules":
				return fs.SkipDir
			case d.IsDir():
				return nil
			}
			fmt.Fprintln(h, path)
			f, err := files.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(h, f)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
