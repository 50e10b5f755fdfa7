package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestDemo(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	binary := filepath.Join(t.TempDir(), "cinelog")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../../cmd/cinelog")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var out bytes.Buffer
	if err := run(t.Context(), options{binary: binary, listen: "127.0.0.1:0", once: true, seconds: 3}, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if strings.Contains(out.String(), "log of") {
		t.Errorf("logs are shown though nothing went wrong:\n%s", &out)
	}
	for _, want := range []string{
		`ready in \d renditions`, `page  http://127\.0\.0\.1:\d+/#/v/`, `ready  Kubernetes in a minute`,
		`from S3 itself: 200, \d{4,} bytes\n  http://127\.0\.0\.1:\d+/cinelog/.*\.m4s\?`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%s is not in\n%s", want, &out)
		}
	}

	ids := regexp.MustCompile(`process (\d+)`).FindAllStringSubmatch(out.String(), -1)
	if len(ids) != 5 {
		t.Errorf("%d processes, want 5:\n%s", len(ids), &out)
	}
	for _, id := range ids {
		pid, err := strconv.Atoi(id[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is left: %v", pid, err)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}

func TestDemoSaysWhatWentWrong(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var out bytes.Buffer
	err := run(t.Context(), options{binary: "false", listen: "127.0.0.1:0", once: true, seconds: 3}, &out)
	if err == nil || !strings.Contains(err.Error(), "cinelog --data") {
		t.Errorf("a program that fails: %v\n%s", err, &out)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}
