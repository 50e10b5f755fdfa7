package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFreeMemoryOfTheMachineAndOfTheGroup(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  int64 // MiB; -1: unknown
	}{
		"the machine":   {map[string]string{"proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n"}, 2048},
		"no limit":      {map[string]string{"proc/meminfo": "MemAvailable: 2097152 kB\n", "sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "1\n"}, 2048},
		"a tight group": {map[string]string{"proc/meminfo": "MemAvailable: 2097152 kB\n", "sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "805306368\n", "sys/fs/cgroup/memory.stat": "anon 5\ninactive_file 268435456\n"}, 512},
		"a wide group":  {map[string]string{"proc/meminfo": "MemAvailable: 2097152 kB\n", "sys/fs/cgroup/memory.max": "10737418240\n", "sys/fs/cgroup/memory.current": "1048576\n"}, 2048},
		"no such file":  {nil, -1},
		"no such line":  {map[string]string{"proc/meminfo": "MemTotal: 4194304 kB\n"}, -1},
	} {
		root := t.TempDir() + "/"
		for path, text := range c.files {
			if err := os.MkdirAll(filepath.Dir(root+path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(root+path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		free, ok := freeMemory(root)
		if ok != (c.want >= 0) || ok && free>>20 != c.want {
			t.Errorf("%s: %d MiB, known %t, want %d", name, free>>20, ok, c.want)
		}
	}
	if _, ok := freeMemory("/"); !ok {
		t.Error("this machine's own is not known")
	}
	if why := strained(t.TempDir())(); why != "" {
		t.Logf("this machine is strained: %s", why)
	}
}
