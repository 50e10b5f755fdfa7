package ffmpeg_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
)

// attack is a file that is made to harm.
type attack struct {
	name    string
	content []byte
	// codes may refuse it; with none it must be accepted, and everything is made of it.
	codes []domain.FailureCode
	// says must stand in the reason.
	says string
}

// either is for what FFmpeg may know to mend: then there is a bound for what is made of it, and no more.
const either = domain.FailureCode("")

// TestAttacks sends the encoder files that name other files and addresses, or that want to eat time, memory and disk.
// Each has an answer in bounded time with little written, in the cage and without one, and no canary is touched.
func TestAttacks(t *testing.T) {
	t.Parallel()
	watched := newTripwire(t)
	names, eaters := slices.Concat(disguises(watched), references(t, watched)), slices.Concat(bombs(t), strangers(t))
	// Without a cage only the whitelists keep FFmpeg from what a file names; the limits are the same in both.
	modes := map[string][]attack{"": eaters, "-": names}
	if os.Getenv("CINELOG_LONG") != "" {
		all := slices.Concat(names, eaters)
		modes[""], modes["-"] = all, all
	}
	for cage, attacks := range modes {
		t.Run("cage "+cage, func(t *testing.T) {
			t.Parallel()
			e := newEncoder(t, ffmpeg.Options{Bubblewrap: cage, MaxMemory: 4 << 30})
			for _, a := range attacks {
				a.run(t, e)
			}
		})
	}
	t.Cleanup(func() {
		if touched := watched.touched(t); len(touched) > 0 {
			t.Errorf("touched: %q", touched)
		}
	})
}

func (a attack) run(t *testing.T, e *ffmpeg.Encoder) {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.ReplaceAll(a.name, " ", "-"))
	if err := os.WriteFile(path, a.content, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	outcome, err := answered(t, e, path, time.Minute)
	took := time.Since(began).Round(10 * time.Millisecond)
	var failure *domain.Failure
	switch refused := errors.As(err, &failure); {
	case err != nil && !refused:
		t.Errorf("%s: %s: no answer after %s: %v", a.name, outcome, took, err)
	case !refused && len(a.codes) > 0 && !slices.Contains(a.codes, either):
		t.Errorf("%s: accepted", a.name)
	case refused && (!slices.Contains(a.codes, failure.Code) || !strings.Contains(failure.Detail, a.says)):
		t.Errorf("%s: %s: %v, wanted %q saying %q", a.name, outcome, failure, a.codes, a.says)
	}
	if took > 5*time.Second {
		t.Logf("%s: %s, %s", a.name, outcome, took)
	}
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
}

// tripwire is a file and an address that only hostile files name.
type tripwire struct {
	file, url string
	inotify   int
	visits    atomic.Int32
	listener  net.Listener
	done      chan struct{}
}

func newTripwire(t *testing.T) *tripwire {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &tripwire{file: filepath.Join(t.TempDir(), "canary.ts"), url: "http://" + l.Addr().String() + "/a.ts", listener: l, done: make(chan struct{})}
	if err := os.WriteFile(w.file, []byte("a secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.inotify, err = syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.InotifyAddWatch(w.inotify, w.file, syscall.IN_OPEN|syscall.IN_ACCESS); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.visits.Add(1)
			_ = c.Close() // nothing is said
		}
	}()
	return w
}

// touched ends the watch and says what was opened or connected to; it looks at the file itself at the end, to see that
// the wire would have told.
func (w *tripwire) touched(t *testing.T) (what []string) {
	t.Helper()
	buf := make([]byte, 4096)
	if n, err := syscall.Read(w.inotify, buf); n > 0 && err == nil {
		what = append(what, "the file")
	}
	if _, err := os.ReadFile(w.file); err != nil {
		t.Error(err)
	}
	if n, err := syscall.Read(w.inotify, buf); n <= 0 || err != nil {
		t.Errorf("the wire is cut: %d, %v", n, err)
	}
	_ = syscall.Close(w.inotify) // closed once
	_ = w.listener.Close()       // closed once
	<-w.done
	if w.visits.Load() > 0 {
		what = append(what, "the address")
	}
	return what
}

// disguises are lists of files and addresses under the names and behind the first bytes of every container.
func disguises(w *tripwire) (attacks []attack) {
	lists := map[string]string{
		"hls":    "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"URL\"\n#EXTINF:4,\nfile:FILE\n#EXTINF:4,\nURL\n#EXT-X-ENDLIST\n",
		"m3u":    "#EXTM3U\n#EXTINF:4,a\nFILE\nconcat:FILE|FILE\nURL\n",
		"concat": "ffconcat version 1.0\nfile 'FILE'\nfile URL\n",
		"dash": `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S"><Period><AdaptationSet>` +
			`<Representation id="1" bandwidth="1"><BaseURL>URL</BaseURL></Representation></AdaptationSet></Period></MPD>`,
		"sdp":  "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:URL\n",
		"smil": `<smil><body><video src="URL"/><video src="FILE"/></body></smil>`,
		"svg":  `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="URL"/><image href="file://FILE"/></svg>`,
	}
	packets := strings.Repeat("G"+strings.Repeat("\x00", 187), 30)
	magics := map[string]string{
		"": "", "mp4": "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00", "moov": "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x08moov",
		"free": "\x00\x00\x10\x00free", "mdat": "\x00\x00\x00\x10ftypqt  \x00\x00\x00\x00\x00\x00\x00\x00mdat", "mkv": "\x1a\x45\xdf\xa3",
		"webm": "\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm\x42\x87\x81\x02\x42\x85\x81\x02",
		"avi":  "RIFF\x00\x10\x00\x00AVI ", "flv": "FLV\x01\x05\x00\x00\x00\x09", "ogg": "OggS\x00\x02", "ps": "\x00\x00\x01\xba",
		"asf": "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "mxf": "\x06\x0e\x2b\x34\x02\x05\x01\x01", "ts": packets,
		"id3": "ID3\x04\x00\x00\x00\x00\x00\x0a0123456789", "bom": "\xef\xbb\xbf", "gif": "GIF89a", "space": " \r\n\t",
	}
	fill := strings.NewReplacer("FILE", w.file, "URL", w.url)
	for _, list := range slices.Sorted(maps.Keys(lists)) {
		for _, magic := range slices.Sorted(maps.Keys(magics)) {
			if list != "hls" && list != "concat" && magic != "" && magic != "mp4" { // what FFmpeg follows goes behind each
				continue
			}
			a := attack{name: list + " " + magic + ".mp4", content: []byte(magics[magic] + fill.Replace(lists[list])), codes: []domain.FailureCode{domain.NotAVideo}}
			if !slices.Contains([]string{"", "id3", "bom", "gif", "space"}, magic) {
				a.codes = []domain.FailureCode{domain.Malformed, domain.NoVideoTrack}
			}
			attacks = append(attacks, a)
		}
	}
	return attacks
}
