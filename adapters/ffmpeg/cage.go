package ffmpeg

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cage wraps a command so that a decoder that was taken over by its input finds nothing: no network, no files but the
// programs and the one input (read-only), no other processes, no environment.
type cage struct {
	bwrap  string   // empty: bubblewrap is not here or does not work
	mounts []string // the read-only system
	reason string   // why bwrap is empty
}

// cagedInput is where the cage shows the input.
const cagedInput = "/input"

func newCage(ctx context.Context, bwrap string, env []string, programs ...string) cage {
	if bwrap == "-" {
		return cage{reason: "switched off"}
	}
	path, err := exec.LookPath(bwrap)
	if err != nil {
		return cage{reason: "bubblewrap (bwrap) is not installed"}
	}
	c := cage{bwrap: path, mounts: systemMounts(programs)}
	for _, program := range programs {
		if out, err := c.try(ctx, env, program); err != nil {
			return cage{reason: "bubblewrap does not work here: " + cmp.Or(clean(out), err.Error())}
		}
	}
	return c
}

func (c cage) try(ctx context.Context, env []string, program string) (out []byte, err error) {
	status, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer reap(status)
	defer w.Close()
	argv := c.wrap(limits{cpu: 10 * time.Second, memory: 4 << 30}, 3, "", program, []string{"-version"})
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // our own argv
	cmd.Env, cmd.ExtraFiles = env, []*os.File{w}
	return cmd.CombinedOutput() //nolint:wrapcheck // the caller says what it was
}

func (c cage) active() bool { return c.bwrap != "" }

// systemMounts shows the libraries and programs, and nothing of /etc, /home or /var but the linker's cache.
func systemMounts(programs []string) []string {
	mounts := []string{"--ro-bind", "/usr", "/usr"}
	for _, dir := range []string{"/bin", "/lib", "/lib32", "/lib64"} {
		info, err := os.Lstat(dir)
		switch {
		case err != nil:
		case info.Mode()&os.ModeSymlink != 0:
			if target, err := os.Readlink(dir); err == nil {
				mounts = append(mounts, "--symlink", target, dir)
			}
		default:
			mounts = append(mounts, "--ro-bind", dir, dir)
		}
	}
	// Debian finds BLAS, which FFmpeg's libraries need, through /etc/alternatives.
	for _, p := range []string{"/etc/ld.so.cache", "/etc/alternatives", "/nix/store"} {
		mounts = append(mounts, "--ro-bind-try", p, p)
	}
	for _, p := range programs {
		if real, err := filepath.EvalSymlinks(p); err == nil && !strings.HasPrefix(real, "/usr/") {
			mounts = append(mounts, "--ro-bind", filepath.Dir(real), filepath.Dir(real))
		}
		if !strings.HasPrefix(p, "/usr/") && !strings.HasPrefix(p, "/bin/") {
			mounts = append(mounts, "--ro-bind", filepath.Dir(p), filepath.Dir(p))
		}
	}
	return mounts
}

// limits hold for one process, cage or not.
type limits struct {
	cpu    time.Duration
	memory int64 // bytes of address space
	nice   int   // how far it stands back for others, see nice(1)
}

// wrap gives the command to run. Inherited pipes stay open; the cage tells its status on the one that status numbers,
// if that is not 0.
func (c cage) wrap(l limits, status int, input, program string, args []string) (argv []string) {
	// A shell sets the limits because Go cannot between fork and exec; -f 0 lets it write to pipes only. Where Linux shares the
	// CPUs out by sessions (autogroup, sched(7)), to stand back within one's own means nothing: all of the session does, then.
	argv = []string{
		"/bin/sh", "-c", `[ "$3" = 0 ] || echo "$3" 2>/dev/null >/proc/$$/autogroup; ulimit -c 0; ulimit -f 0; ulimit -t "$1"; ulimit -v "$2"; n=$3; shift 3; exec nice -n "$n" "$@"`, "sh",
		strconv.Itoa(max(1, int(l.cpu.Seconds()))), strconv.FormatInt(l.memory>>10, 10), strconv.Itoa(l.nice),
	}
	seen := "file:" + input
	if input == "" {
		seen = "pipe:0"
	}
	if c.active() {
		argv = append(argv, c.bwrap, "--unshare-all", "--die-with-parent", "--clearenv", "--cap-drop", "ALL",
			"--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/tmp")
		argv = append(argv, c.mounts...) // after /tmp, which may hold the programs
		if status != 0 {
			argv = append(argv, "--json-status-fd", strconv.Itoa(status))
		}
		if input != "" {
			argv = append(argv, "--ro-bind", input, cagedInput)
			seen = "file:" + cagedInput
		}
		argv = append(argv, "--")
	}
	argv = append(argv, program)
	for _, a := range args {
		argv = append(argv, strings.ReplaceAll(a, inputMark, seen))
	}
	return argv
}

// inputMark stands in arguments for the input, whose name depends on the cage.
const inputMark = "\x00input"
