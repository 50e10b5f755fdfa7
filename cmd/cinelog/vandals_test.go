package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// TestVandalsGetNothing sends a whole server what is made to harm it: files that point at other files and addresses,
// files that lie, noise, and names that are paths and options. It is not parallel, because it looks at all processes
// below this one.
func TestVandalsGetNothing(t *testing.T) {
	adoptOrphans(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	watched := newCanaries(t)
	canary := filepath.Join(dir, "canary.txt")
	watched.add(canary)
	address, visits := nobodyCalls(t)
	a := serveForTest(t, data)
	cl := &realClient{t: t, client: &client{server: a.url()}, secrets: []string{watched.secret, dir}}

	good := smallClip(t, dir)
	sent := map[string]string{} // the video of each file
	refused := disguised(canary, address)
	refused["external.mov"] = external(t, good, canary)
	for name, content := range refused {
		sent[name] = cl.create(name)
		// Also where a relative name leads to.
		watched.add(filepath.Join(data, "blobs", "sources", sent[name], "canary.txt"))
		cl.send(sent[name], name, content)
	}
	for name, content := range noise(good) {
		sent[name] = cl.create(name)
		cl.send(sent[name], name, content)
	}
	for _, name := range []string{"-i /etc/passwd -f lavfi.mp4", "../../../../../../tmp/x.mp4", "file:" + canary, "concat:a|b.mp4", "a\r\nX-Injected: 1\x00.mp4"} {
		sent[name] = cl.create("a name")
		cl.send(sent[name], name, good)
	}
	for name, id := range sent {
		asLongAsItMoves(t, data, 2*time.Minute, func() string { return cl.pending(id) })
		v := cl.video(id)
		cl.get("/v1/videos/" + id + "/events")
		_, mustFail := refused[name]
		switch {
		case mustFail && v.Status != "failed":
			t.Errorf("%s: expected a refusal, got %s", name, v.Status)
		case v.Status == "failed" && v.Error.Code == string(domain.Internal):
			t.Errorf("%s: expected a reason, got %+v", name, *v.Error)
		case v.Status == "failed" && !mustFail && !strings.HasPrefix(name, "noise"):
			t.Errorf("%q: expected ready, got %+v", name, *v.Error)
		}
	}
	if names := watched.opened(); len(names) > 0 {
		t.Errorf("opened: %s", strings.Join(names, ", "))
	}
	if n := visits.Load(); n > 0 {
		t.Errorf("%d connections to an address that only a file named", n)
	}
	watched.remove()
	cl.aliveAndClean(t, data, watched)
}

// send is upload with the bytes and a name that may be anything.
func (cl *realClient) send(id, name string, content []byte) {
	cl.t.Helper()
	req, err := http.NewRequestWithContext(cl.t.Context(), http.MethodPut,
		cl.server+"/v1/videos/"+id+"/source?filename="+url.QueryEscape(name), strings.NewReader(string(content)))
	if err != nil {
		cl.t.Fatal(err)
	}
	if err := cl.do(req, nil); err != nil && !strings.ContainsAny(name, "\x00\r\n") {
		cl.t.Errorf("%q: %v", name, err)
	} else if err != nil { // refused, as it may be: the file goes without a name
		cl.send(id, "", content)
	}
}

// nobodyCalls listens where nobody may connect to.
func nobodyCalls(t *testing.T) (address string, visits *atomic.Int32) {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	visits = &atomic.Int32{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close() // closed once
		<-done
	})
	return l.Addr().String(), visits
}

func smallClip(t *testing.T, dir string) []byte {
	t.Helper()
	path := filepath.Join(dir, "small.mp4")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=128x72:r=25:d=2",
		"-f", "lavfi", "-i", "sine=d=2", "-c:v", "libx264", "-g", "10", "-c:a", "aac", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	clip, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return clip
}

