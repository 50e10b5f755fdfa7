package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// An encode begins only where there is room for it: one of Full HD in five qualities takes about 700 MiB, and stores up to
// 10 MiB for a second of video.
const (
	leastMemory = 700 << 20
	leastDisk   = 1 << 30
)

// strained says why no encode should begin on this machine now; empty when one may.
func strained(dir string) func() string {
	return func() string {
		if free, ok := freeMemory("/"); ok && free < leastMemory {
			return fmt.Sprintf("%d MiB of memory are free, an encode takes %d", free>>20, leastMemory>>20)
		}
		if _, free, err := fileSystem(dir); err == nil && free < leastDisk {
			return fmt.Sprintf("%d MiB are free on the disk of %s, an encode needs %d", free>>20, dir, leastDisk>>20)
		}
		return ""
	}
}

// freeMemory returns the bytes that a new process could take: of the machine, and of the control group that we are in
// (cgroup v2), whose page cache counts as free.
func freeMemory(root string) (free int64, ok bool) {
	info, err := os.ReadFile(root + "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(info)) {
		if rest, found := strings.CutPrefix(line, "MemAvailable:"); found {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0, false
			}
			free, ok = kib<<10, true
		}
	}
	group := root + "sys/fs/cgroup/"
	number := func(name string) (int64, bool) {
		text, err := os.ReadFile(group + name)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
		return n, err == nil // "max" is no number
	}
	limit, limited := number("memory.max")
	used, known := number("memory.current")
	if ok && limited && known {
		stat, _ := os.ReadFile(group + "memory.stat") // without it, nothing of what is used counts as free
		for line := range strings.Lines(string(stat)) {
			if rest, found := strings.CutPrefix(line, "inactive_file "); found {
				cache, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
				used -= cache
			}
		}
		free = min(free, limit-used)
	}
	return free, ok
}
