package streamcheck_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
)

// manifest writes an MPD of the same files.
func (c clip) manifest(high, low, audio int) []byte {
	var b strings.Builder
	list := func(name string, timescale, length int) {
		fmt.Fprintf(&b, "<SegmentList timescale=\"%d\"><Initialization sourceURL=\"%s-init.mp4\"/>\n<SegmentTimeline>", timescale, name)
		count, left := 0, 0
		for ; c[fmt.Sprintf("%s-%d.m4s", name, count)] != nil; count++ {
			d := length
			if name == "audio" {
				d = ((count+1)*6*48_000+512)/1024*1024 - (count*6*48_000+512)/1024*1024
			}
			fmt.Fprintf(&b, "<S t=\"%d\" d=\"%d\"/>", left, d)
			left += d
		}
		b.WriteString("</SegmentTimeline>\n")
		for n := range count {
			fmt.Fprintf(&b, "<SegmentURL media=\"%s-%d.m4s\"/>\n", name, n)
		}
		b.WriteString("</SegmentList></Representation>\n")
	}
	b.WriteString(`<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-main:2011" type="static" ` +
		`mediaPresentationDuration="PT24S" minBufferTime="PT6S"><Period>` + "\n" +
		`<AdaptationSet mimeType="video/mp4" frameRate="25" startWithSAP="1" segmentAlignment="true">` + "\n")
	fmt.Fprintf(&b, "<Representation id=\"high\" bandwidth=\"%d\" codecs=\"avc1.64001e\" width=\"640\" height=\"360\">", high+1)
	list("high", fps*frameTicks, 6*fps*frameTicks)
	fmt.Fprintf(&b, "<Representation id=\"low\" bandwidth=\"%d\" codecs=\"avc1.64000c\" width=\"320\" height=\"180\">", low+1)
	list("low", fps*frameTicks, 6*fps*frameTicks)
	b.WriteString("</AdaptationSet>\n<AdaptationSet mimeType=\"audio/mp4\" lang=\"en\">\n")
	fmt.Fprintf(&b, "<Representation id=\"audio\" bandwidth=\"%d\" codecs=\"mp4a.40.2\">", audio+1)
	list("audio", 48_000, 0)
	b.WriteString("</AdaptationSet></Period></MPD>\n")
	return []byte(b.String())
}

func (r recipe) audio(t *testing.T, c clip) (media []piece) {
	t.Helper()
	init := mp4.CreateEmptyInit()
	must(t, init.AddEmptyTrack(48_000, "audio", "en").SetAACDescriptor(r.audioType, 48_000))
	c["audio-init.mp4"] = encoded(t, init)
	for n, at := 0, 0; at < r.audioFrames; n++ {
		last := min(r.audioFrames, ((n+1)*6*48_000+512)/1024)
		f, err := mp4.CreateFragment(uint32(n), 1)
		must(t, err)
		begun := at
		for ; at < last; at++ {
			f.AddFullSample(mp4.FullSample{
				Sample:     mp4.NewSample(mp4.SyncSampleFlags, 1024, uint32(r.audioBytes), 0),
				DecodeTime: uint64(int64(at*1024) + r.shift("audio", n)), Data: make([]byte, r.audioBytes),
			})
		}
		s := mp4.NewMediaSegment()
		s.AddFragment(f)
		file := fmt.Sprintf("audio-%d.m4s", n)
		c[file] = encoded(t, s)
		media = append(media, piece{seconds: float64((at-begun)*1024) / 48_000, file: file, bytes: len(c[file])})
	}
	return media
}
