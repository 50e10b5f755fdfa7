package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// eventually polls for a condition of something that nobody can signal to this process. what says what was waited for.
func eventually(t testing.TB, limit time.Duration, what func() string) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := what()
		if missing == "" {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the test ended while it waited: %s", missing)
		case <-deadline:
			t.Fatalf("not within %s: %s", limit, missing)
		case <-tick.C:
		}
	}
}

// asLongAsItMoves is eventually with a limit on the time without a new event: many videos share what machine there is.
func asLongAsItMoves(t *testing.T, dir string, limit time.Duration, what func() string) {
	t.Helper()
	log, err := openLogToRead(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	for what() != "" {
		before, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, limit, func() string {
			missing := what()
			if head, err := log.Head(t.Context()); missing == "" || err == nil && head > before {
				return ""
			}
			return missing + ", and nothing has happened"
		})
	}
}

// settled waits until nothing is left to do in a data folder: every event is published and every queue is empty.
func settled(t *testing.T, dir string, limit time.Duration) {
	t.Helper()
	ctx := t.Context()
	log, err := openLogToRead(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	err = withLetters(&console{places: places{Data: dir}}, func(letters deadLetters) error {
		opened, err := letters.bus(ctx)
		if err != nil {
			return err
		}
		q := opened.(sqliteBus)
		eventually(t, limit, func() string {
			head, err := log.Head(ctx)
			if err != nil {
				return err.Error()
			}
			published, err := q.LoadCheckpoint(ctx, "relay")
			if err != nil {
				return err.Error()
			}
			backlogs, err := q.Backlogs(ctx)
			if err != nil {
				return err.Error()
			}
			for _, b := range backlogs {
				if b.Ready+b.InWork+b.Delayed > 0 {
					return fmt.Sprintf("the queue of %s is not empty: %+v", b.Group, b)
				}
			}
			// The queues were seen empty after everything up to published had gone into them. What came since shows here.
			after, err := log.Head(ctx)
			if err != nil {
				return err.Error()
			}
			if published < head || head != after {
				return fmt.Sprintf("published up to %d of %d", published, after)
			}
			return ""
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// verifyFinds runs "cinelog verify" and returns what it prints when something is wrong.
func verifyFinds(ctx context.Context, dir string) string {
	var out bytes.Buffer
	if err := (verifyCmd{}).Run(ctx, &console{out: &out, err: &out, places: places{Data: dir}}); err != nil {
		return out.String() + err.Error()
	}
	return ""
}

// canaries are files that nobody may open. The kernel tells when somebody does, in a cage or not.
type canaries struct {
	t      *testing.T
	fd     int
	secret string
	paths  map[int]string // by watch
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return &canaries{t: t, fd: fd, secret: "secret-" + uuid.NewString(), paths: map[int]string{}}
}

// add writes the secret into a file, with its folder, and watches it.
func (c *canaries) add(path string) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte(c.secret+"\n"), 200), 0o600); err != nil {
		c.t.Fatal(err)
	}
	watch, err := syscall.InotifyAddWatch(c.fd, path, syscall.IN_OPEN|syscall.IN_ACCESS)
	if err != nil {
		c.t.Fatal(err)
	}
	c.paths[watch] = path
}

// opened names the canaries that were opened since the last call.
func (c *canaries) opened() []string {
	c.t.Helper()
	var names []string
	buf := make([]byte, 64<<10)
	for {
		n, err := syscall.Read(c.fd, buf)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if errors.Is(err, syscall.EAGAIN) {
			return names
		}
		if err != nil {
			c.t.Fatal(err)
		}
		for b := buf[:n]; len(b) >= syscall.SizeofInotifyEvent; {
			watch, mask := int(int32(binary.NativeEndian.Uint32(b))), binary.NativeEndian.Uint32(b[4:])
			if mask&(syscall.IN_OPEN|syscall.IN_ACCESS) != 0 && !slices.Contains(names, c.paths[watch]) {
				names = append(names, c.paths[watch])
			}
			b = b[syscall.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:])):]
		}
	}
}

// remove takes the canaries away.
func (c *canaries) remove() {
	c.t.Helper()
	for _, path := range c.paths {
		if err := os.Remove(path); err != nil {
			c.t.Error(err)
		}
	}
}

// told names the files under dir that hold the secret.
func (c *canaries) told(dir string) []string {
	c.t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(c.secret)) {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return names
}

// adoptOrphans makes this process the parent of every descendant that loses its own, so that none gets out of sight.
func adoptOrphans(t *testing.T) {
	t.Helper()
	const prSetChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
}

// descendants returns the command lines of the live processes below a process, by id.
func descendants(t *testing.T, of int) map[int]string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	parents := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it ended meanwhile
		}
		// "pid (name) state ppid ...": the name may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		if parents[pid], err = strconv.Atoi(fields[1]); err != nil {
			t.Fatal(err)
		}
	}
	found := map[int]string{}
	for pid := range parents {
		for p, ok := parents[pid]; ok; p, ok = parents[p] {
			if p == of {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				found[pid] = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
				break
			}
		}
	}
	return found
}
