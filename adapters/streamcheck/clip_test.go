package streamcheck_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
)

// A clip is a presentation that keeps every rule: two video renditions, audio, I-frames; 24 s in segments of 6 s. Its
// samples are not pictures, but their headers are what the headers of pictures are.
type clip map[string][]byte

// recipe says how a clip is made, and so how it can be made wrongly. Frames count from 0 over the whole clip.
type recipe struct {
	sync, idr   func(rendition string, frame int) bool
	shift       func(rendition string, segment int) int64 // of the decode times, in ticks
	frameTicks  func(frame int) uint32
	segment     map[string]int // frames of a segment, by rendition
	sps         map[string]string
	profile     byte // of avcC; 0 for that of the parameter set
	level       byte
	entry       string // the sample entry's name
	withoutTime bool
	audioFrames int
	audioType   byte // AAC object type
	audioBytes  int
	muxed       bool // another audio track in the video
}

const (
	fps        = 25
	frameTicks = 512 // at 12,800 a second
	gop        = 2 * fps
	frames     = 24 * fps
)

// The parameter sets were written by x264 for 640x360 and 320x180 at 25 frames a second, High Profile.
var parameterSets = map[string]string{
	"high": "6764001eacb405017fcb80880000030008000003019078b175",
	"low":  "6764000cacb40a0cfcf808800000030080000019078a1550",
}

// interlacedSet is one for interlaced 640x360.
const interlacedSet = "6764001eacd940a063f3e022000003000200000300643e28532c"

func goodRecipe() recipe {
	return recipe{
		sync: func(_ string, f int) bool { return f%gop == 0 }, idr: func(_ string, f int) bool { return f%gop == 0 },
		shift: func(string, int) int64 { return 0 }, frameTicks: func(int) uint32 { return frameTicks },
		segment: map[string]int{"high": 6 * fps, "low": 6 * fps}, sps: maps.Clone(parameterSets), entry: "avc1",
		audioFrames: 24 * 48_000 / 1024, audioType: 2, audioBytes: 300,
	}
}

func (r recipe) make(t *testing.T) clip {
	t.Helper()
	c := clip{}
	peaks, sizes := map[string]int{}, map[string]int{"high": 2000, "low": 900}
	for _, name := range []string{"high", "low"} {
		media, keyframes := r.video(t, c, name, sizes[name])
		peaks[name], peaks[name+"-i"] = c.playlist(name, media), c.iFrames(name, keyframes)
	}
	audio := c.playlist("audio", r.audio(t, c))
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n" +
		`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio.m3u8"` + "\n")
	size := map[string]string{"high": "640x360", "low": "320x180"}
	codec := map[string]string{"high": "avc1.64001e", "low": "avc1.64000c"}
	for _, name := range []string{"high", "low"} {
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s,mp4a.40.2\",RESOLUTION=%s,FRAME-RATE=25.000,AUDIO=\"a\",CLOSED-CAPTIONS=NONE\n%s.m3u8\n",
			peaks[name]+audio, peaks[name]+audio-1, codec[name], size[name], name)
	}
	for _, name := range []string{"high", "low"} {
		fmt.Fprintf(&b, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\",RESOLUTION=%s,URI=\"%s-i.m3u8\"\n",
			peaks[name+"-i"], peaks[name+"-i"]-1, codec[name], size[name], name)
	}
	c["master.m3u8"] = []byte(b.String())
	c["clip.mpd"] = c.manifest(peaks["high"], peaks["low"], audio)
	return c
}

// piece is a line pair of a playlist.
type piece struct {
	seconds       float64
	file          string
	offset, bytes int
	part          bool
}

// playlist writes a media playlist and returns its rate in bits per second.
func (c clip) playlist(name string, pieces []piece) int {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n")
	if strings.HasSuffix(name, "-i") {
		b.WriteString("#EXT-X-I-FRAMES-ONLY\n")
	}
	fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s-init.mp4\"\n", strings.TrimSuffix(name, "-i"))
	var seconds, size float64
	for _, p := range pieces {
		fmt.Fprintf(&b, "#EXTINF:%.5f,\n", p.seconds)
		if p.part {
			fmt.Fprintf(&b, "#EXT-X-BYTERANGE:%d@%d\n", p.bytes, p.offset)
		}
		b.WriteString(p.file + "\n")
		seconds, size = seconds+p.seconds, size+float64(p.bytes)
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	c[name+".m3u8"] = []byte(b.String())
	return int(8 * size / seconds)
}

