package ffmpeg

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// ownerVariable marks every process that is started, and whatever it forks, with Options.Owner. The cage clears the
// environment of the program, but the kernel still shows with what the process began.
const ownerVariable = "CINELOG_OWNER="

// environment is all that a process gets.
func (o Options) environment() []string {
	if o.Owner == "" {
		return []string{}
	}
	return []string{ownerVariable + o.Owner}
}

// endLeftovers kills what an earlier process of this owner left behind. What it had running dies with it, but for a
// cage that was not set up yet: bubblewrap's child binds its life to its parent only then, and when the parent dies
// before, it waits for ever (seen with 0.8.0). Where there is no /proc, nothing is found.
func (o Options) endLeftovers(ctx context.Context) {
	if o.Owner == "" {
		return
	}
	mark := []byte(ownerVariable + o.Owner)
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return // the pattern is good
	}
	for _, path := range environments {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		process, err := os.FindProcess(pid) // held from here on, so that its number cannot come to mean another one
		if err != nil {
			continue
		}
		environment, err := os.ReadFile(path)
		if err == nil && slices.ContainsFunc(bytes.Split(environment, []byte{0}), func(v []byte) bool { return bytes.Equal(v, mark) }) {
			err = process.Kill()
			o.Log.LogAttrs(ctx, slog.LevelInfo, "killed what an earlier process left", slog.Int("pid", pid), slog.Any("error", err))
		}
		_ = process.Release() // there is nothing to lose
	}
}
