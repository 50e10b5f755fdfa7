package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// TestKilledServerLosesNothing kills a server with kill -9 at random moments of starts, uploads and encodes, again and
// again on one data folder, and checks at the end that nothing acknowledged is lost and no work was done in vain but
// what was in work. It is not parallel, because it looks at all processes below this one.
func TestKilledServerLosesNothing(t *testing.T) {
	kills := 5
	if os.Getenv("CINELOG_LONG") != "" {
		kills = 120
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("CINELOG_TEST_SEED"), strconv.FormatInt(time.Now().UnixNano(), 10)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("CINELOG_TEST_SEED=%d", seed)
	k := &killer{
		t: t, dir: t.TempDir(), binary: buildBinary(t), rand: rand.New(rand.NewPCG(seed, 0)),
		created: map[string]bool{}, uploaded: map[string]string{}, deleting: map[string]bool{}, deleted: map[string]bool{},
	}
	k.makeClips()
	adoptOrphans(t)
	for range kills {
		k.round()
	}
	k.check(kills)
}

// killer is the clients of a server that is killed, and what they were told.
type killer struct {
	t      *testing.T
	dir    string
	binary string
	rand   *rand.Rand // of the test's own goroutine
	clips  [][]byte
	logs   []string // of each run of the server

	left      []int // processes that the last killed server left
	leftovers int   // and all before it, in total

	mu       sync.Mutex
	created  map[string]bool   // acknowledged
	uploaded map[string]string // acknowledged, with the digest of the file
	deleting map[string]bool   // maybe deleted
	deleted  map[string]bool   // acknowledged
}

func (k *killer) data() string { return filepath.Join(k.dir, "data") }

// makeClips makes one that takes several chunks at little cost, and one with several renditions.
func (k *killer) makeClips() {
	k.t.Helper()
	small, sample := filepath.Join(k.dir, "small.mp4"), filepath.Join(k.dir, "sample.mp4")
	out, err := exec.CommandContext(k.t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=25",
		"-f", "lavfi", "-i", "sine=d=25", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac", small).CombinedOutput()
	if err != nil {
		k.t.Fatalf("%v: %s", err, out)
	}
	if err := makeSample(k.t.Context(), sample, 2); err != nil {
		k.t.Fatal(err)
	}
	for _, path := range []string{small, small, small, small, small, sample} {
		clip, err := os.ReadFile(path)
		if err != nil {
			k.t.Fatal(err)
		}
		k.clips = append(k.clips, clip)
	}
}

func (k *killer) start() *serverProcess {
	k.t.Helper()
	log := filepath.Join(k.dir, fmt.Sprintf("run-%03d.log", len(k.logs)))
	k.logs = append(k.logs, log)
	return startProcess(k.t, nil, k.binary, k.data(), log)
}

// round starts the server, lets some clients work, and kills it.
func (k *killer) round() {
	k.t.Helper()
	p := k.start()
	wait := func(most time.Duration) <-chan time.Time {
		return time.After(time.Duration(k.rand.Int64N(int64(most))))
	}
	if k.rand.IntN(8) == 0 { // while it starts
		<-wait(500 * time.Millisecond)
		p.kill()
		k.nothingLives()
		return
	}
	cl := &client{server: p.address(k.t)}
	k.leftAreEnded()
	known := slices.Sorted(maps.Keys(k.created))
	var clients sync.WaitGroup
	if k.backlog(cl) < 4 {
		for range 1 + k.rand.IntN(3) {
			clip, slow := k.clips[k.rand.IntN(len(k.clips))], k.rand.IntN(3) == 0
			clients.Go(func() { k.upload(&client{server: cl.server}, clip, slow) })
		}
	}
	if k.rand.IntN(6) == 0 && len(known) > 0 {
		id := known[k.rand.IntN(len(known))]
		k.deleting[id] = true
		clients.Go(func() { k.remove(&client{server: cl.server}, id) })
	}
	most := 2 * time.Second
	if k.rand.IntN(3) == 0 {
		most = 8 * time.Second // so that something comes to its end
	}
	<-wait(most)
	p.kill()
	clients.Wait()
	k.nothingLives()
}

// backlog says how many videos are in work.
func (k *killer) backlog(cl *client) int {
	var page struct {
		Items []answer `json:"items"`
	}
	if err := cl.call(k.t.Context(), http.MethodGet, "/v1/videos?status=processing&limit=100", nil, &page); err != nil {
		k.t.Fatal(err)
	}
	return len(page.Items)
}

// upload creates a video and sends its source. The server may be killed at any moment, so no error is one.
func (k *killer) upload(cl *client, clip []byte, slow bool) {
	var v answer
	if cl.call(k.t.Context(), http.MethodPost, "/v1/videos", map[string]any{"title": "A clip"}, &v) != nil {
		return
	}
	k.mu.Lock()
	k.created[v.ID] = true
	k.mu.Unlock()
	var body io.Reader = bytes.NewReader(clip)
	if slow {
		body = &slowReader{r: body}
	}
	if cl.put(k.t.Context(), v.ID, "clip.mp4", body, int64(len(clip))) != nil {
		return
	}
	sum := sha256.Sum256(clip)
	k.mu.Lock()
	k.uploaded[v.ID] = hex.EncodeToString(sum[:])
	k.mu.Unlock()
}

// slowReader takes about two seconds for a clip, so that most uploads of its kind are cut off.
type slowReader struct{ r io.Reader }

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(50 * time.Millisecond)
	return s.r.Read(p[:min(len(p), 16<<10)])
}

// remove deletes a video.
func (k *killer) remove(cl *client, id string) {
	if cl.call(k.t.Context(), http.MethodDelete, "/v1/videos/"+id, nil, nil) != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deleted[id] = true
}

// check lets a server finish what there is to do and looks at everything.
func (k *killer) check(kills int) {
	t := k.t
	t.Helper()
	p := k.start()
	cl := &realClient{t: t, client: &client{server: p.address(t)}}
	k.leftAreEnded()
	settled(t, k.data(), 5*time.Minute)
	eventually(t, time.Minute, func() string { return verifyFinds(t.Context(), k.data()) })

	statuses := map[string]int{}
	for id := range k.created {
		if k.deleting[id] {
			continue
		}
		v := cl.video(id)
		statuses[v.Status]++
		sum, acknowledged := k.uploaded[id]
		switch {
		case acknowledged && (v.Source == nil || v.Source.SHA256 != sum):
			t.Errorf("video %s: the acknowledged upload %s is not there: %+v", id, sum, v.Source)
		case v.Status == "failed" && v.Error.Code != string(domain.Internal):
			t.Errorf("video %s: %+v", id, *v.Error)
		case v.Status == "processing", acknowledged && v.Status == "waiting":
			t.Errorf("video %s is %s at the end", id, v.Status)
		}
	}
	allFollowTheRules(t, cl.server)
	for id := range k.deleted {
		if err := cl.call(t.Context(), http.MethodGet, "/v1/videos/"+id, nil, nil); err == nil {
			t.Errorf("video %s was deleted and is there", id)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	<-p.ended
	if p.state != nil {
		t.Errorf("the last server was asked to end: %v", p.state)
	}
	k.nothingLives()
	if len(k.left) > 0 {
		t.Errorf("left by a server that was asked to end: %v", k.left)
	}
	temporary, err := filepath.Glob(filepath.Join(k.data(), "blobs", ".tmp", "*"))
	if err != nil || len(temporary) != 1 { // the lock
		t.Errorf("temporary files: %v, %v", temporary, err)
	}
	pieces, again := k.encodedOnce()
	t.Logf("%d kills; %d creations and %d uploads acknowledged, %d deletions; videos at the end: %v; %d pieces encoded, %d begun again because a kill cut them off; %d cages left half made",
		kills, len(k.created), len(k.uploaded), len(k.deleted), statuses, pieces, again, k.leftovers)
	if kills > 20 && (len(k.uploaded) == 0 || statuses["ready"] == 0 || again == 0) { // few kills may all come too early
		t.Error("the kills met too little")
	}
}

// encodedOnce holds the encodes that the servers logged against the results in the event log.
func (k *killer) encodedOnce() (pieces, again int) {
	t := k.t
	t.Helper()
	e := &encodes{begun: map[string][]time.Time{}, failed: map[string]string{}}
	for _, log := range k.logs {
		e.read(t, log)
	}
	for _, wrong := range e.wrong {
		t.Error(wrong)
	}
	for piece, failure := range e.failed {
		t.Errorf("%s: %s", piece, failure)
	}
	log, err := openLogToRead(t.Context(), k.data())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	recorded := map[string]time.Time{}
	record := func(piece string, at time.Time) {
		if _, twice := recorded[piece]; twice {
			t.Errorf("%s is recorded twice", piece)
		}
		recorded[piece] = at
		if len(e.begun[piece]) == 0 {
			t.Errorf("%s is recorded, and no server says that it encoded it", piece)
		}
	}
	for after := domain.Position(0); ; {
		events, err := log.ReadAfter(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		for _, r := range events {
			after = r.Position
			switch event := r.Event.(type) {
			case domain.ChunkTranscoded:
				record(pieceOf(r.Stream, event.Attempt, strconv.Itoa(event.Chunk)), r.Time)
			case domain.AudioTranscoded:
				if event.Final {
					record(pieceOf(r.Stream, event.Attempt, "audio"), r.Time)
				}
			}
		}
	}
	for piece, begun := range e.begun {
		at, done := recorded[piece]
		if done && slices.MaxFunc(begun, time.Time.Compare).After(at) {
			t.Errorf("%s was recorded at %s and is encoded again: %v", piece, at, begun)
		}
		again += len(begun) - 1
	}
	return len(recorded), again
}