func (c clip) iFrames(name string, keyframes []piece) int { return c.playlist(name+"-i", keyframes) }

// video writes a rendition; each group of pictures is a fragment of its own.
func (r recipe) video(t *testing.T, c clip, name string, size int) (media, keyframes []piece) {
	t.Helper()
	init := mp4.CreateEmptyInit()
	trak := init.AddEmptyTrack(fps*frameTicks, "video", "und")
	sps, err := hex.DecodeString(r.sps[name])
	must(t, err)
	must(t, trak.SetAVCDescriptor(r.entry, [][]byte{sps}, [][]byte{{0x68, 0xee, 0x0f, 0xcb}}, true))
	if r.profile > 0 {
		trak.Mdia.Minf.Stbl.Stsd.AvcX.AvcC.AVCProfileIndication = r.profile
	}
	if r.level > 0 {
		trak.Mdia.Minf.Stbl.Stsd.AvcX.AvcC.AVCLevelIndication = r.level
	}
	if r.muxed {
		must(t, init.AddEmptyTrack(48_000, "audio", "und").SetAACDescriptor(r.audioType, 48_000))
	}
	c[name+"-init.mp4"] = encoded(t, init)
	at, ticks := 0, uint64(0)
	for n := 0; at < frames; n++ {
		last := min(at+r.segment[name], frames)
		file := fmt.Sprintf("%s-%d.m4s", name, n)
		s := mp4.NewMediaSegment()
		var offsets []int
		length, begun := int(s.Styp.Size()), ticks
		for at < last {
			f, err := mp4.CreateFragment(uint32(n), 1)
			must(t, err)
			for first := true; at < last && (first || at%gop != 0); at++ {
				f.AddFullSample(mp4.FullSample{
					Sample:     mp4.NewSample(flags(r.sync(name, at)), r.frameTicks(at), uint32(size), 0),
					DecodeTime: uint64(int64(ticks) + r.shift(name, n)), Data: picture(size, r.idr(name, at)),
				})
				ticks += uint64(r.frameTicks(at))
				first = false
			}
			if r.withoutTime {
				f.Moof.Traf.Tfdt = nil
				f.Moof.Traf.Children = append(f.Moof.Traf.Children[:1], f.Moof.Traf.Children[2:]...)
			}
			s.AddFragment(f)
			offsets = append(offsets, length)
			length += int(f.Size())
		}
		data := encoded(t, s)
		c[file] = data
		media = append(media, piece{seconds: float64(ticks-begun) / (fps * frameTicks), file: file, bytes: len(data)})
		for _, offset := range offsets {
			head := int(s.Fragments[0].Moof.Size()) + 8
			keyframes = append(keyframes, piece{2, file, offset, head + size, true})
		}
	}
	return media, keyframes
}

func flags(sync bool) uint32 {
	if sync {
		return mp4.SyncSampleFlags
	}
	return mp4.NonSyncSampleFlags
}

// picture is one NAL unit of a slice.
func picture(size int, idr bool) []byte {
	data := make([]byte, size)
	data[2], data[3], data[4] = byte((size-4)>>8), byte(size-4), 0x41
	if idr {
		data[4] = 0x65
	}
	return data
}

func encoded(t *testing.T, what any) []byte {
	t.Helper()
	var b bytes.Buffer
	switch v := what.(type) {
	case *mp4.InitSegment:
		must(t, v.Encode(&b))
	case *mp4.MediaSegment:
		must(t, v.Encode(&b))
	}
	return b.Bytes()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// replace changes every old in a file; the test fails where there is none.
func (c clip) replace(t *testing.T, file, old, with string) {
	t.Helper()
	if !bytes.Contains(c[file], []byte(old)) {
		t.Fatalf("%s has no %q:\n%s", file, old, c[file])
	}
	c[file] = bytes.ReplaceAll(c[file], []byte(old), []byte(with))
}

// store writes the clip into a folder.
func (c clip) store(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, data := range c {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}
