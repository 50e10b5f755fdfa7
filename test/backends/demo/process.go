package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cinelog/cinelog/test/backends"
)

// process is a cinelog that serves with some roles.
type process struct {
	roles string
	cmd   *exec.Cmd
	log   string
	ready chan string   // gives the address once, empty where there is none
	ended chan struct{} // closed when it has ended
	state error
}

// start starts a process with roles. Its log goes to a file of its own.
func (d *demo) start(roles, listen string) error {
	data := filepath.Join(d.dir, strconv.Itoa(len(d.all)+1))
	p := &process{roles: roles, log: data + ".log", ready: make(chan string, 1), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	args := []string{"--data", data, "serve", "--roles", roles, "--listen", listen}
	p.cmd = exec.CommandContext(context.Background(), d.binary, args...) //nolint:gosec // our own program; end ends it
	p.cmd.Env = append(os.Environ(), d.env...)
	p.cmd.Stderr = log
	backends.EndWithUs(p.cmd)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w (make build builds it)", d.binary, err)
	}
	d.all = append(d.all, p)
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			_, rest, serves := strings.Cut(lines.Text(), " serves on ")
			if serves || strings.Contains(lines.Text(), " works as ") {
				address, _, _ := strings.Cut(rest, " ")
				p.ready <- address
				break
			}
		}
		p.state = p.cmd.Wait()
	}()
	return nil
}

// serves waits until the process has started, and returns its address if it has one.
func (p *process) serves(ctx context.Context) (address string, err error) {
	select {
	case address = <-p.ready:
		return address, nil
	case <-p.ended:
		return "", p.endedEarly()
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (p *process) endedEarly() error {
	said, _ := os.ReadFile(p.log)
	const most = 4 << 10
	return fmt.Errorf("the process with the roles %s ended: %w\n%s", p.roles, p.state, said[max(0, len(said)-most):])
}

// anyEnds waits for Ctrl-C. That a process ends before is an error.
func (d *demo) anyEnds(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, p := range d.all {
		go func() {
			select {
			case <-p.ended:
				cancel(p.endedEarly())
			case <-ctx.Done():
			}
		}()
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// end ends the processes, then what they need. Where something went wrong it shows what they logged.
func (d *demo) end(failed error) error {
	for _, p := range d.all {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	const drain = 20 * time.Second
	late := time.After(drain)
	for _, p := range d.all {
		select {
		case <-p.ended:
		case <-late:
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	if failed != nil && !errors.Is(failed, context.Canceled) {
		for _, p := range d.all {
			said, _ := os.ReadFile(p.log)
			d.printf("\nlog of %s, process %d:\n%s", p.roles, p.cmd.Process.Pid, said)
		}
	}
	if d.cloud == nil {
		return nil
	}
	return d.cloud.Stop()
}

// command runs a command of the program to its end and returns what it printed.
func (d *demo) command(ctx context.Context, args ...string) ([]byte, error) {
	args = append([]string{"--data", filepath.Join(d.dir, "cli")}, args...)
	cmd := exec.CommandContext(ctx, d.binary, args...) //nolint:gosec // our own program
	cmd.Env = append(os.Environ(), d.env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("cinelog %s: %w\n%s%s", strings.Join(args, " "), err, out.Bytes(), said.Bytes())
	}
	return out.Bytes(), nil
}
