package backends

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Server is a running server process.
type Server struct {
	// URL is where it answers. It stays the same when the server is stopped and started again.
	URL string

	kind kind
	data string // empty for a server that removes its own
	// process is nil while the server is stopped. It reads stdin, which is closed when our process ends, however it
	// ends: that ends the server too.
	process *exec.Cmd
	stdin   *os.File
}

// startTime is how long a server may take to answer. They take less than a second; a machine may have more to do.
const startTime = 2 * time.Minute

// start starts a server. It needs no goroutine here, so that tests which look for leaked ones find none.
func start(k kind, listen, data string) (*Server, error) {
	command, err := build(k)
	if err != nil {
		return nil, fmt.Errorf("%s for tests: %w", k, err)
	}
	s := &Server{kind: k, data: data}
	if err := s.run(command, listen); err != nil {
		return nil, fmt.Errorf("%s for tests: %w", k, err)
	}
	return s, nil
}

func (s *Server) run(command []string, listen string) error {
	log, err := os.CreateTemp("", "cinelog-test-"+s.kind.String()+"-*.log")
	if err != nil {
		return err
	}
	defer log.Close()
	defer os.Remove(log.Name()) // the process keeps it open, and we read it only when the process failed
	stdinR, stdinW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdinR.Close()
	stdoutR, stdoutW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdoutR.Close()
	args := append(command[1:len(command):len(command)], "--stdin", "--listen", listen)
	if s.data != "" {
		args = append(args, "--data", s.data)
	}
	p := exec.CommandContext(context.Background(), command[0], args...) //nolint:gosec // our own servers
	// Files, not writers: exec would need goroutines for those, and go test would wait for whoever holds its own output.
	p.Stdin, p.Stdout, p.Stderr = stdinR, stdoutW, log
	EndWithUs(p) // besides the closing of its standard input
	err = p.Start()
	_ = stdoutW.Close() // the process has its own
	if err != nil {
		_ = stdinW.Close()
		return err
	}
	var ready struct{ URL string }
	_ = stdoutR.SetReadDeadline(time.Now().Add(startTime)) //nolint:forbidigo // the kernel's deadlines follow the real clock
	line, err := bufio.NewReader(stdoutR).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		_ = p.Process.Kill()
		_ = p.Wait()
		_ = stdinW.Close()
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s did not start: %w\n%s", filepath.Base(command[0]), err, said)
	}
	if s.URL == "" {
		s.URL = ready.URL
	}
	s.process, s.stdin = p, stdinW
	return nil
}

// Stop kills the server, as a power cut would. Stopping a stopped one does nothing.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.kill(); err != nil {
		tb.Fatal(err)
	}
}

func (s *Server) kill() error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_ = s.process.Wait() // "signal: killed"
	_ = s.stdin.Close()
	s.process = nil
	return nil
}

// Start starts a stopped server again, at the same address and with the data that it had.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		tb.Fatal(err)
	}
	command, err := build(s.kind)
	if err == nil {
		err = s.run(command, u.Host)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