// disguised are texts that FFmpeg, left to itself, takes for lists of files to open, whatever their name is.
func disguised(file, address string) map[string][]byte {
	texts := map[string]string{
		"hls-file.mp4":     "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://FILE\n#EXT-X-ENDLIST\n",
		"hls-relative.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\ncanary.txt\n#EXTINF:4,\n../../../../canary.txt\n#EXT-X-ENDLIST\n",
		"hls-http.mp4":     "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://ADDRESS/a.ts\n#EXT-X-ENDLIST\n",
		"hls-key.mp4":      "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"FILE\"\n#EXTINF:4,\nconcat:FILE|FILE\n#EXT-X-ENDLIST\n",
		"hls-bom.mp4":      "\ufeff#EXTM3U\n#EXTINF:4,\nfile://FILE\n",
		"concat.mp4":       "ffconcat version 1.0\nfile 'FILE'\nfile canary.txt\nfile http://ADDRESS/a.mp4\n",
		"dash.mp4":         `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>http://ADDRESS/</BaseURL></Period></MPD>`,
		"sdp.mp4":          "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
		"asx.wmv":          `<asx version="3.0"><entry><ref href="http://ADDRESS/a.wmv"/></entry></asx>`,
		"rtsptext.mov":     "RTSPtextRTSP://ADDRESS/a\n",
		"svg.mp4":          `<svg xmlns="http://www.w3.org/2000/svg"><image href="http://ADDRESS/"/></svg>`,
		"polyglot.mp4":     "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x08moov#EXTM3U\n#EXTINF:4,\nfile://FILE\n",
		"polyglot.webm":    "\x1a\x45\xdf\xa3#EXTM3U\n#EXTINF:4,\nfile://FILE\n",
		"id3.mp4":          "ID3\x04\x00\x00\x00\x00\x00\x00#EXTM3U\n#EXTINF:4,\nfile://FILE\n",
	}
	names := strings.NewReplacer("FILE", file, "ADDRESS", address)
	files := map[string][]byte{}
	for name, text := range texts {
		files[name] = []byte(names.Replace(text))
	}
	return files
}

// external says of the first track of a movie that its samples are in another file.
func external(t *testing.T, movie []byte, file string) []byte {
	t.Helper()
	u16 := binary.BigEndian.AppendUint16
	alias := append(make([]byte, 10), 1)
	alias = append(alias, make([]byte, 27+12)...) // the volume's name
	alias = append(append(alias, 1, 'x'), make([]byte, 62+16)...)
	alias = u16(u16(alias, 1), 4) // how far up and down the folders
	alias = append(alias, make([]byte, 16)...)
	alias = append(u16(u16(alias, 2), uint16(len(file))), file...) // 2: the path
	alias = u16(u16(alias, 0xffff), 0)
	entry := box("alis", append(make([]byte, 4), alias...))
	changed := inBox(movie, []string{"moov", "trak", "mdia", "minf", "dinf", "dref"}, func([]byte) []byte {
		return append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, entry...)
	})
	if len(changed) <= len(movie) || strings.Index(string(movie), "mdat") > strings.Index(string(movie), "moov") {
		t.Fatal("the movie is not as it was thought to be: its header must be its end")
	}
	return changed
}

func box(kind string, body []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

// inBox changes the body of the first box at a path, and the sizes above it.
func inBox(boxes []byte, at []string, change func([]byte) []byte) []byte {
	if len(at) == 0 {
		return change(boxes)
	}
	for from := 0; from+8 <= len(boxes); {
		to := from + int(binary.BigEndian.Uint32(boxes[from:]))
		if string(boxes[from+4:from+8]) == at[0] {
			return slices.Concat(boxes[:from], box(at[0], inBox(boxes[from+8:to], at[1:], change)), boxes[to:])
		}
		from = to
	}
	return boxes
}

// noise are a good file's bytes, damaged always in the same ways.
func noise(good []byte) map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	files := map[string][]byte{}
	for i := range 8 {
		b := slices.Clone(good)
		switch i % 4 {
		case 0: // in the header, which is at the end
			for range 10 {
				b[len(b)-1-random.IntN(min(len(b), 2000))] = byte(random.Uint32())
			}
		case 1: // everywhere
			for range len(b) / 200 {
				b[random.IntN(len(b))] = byte(random.Uint32())
			}
		case 2: // a hole
			at := len(b)/4 + random.IntN(len(b)/4)
			clear(b[at : at+len(b)/8])
		case 3: // only noise, behind a good first box
			for j := 32; j < len(b); j++ {
				b[j] = byte(random.Uint32())
			}
		}
		files[fmt.Sprintf("noise-%d.mp4", i)] = b
	}
	return files
}
