package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serverProcess is a server in a process of its own.
type serverProcess struct {
	cmd   *exec.Cmd
	log   string      // the file
	at    string      // the address, once somebody has asked for it
	ready chan string // gives the address once, or is closed when the process ends before
	ended chan struct{}
	state error
}

// startProcess starts a server that logs everything to a file. More flags may be given.
func startProcess(t testing.TB, env []string, binary, data, logFile string, flags ...string) *serverProcess {
	t.Helper()
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	// Not bound to the test's context: the test ends it, one way or the other.
	flags = append([]string{"serve", "--json", "--debug", "--data", data, "--listen", "127.0.0.1:0"}, flags...)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, flags...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &serverProcess{cmd: cmd, log: logFile, ready: make(chan string, 1), ended: make(chan struct{})}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, rest, ok := strings.Cut(lines.Text(), "serves on "); ok {
				address, _, _ := strings.Cut(rest, " ")
				p.ready <- address
			} else if strings.Contains(lines.Text(), "works as ") { // without an address
				p.ready <- ""
			}
		}
		close(p.ready)
		p.state = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// address waits until the server serves.
func (p *serverProcess) address(t testing.TB) string {
	t.Helper()
	select {
	case address, ok := <-p.ready:
		if !ok {
			<-p.ended
			t.Fatalf("the server ended at its start: %v", p.state)
		}
		p.at = address
		return address
	case <-time.After(time.Minute):
		t.Fatal("the server does not start")
	}
	return ""
}

// kill is kill -9 and nothing else: no child of it is touched.
func (p *serverProcess) kill() {
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.ended
}

// nothingLives waits for the end of every process that a killed server had started, and clears them away. Only a cage
// that was about to be set up may be left, before anything runs in it; the next server must end it.
func (k *killer) nothingLives() {
	t := k.t
	t.Helper()
	eventually(t, time.Minute, func() string {
		for pid, line := range descendants(t, os.Getpid()) {
			program, _, _ := strings.Cut(line, " ")
			if filepath.Base(program) != "bwrap" {
				return fmt.Sprintf("still running after the server was killed: %d %s", pid, line)
			}
		}
		return ""
	})
	for { // nothing else of this process runs now, so every child that is left is an orphan
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
			break
		}
	}
	k.left = slices.Collect(maps.Keys(descendants(t, os.Getpid())))
}

// leftAreEnded checks that a server that has begun to serve has ended what the one before left.
func (k *killer) leftAreEnded() {
	k.t.Helper()
	alive := descendants(k.t, os.Getpid())
	for _, pid := range k.left {
		if line, ok := alive[pid]; ok {
			k.t.Errorf("left by a killed server, and not ended by the next: %d %s", pid, line)
		}
	}
	k.leftovers += len(k.left)
	k.left = nil
}

// encodes is what the logs of all runs say of the encoder, by piece of work: video, attempt, and chunk or audio.
type encodes struct {
	begun  map[string][]time.Time
	failed map[string]string // errors but the ones that a wish of the user, or the end of the server, leads to
	wrong  []string
}

func (e *encodes) read(t *testing.T, logFile string) {
	t.Helper()
	text, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	if at := bytes.Index(text, []byte("panic: ")); at >= 0 {
		e.wrong = append(e.wrong, fmt.Sprintf("%s: %.2000s", filepath.Base(logFile), text[at:]))
	}
	open := map[string]bool{}
	for line := range bytes.Lines(text) {
		var l struct {
			Time    time.Time `json:"time"`
			Message string    `json:"msg"`
			Video   string    `json:"video"`
			Attempt int       `json:"attempt"`
			Piece   string    `json:"piece"`
			Error   *string   `json:"error"`
		}
		if json.Unmarshal(line, &l) != nil {
			continue // cut by the kill, or another shape
		}
		piece := pieceOf(l.Video, l.Attempt, l.Piece)
		switch l.Message {
		case "encode begins":
			if open[piece] {
				e.wrong = append(e.wrong, piece+" is encoded twice at once in "+filepath.Base(logFile))
			}
			open[piece] = true
			e.begun[piece] = append(e.begun[piece], l.Time)
		case "encode ends":
			delete(open, piece)
			if l.Error != nil && !strings.Contains(*l.Error, "superseded") && !strings.Contains(*l.Error, "canceled") {
				e.failed[piece] = *l.Error
			}
		}
	}
}

func pieceOf(video string, attempt int, piece string) string {
	return fmt.Sprintf("%s attempt %d piece %s", video, attempt, piece)
}
