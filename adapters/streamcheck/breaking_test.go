package streamcheck_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
)

func twice(t *testing.T, c clip) {
	t.Helper()
	line := bytes.Split(c["master.m3u8"], []byte("\n"))[3]
	c.replace(t, "master.m3u8", string(line), string(line)+"\n"+string(line))
}

// member adds an EXT-X-MEDIA of audio behind the one that is there.
func member(attributes string) func(*testing.T, clip) {
	return func(t *testing.T, c clip) {
		t.Helper()
		line := string(bytes.Split(c["master.m3u8"], []byte("\n"))[3])
		c.replace(t, "master.m3u8", line, line+"\n#EXT-X-MEDIA:TYPE=AUDIO,"+attributes+`,CHANNELS="2",URI="audio2.m3u8"`)
	}
}

func dropLines(with string) func(*testing.T, clip) {
	return func(_ *testing.T, c clip) {
		var kept []string
		for line := range strings.SplitSeq(string(c["master.m3u8"]), "\n") {
			if !strings.Contains(line, with) {
				kept = append(kept, line)
			}
		}
		c["master.m3u8"] = []byte(strings.Join(kept, "\n"))
	}
}

// dropLow leaves one variant.
func dropLow(t *testing.T, c clip) {
	t.Helper()
	lines := strings.Split(string(c["master.m3u8"]), "\n")
	c["master.m3u8"] = []byte(strings.Join(slices.Delete(lines, 6, 8), "\n"))
}

// lowFirst lists the lower variant first.
func lowFirst(t *testing.T, c clip) {
	t.Helper()
	lines := strings.Split(string(c["master.m3u8"]), "\n")
	lines[4], lines[5], lines[6], lines[7] = lines[6], lines[7], lines[4], lines[5]
	c["master.m3u8"] = []byte(strings.Join(lines, "\n"))
}

func withCaptions(attribute string, seconds int, head string) func(*testing.T, clip) {
	return func(t *testing.T, c clip) {
		t.Helper()
		c.replace(t, "master.m3u8", "#EXT-X-MEDIA:TYPE=AUDIO", `#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="English",LANGUAGE="en",`+attribute+`,URI="subs.m3u8"`+"\n#EXT-X-MEDIA:TYPE=AUDIO")
		c["subs.m3u8"] = fmt.Appendf(nil, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:%d.0,\nsubs.vtt\n#EXT-X-ENDLIST\n", seconds, seconds)
		c["subs.vtt"] = []byte("WEBVTT\n" + head + "\n00:00.000 --> 00:01.000\nHello\n")
	}
}

// dropFirstIFrame takes the first three lines of a frame away.
func dropFirstIFrame(_ *testing.T, c clip) {
	lines := strings.Split(string(c["low-i.m3u8"]), "\n")
	c["low-i.m3u8"] = []byte(strings.Join(slices.Delete(lines, 7, 10), "\n"))
}

// moveIFrames changes offsets and lengths of all parts.
func moveIFrames(offset, length int) func(*testing.T, clip) {
	return func(t *testing.T, c clip) {
		t.Helper()
		lines := strings.Split(string(c["low-i.m3u8"]), "\n")
		for i, line := range lines {
			var n, at int
			if _, err := fmt.Sscanf(line, "#EXT-X-BYTERANGE:%d@%d", &n, &at); err == nil {
				lines[i] = fmt.Sprintf("#EXT-X-BYTERANGE:%d@%d", n+length, at+offset)
			}
		}
		c["low-i.m3u8"] = []byte(strings.Join(lines, "\n"))
	}
}

// rates multiplies an attribute of every variant.
func rates(name string, by float64) func(*testing.T, clip) {
	return func(t *testing.T, c clip) {
		t.Helper()
		c["master.m3u8"] = scaled(c["master.m3u8"], name, by)
	}
}

func scaled(master []byte, name string, by float64) []byte {
	lines := strings.Split(string(master), "\n")
	for i, line := range lines {
		for _, before := range []string{":", ","} {
			head, rest, ok := strings.Cut(line, before+name+"=")
			if !ok {
				continue
			}
			var n float64
			value, tail, _ := strings.Cut(rest, ",")
			_, _ = fmt.Sscan(value, &n)
			lines[i] = fmt.Sprintf("%s%s%s=%.0f,%s", head, before, name, n*by, tail)
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// withoutAudioRate announces the video alone.
func withoutAudioRate(t *testing.T, c clip) {
	t.Helper()
	var total, audio int
	for name, data := range c {
		if strings.HasPrefix(name, "audio-") && name != "audio-init.mp4" {
			audio += len(data)
		}
		if strings.HasPrefix(name, "high-") && strings.HasSuffix(name, ".m4s") {
			total += len(data)
		}
	}
	c["master.m3u8"] = scaled(c["master.m3u8"], "BANDWIDTH", float64(total)/float64(total+audio))
}

func growingTooFast(t *testing.T, c clip) {
	t.Helper()
	for name := range c {
		if strings.HasSuffix(name, ".m3u8") && name != "master.m3u8" {
			c.replace(t, name, "#EXT-X-ENDLIST\n", "")
			c.replace(t, name, "TYPE:VOD", "TYPE:EVENT")
		}
	}
	c["master.m3u8"] = scaled(c["master.m3u8"], "BANDWIDTH", 0.7)
}

// heavySegment adds a free box that is larger than all the rest.
func heavySegment(_ *testing.T, c clip) {
	const size = 2_000_000
	free := make([]byte, size)
	free[1], free[2], free[3] = size>>16, size>>8&0xff, size&0xff
	copy(free[4:], "free")
	c["high-1.m4s"] = append(slices.Clone(c["high-1.m4s"]), free...)
}

// renamed changes the kind of a box.
func renamed(file, old, with string) func(*testing.T, clip) {
	return func(t *testing.T, c clip) { t.Helper(); c.replace(t, file, old, with) }
}

// surround makes the audio one of six channels.
func surround(t *testing.T, c clip) {
	t.Helper()
	init := mp4.CreateEmptyInit()
	trak := init.AddEmptyTrack(48_000, "audio", "en")
	must(t, trak.SetAACDescriptor(2, 48_000))
	config := trak.Mdia.Minf.Stbl.Stsd.Mp4a.Esds.DecConfigDescriptor.DecSpecificInfo.DecConfig
	config[1] = config[1]&0x87 | 6<<3
	c["audio-init.mp4"] = encoded(t, init)
}

// twoAudios puts a second track into the audio's segments.
func twoAudios(t *testing.T, c clip) {
	t.Helper()
	init := mp4.CreateEmptyInit()
	must(t, init.AddEmptyTrack(48_000, "audio", "en").SetAACDescriptor(2, 48_000))
	must(t, init.AddEmptyTrack(48_000, "audio", "de").SetAACDescriptor(2, 48_000))
	c["audio-init.mp4"] = encoded(t, init)
	f, err := mp4.CreateMultiTrackFragment(0, []uint32{1, 2})
	must(t, err)
	for _, id := range []uint32{1, 2} {
		must(t, f.AddFullSampleToTrack(mp4.FullSample{Sample: mp4.NewSample(mp4.SyncSampleFlags, 1024, 4, 0), Data: []byte("data")}, id))
	}
	s := mp4.NewMediaSegment()
	s.AddFragment(f)
	c["audio-0.m4s"] = encoded(t, s)
}
