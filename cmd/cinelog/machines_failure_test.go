package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// TestBadLuckAcrossMachines does to processes and servers what happens to them: some are killed, some freeze, some are
// away for a while.
func TestBadLuckAcrossMachines(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	for name, test := range map[string]func(t *testing.T, binary string){
		"WorkerKilled": workerKilled, "WorkerFrozen": workerFrozen,
		"MessagesAway": messagesAway, "StorageAway": storageAway, "DatabaseAway": databaseAway,
		"StartsWrong": startsWrong, "StartsWithout": startsWithout, "MessagesShuffled": messagesShuffled, "PoisonMessages": poisonMessages,
		"TwoOfEach": twoOfEach,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, binary)
		})
	}
}

// workerKilled kills a worker in the middle of a chunk with kill -9: what it had in work comes again, and nothing else.
func workerKilled(t *testing.T, binary string) {
	t.Helper()
	m := newMachines(t, binary, sharedServers(t))
	m.mustRun("provision")
	w := m.witness()
	cl := &client{server: m.start("api").address(t)}
	m.start("relay,projector,analytics")
	workers := []*serverProcess{m.start("transcoder"), m.start("transcoder")}
	id := m.send(cl, m.clip(20, "1280x720"))
	// Its lease has been extended by then: from here on it lasts as long as one ever does.
	victim, inWork := freeze(t, workers, "1", 3*time.Second)
	victim.kill()
	killed := time.Now()
	if _, err := cl.wait(t.Context(), id, true, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	w.settled(time.Minute)
	e := &encodes{begun: map[string][]time.Time{}, failed: map[string]string{}}
	for _, p := range workers {
		e.read(t, p.log)
	}
	for _, wrong := range append(e.wrong, slices.Collect(maps.Values(e.failed))...) {
		t.Error(wrong)
	}
	for piece, begun := range e.begun {
		if !slices.Contains(inWork, piece) {
			if len(begun) != 1 {
				t.Errorf("%s was not in work when the worker was killed, and is encoded at %v", piece, begun)
			}
			continue
		}
		again := slices.MaxFunc(begun, time.Time.Compare)
		if len(begun) != 2 || again.Sub(killed) > 45*time.Second {
			t.Errorf("%s was in work when the worker was killed at %s, and is encoded at %v", piece, killed, begun)
		}
		t.Logf("%s runs again %.1f s after the kill", piece, again.Sub(killed).Seconds())
	}
	if len(e.begun) != 7 { // four chunks, the sound, the source's own pictures, and the previews
		t.Errorf("pieces encoded: %v", e.begun)
	}
	w.check()
}

// workerFrozen stops a worker for longer than its lease lasts. Somebody else does its work meanwhile; what it still
// does when it goes on changes nothing.
func workerFrozen(t *testing.T, binary string) {
	t.Helper()
	m := newMachines(t, binary, sharedServers(t))
	m.mustRun("provision")
	w := m.witness()
	cl := &client{server: m.start("api").address(t)}
	m.start("relay,projector,analytics")
	workers := []*serverProcess{m.start("transcoder", "--lease", "5s"), m.start("transcoder", "--lease", "5s")}
	id := m.send(cl, m.clip(25, "640x360"))
	victim, inWork := freeze(t, workers, "1", 0)
	if _, err := cl.wait(t.Context(), id, true, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string { // they come after it is ready
		if !slices.ContainsFunc(w.events(), func(r domain.Recorded) bool { return domain.EventType(r.Event) == "video.preview_produced.v1" }) {
			return "there are no previews"
		}
		return ""
	})
	before := w.events()
	if err := victim.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string {
		if open := inWorkOf(t, victim); len(open) > 0 {
			return fmt.Sprintf("the frozen worker still encodes %v", open)
		}
		return ""
	})
	w.settled(time.Minute)
	after := w.events()
	if len(after) != len(before) {
		t.Errorf("after the video was ready and the worker went on, the log got %+v", after[len(before):])
	}
	for _, piece := range inWork {
		t.Logf("in work when the worker froze: %s", piece)
	}
	w.check()
	if v, err := cl.wait(t.Context(), id, true, func(float64) {}); err != nil {
		t.Error(err)
	} else {
		m.mustPlayFromS3(cl.server, v)
	}
}

// freeze stops the worker that has a piece of a video in work (SIGSTOP), in the middle of it and some time after it began.
func freeze(t *testing.T, workers []*serverProcess, piece string, after time.Duration) (victim *serverProcess, inWork []string) {
	t.Helper()
	theOne := func(p string) bool { return strings.HasSuffix(p, " piece "+piece) }
	eventually(t, 2*time.Minute, func() string {
		for _, p := range workers {
			for name, begun := range inWorkOf(t, p) {
				if !theOne(name) || time.Since(begun) < after {
					continue
				}
				if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				waitStopped(t, p)
				inWork = slices.Collect(maps.Keys(inWorkOf(t, p)))
				if !slices.ContainsFunc(inWork, theOne) {
					t.Fatalf("%s was done before the worker stood still", name)
				}
				victim = p
				return ""
			}
		}
		return fmt.Sprintf("nobody has encoded piece %s for %s", piece, after)
	})
	return victim, inWork
}

// waitStopped waits until all threads of a process that was sent SIGSTOP stand still.
func waitStopped(t *testing.T, p *serverProcess) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
			return "the process runs on"
		}
		return ""
	})
}

// inWorkOf returns the pieces that a worker has begun to encode and not ended, with the time of the beginning.
func inWorkOf(t *testing.T, p *serverProcess) map[string]time.Time {
	t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]time.Time{}
	for line := range strings.Lines(string(text)) {
		var l struct {
			Time    time.Time
			Message string `json:"msg"`
			Video   string `json:"video"`
			Attempt int    `json:"attempt"`
			Piece   string `json:"piece"`
		}
		if json.Unmarshal([]byte(line), &l) != nil {
			continue // cut
		}
		switch l.Message {
		case "encode begins":
			open[pieceOf(l.Video, l.Attempt, l.Piece)] = l.Time
		case "encode ends":
			delete(open, pieceOf(l.Video, l.Attempt, l.Piece))
		}
	}
	return open
}

// clip makes a video with sound. The first chunk has 4 s, the others have 16 s.
func (m *machines) clip(seconds int, size string) string {
	m.t.Helper()
	path := filepath.Join(m.dir, fmt.Sprintf("clip-%d-%s.mp4", seconds, size))
	out, err := exec.CommandContext(m.t.Context(), "ffmpeg", "-v", "error",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=%s:r=25:d=%d", size, seconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=d=%d", seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac", path).CombinedOutput()
	if err != nil {
		m.t.Fatalf("make a clip: %v: %s", err, out)
	}
	return path
}

// send creates a video and uploads its source.
func (m *machines) send(cl *client, clip string) (id string) {
	m.t.Helper()
	id = m.create(cl, "A clip")
	if err := m.put(cl, id, clip); err != nil {
		m.t.Fatal(err)
	}
	return id
}

func (m *machines) create(cl *client, title string) (id string) {
	m.t.Helper()
	var v answer
	if err := cl.call(m.t.Context(), http.MethodPost, "/v1/videos", map[string]any{"title": title}, &v); err != nil {
		m.t.Fatal(err)
	}
	return v.ID
}

func (m *machines) put(cl *client, id, clip string) error {
	m.t.Helper()
	f, err := os.Open(clip)
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		m.t.Fatal(err)
	}
	return cl.put(m.t.Context(), id, filepath.Base(clip), io.NopCloser(f), info.Size())
}
