package deploy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "write deploy/seccomp-worker.json anew")

// cageCalls are what bubblewrap needs beyond Docker's own profile, each of them (seen by leaving one out).
var cageCalls = []string{"clone", "mount", "pivot_root", "umount2", "unshare"}

// TestWorkerSeccomp holds the worker's profile against the one that Docker uses by itself.
func TestWorkerSeccomp(t *testing.T) {
	t.Parallel()
	profile := seccomp.DefaultProfile()
	profile.Syscalls = append(profile.Syscalls, &seccomp.Syscall{LinuxSyscall: specs.LinuxSyscall{
		Names: cageCalls, Action: specs.ActAllow,
	}, Comment: "for bubblewrap; the rest is Docker's own profile"})
	want := render(t, profile)
	path := filepath.Join(root, "deploy/seccomp-worker.json")
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not Docker's profile with %q; go test -run WorkerSeccomp -update writes it", path, cageCalls)
	}
	if _, err := seccomp.LoadProfile(string(have), &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}}); err != nil {
		t.Errorf("Docker refuses it: %v", err)
	}
	if worker := load(t).Services["worker"]; !slices.ContainsFunc(worker.SecurityOpt, func(o string) bool {
		return strings.HasPrefix(o, "seccomp") && strings.HasSuffix(o, "deploy/seccomp-worker.json")
	}) {
		t.Errorf("the worker runs with %q", worker.SecurityOpt)
	}
}

// render writes a rule a line.
func render(t *testing.T, p *seccomp.Seccomp) []byte {
	t.Helper()
	line := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	rules := make([]string, len(p.Syscalls))
	for i, rule := range p.Syscalls {
		rules[i] = "\t\t" + line(rule)
	}
	return []byte("{\n\t\"defaultAction\": " + line(p.DefaultAction) + ",\n\t\"defaultErrnoRet\": " + line(p.DefaultErrnoRet) +
		",\n\t\"archMap\": " + line(p.ArchMap) + ",\n\t\"syscalls\": [\n" + strings.Join(rules, ",\n") + "\n\t]\n}\n")
}
