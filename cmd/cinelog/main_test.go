package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// shared is the folder of what all tests of this process use, and none changes.
var shared string

func TestMain(m *testing.M) {
	os.Exit(inSharedFolder(m.Run))
}

func inSharedFolder(do func() int) int {
	var err error
	if shared, err = os.MkdirTemp("", "cinelog-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(shared)
	return do()
}

var builtBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(shared, "cinelog")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// buildBinary returns the program as people run it, which is built for the first one who asks.
func buildBinary(t testing.TB) string {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
