package streamcheck_test

import (
	"testing"
)

func textWays() []broken {
	return []broken{
		{clause: "RFC 8216, 6.2.1", severity: e, change: func(_ *testing.T, c clip) { delete(c, "low-2.m4s") }, place: "low.m3u8:12"},
		{clause: "RFC 8216, 6.2.1", severity: e, change: func(_ *testing.T, c clip) { delete(c, "high-i.m3u8") }, place: "master.m3u8:9"},
		{clause: "RFC 8216, 6.2.1", severity: e, change: text("low.m3u8", "low-1.m4s", "../outside.m4s")},
		{clause: "RFC 8216, 6.2.1", severity: e, change: text("low.m3u8", "low-1.m4s", "file:///etc/passwd")},
		{clause: "RFC 8216, 6.2.1", severity: e, change: text("low.m3u8", "low-1.m4s", "http://127.0.0.1:9/x.m4s")},
		{clause: "RFC 8216, 4.3.1.1", severity: e, change: text("low.m3u8", "#EXTM3U\n", ""), place: "low.m3u8:1"},
		{clause: "RFC 8216, 4.1", severity: e, change: text("low.m3u8", "#EXTM3U", "\ufeff#EXTM3U")},
		{clause: "RFC 8216, 4.1", severity: e, change: text("low.m3u8", "low-1.m4s", "low-1.m4s\x07"), place: "low.m3u8:10"},
		{clause: "RFC 8216, 4.1", severity: e, change: text("low.m3u8", "#EXTM3U", "#EXTM3U\n#\xff")},
		{clause: "RFC 8216, 4.2", severity: e, change: text("master.m3u8", `NAME="English"`, `NAME="English`)},
		{clause: "RFC 8216, 4.2", severity: e, change: text("master.m3u8", `NAME="English"`, `NAME="English",NAME="E"`)},
		{clause: "RFC 8216, 4.3.1.2", severity: e, change: text("low.m3u8", "VERSION:7", "VERSION:7\n#EXT-X-VERSION:7")},
		{clause: "RFC 8216, 7", severity: e, change: text("low.m3u8", "VERSION:7", "VERSION:3")},
		{clause: "RFC 8216, 7", severity: e, change: text("low-i.m3u8", "VERSION:7", "VERSION:4")},
		{clause: "RFC 8216, 4.3.3", severity: e, change: text("master.m3u8", "VERSION:7", "VERSION:7\n#EXT-X-ENDLIST"), place: "master.m3u8:3"},
		{clause: "RFC 8216, 4.3.4", severity: e, change: text("master.m3u8", "\nlow.m3u8", "\nmaster2.m3u8")},
	}
}

func multivariantWays() []broken {
	m := func(old, with string) func(*testing.T, clip) { return text("master.m3u8", old, with) }
	return []broken{
		{clause: "RFC 8216, 4.3.4.1", severity: e, change: m(`NAME="English",`, "")},
		{clause: "RFC 8216, 4.3.4.1", severity: e, change: m("#EXT-X-MEDIA:", "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"c\",NAME=\"c\",LANGUAGE=\"en\"\n#EXT-X-MEDIA:")},
		{clause: "RFC 8216, 4.3.4.1", severity: e, change: m("AUTOSELECT=YES", "AUTOSELECT=NO")},
		{clause: "RFC 8216, 4.3.4.1", severity: w, change: m(`,CHANNELS="2"`, "")},
		{clause: "RFC 8216, 4.3.4.1", severity: e, change: m(`CHANNELS="2"`, `CHANNELS="6"`), place: "master.m3u8:4"},
		{clause: "RFC 8216, 4.3.4.1.1", severity: e, change: twice},
		{clause: "RFC 8216, 4.3.4.1.1", severity: w, change: member(`GROUP-ID="a",NAME="Again",LANGUAGE="en",AUTOSELECT=YES`), place: "master.m3u8:5"},
		{clause: "RFC 8216, 4.3.4.1.1", severity: e, change: member(`GROUP-ID="b",NAME="Deutsch",LANGUAGE="de"`), place: "master.m3u8:4"},
		{clause: "RFC 8216, 4.3.4.1.1", severity: e, change: member(`GROUP-ID="b",NAME="English",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES`), place: "master.m3u8:5"},
		{clause: "RFC 8216, 4.3.4.1", severity: e, change: m(`LANGUAGE="en"`, `LANGUAGE="English (US)"`), place: "master.m3u8:4"},
		{clause: "RFC 8216, 4.3.4.2", severity: e, change: m("\nlow.m3u8", "")},
		{clause: "RFC 8216, 4.3.4.2", severity: e, change: m(`AUDIO="a"`, `AUDIO="b"`)},
		{clause: "RFC 8216, 4.3.4.2", severity: e, change: m(`CLOSED-CAPTIONS=NONE`+"\nlow", "X=1\nlow")},
		{clause: "RFC 8216, 4.3.4.2", severity: e, change: m(`avc1.64001e,mp4a.40.2`, `avc1.64001e`)},
		{clause: "RFC 8216, 4.3.4.2", severity: e, change: m(`CODECS="avc1.64000c,mp4a.40.2"`, `CODECS="avc1.64001e,mp4a.40.2"`)},
		{clause: "RFC 8216, 4.3.4.2", severity: e, change: m("RESOLUTION=640x360,FRAME", "RESOLUTION=1280x720,FRAME"), place: "master.m3u8:5"},
		{clause: "RFC 8216, 4.3.4.2", severity: e, change: m("FRAME-RATE=25.000", "FRAME-RATE=30.000")},
		{clause: "RFC 8216, 4.3.4.3", severity: e, change: m(`,URI="low-i.m3u8"`, "")},
		{clause: "RFC 8216, 4.3.5.2", severity: e, change: text("low.m3u8", "VERSION:7", "VERSION:7\n#EXT-X-START:PRECISE=YES")},
		{clause: "Apple, 8.9", severity: e, change: m("#EXT-X-I-FRAME", "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"mp4a.40.2\"\naudio2.m3u8\n#EXT-X-I-FRAME")},
		{clause: "Apple, 8.10", severity: e, change: m(`LANGUAGE="en",`, ""), place: "master.m3u8:4"},
		{clause: "Apple, 9.1", severity: e, change: m(`CODECS="avc1.64001e,mp4a.40.2",`, "")},
		{clause: "Apple, 9.2", severity: e, change: m("RESOLUTION=640x360,FRAME", "FRAME")},
		{clause: "Apple, 9.3", severity: e, change: m(`CODECS="avc1.64001e",`, "")},
		{clause: "Apple, 9.4", severity: e, change: m("RESOLUTION=640x360,URI", "URI")},
		{clause: "Apple, 9.5", severity: w, recipe: made(func(r *recipe) { r.muxed = true })},
		{clause: "Apple, 9.9", severity: e, change: dropLow},
		{clause: "Apple, 9.10", severity: w, change: m("RESOLUTION=640x360", "RESOLUTION=1920x1080")},
		{clause: "Apple, 9.11", severity: w, change: m("#EXT-X-INDEPENDENT-SEGMENTS\n", "")},
		{clause: "Apple, 9.12", severity: e, change: m("#EXT-X-INDEPENDENT-SEGMENTS\n", "")},
		{clause: "Apple, 9.14", severity: e, change: m("AVERAGE-BANDWIDTH", "X-AVERAGE")},
		{clause: "Apple, 9.15", severity: e, change: m("FRAME-RATE=25.000,", "")},
		{clause: "Apple, 9.16", severity: e, change: m("FRAME-RATE=25.000", "FRAME-RATE=25.000,VIDEO-RANGE=PQ")},
		{clause: "Apple, 1.33", severity: w, change: m("RESOLUTION=320x180,FRAME", "RESOLUTION=320x240,FRAME")},
		{clause: "Apple, 4.6", severity: e, change: withCaptions(`CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog"`, 24, "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n")},
		{clause: "Apple, 5.3", severity: e, change: withCaptions("AUTOSELECT=YES", 24, ""), place: "subs.m3u8:6"},
		{clause: "Apple, 5.5", severity: e, change: withCaptions("AUTOSELECT=YES", 12, "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n")},
		{clause: "Apple, 6.1", severity: e, change: dropLines("#EXT-X-I-FRAME")},
		{clause: "Apple, 6.6", severity: w, change: dropLines("high-i.m3u8")},
	}
}

func mediaWays() []broken {
	l := func(old, with string) func(*testing.T, clip) { return text("low.m3u8", old, with) }
	return []broken{
		{clause: "RFC 8216, 4.3.3.1", severity: e, change: l("#EXT-X-TARGETDURATION:6\n", "")},
		{clause: "RFC 8216, 4.3.3.1", severity: e, change: l("TARGETDURATION:6", "TARGETDURATION:5"), place: "low.m3u8:8"},
		{clause: "RFC 8216, 4.3.2.1", severity: e, change: l("#EXTINF:6.00000,\nlow-3.m4s", "low-3.m4s")},
		{clause: "RFC 8216, 4.3.3.2", severity: e, change: l("#EXT-X-ENDLIST", "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-ENDLIST")},
		{clause: "RFC 8216, 4.3.3.5", severity: e, change: l("TYPE:VOD", "TYPE:LIVE")},
		{clause: "RFC 8216, 4.3.3.5", severity: e, change: l("#EXT-X-ENDLIST\n", "")},
		{clause: "RFC 8216, 4.3.2.2", severity: e, change: l("low-2.m4s", "#EXT-X-BYTERANGE:100\nlow-2.m4s")},
		{clause: "RFC 8216, 4.3.2.2", severity: e, change: l("low-2.m4s", "#EXT-X-BYTERANGE:x\nlow-2.m4s")},
		{clause: "RFC 8216, 6.2.1", severity: e, change: l("low-2.m4s", "#EXT-X-BYTERANGE:10000000@0\nlow-2.m4s")},
		{clause: "RFC 8216, 4.3.2.5", severity: e, change: l(`MAP:URI=`, `MAP:X=`)},
		{clause: "Apple, 8.20", severity: e, change: l("#EXT-X-MAP", "#EXT-X-NOMAP")},
		{clause: "Apple, 8.6", severity: e, change: l("#EXT-X-PLAYLIST-TYPE:VOD\n", "")},
		{clause: "Apple, 8.8", severity: e, change: func(t *testing.T, c clip) {
			t.Helper()
			c.replace(t, "low.m3u8", "#EXT-X-PLAYLIST-TYPE:VOD\n", "")
			c.replace(t, "low.m3u8", "#EXT-X-ENDLIST\n", "")
		}},
		{clause: "Apple, 7.5", severity: w, change: l("TARGETDURATION:6", "TARGETDURATION:8")},
		{clause: "Apple, 7.6", severity: w, recipe: made(func(r *recipe) { r.segment["low"], r.segment["high"] = 4*fps, 4*fps })},
		{clause: "Apple, 7.7", severity: e, recipe: made(func(r *recipe) { r.segment["low"], r.segment["high"] = 8*fps, 8*fps })},
		{clause: "Apple, 8.2", severity: e, change: l("TARGETDURATION:6", "TARGETDURATION:8")},
		{clause: "Apple, 8.15", severity: e, change: l("#EXTINF:6.00000,\nlow-2", "#EXT-X-DISCONTINUITY\n#EXTINF:6.00000,\nlow-2")},
		{clause: "Apple, 8.22", severity: w, recipe: made(func(r *recipe) { r.segment["low"] = 4 * fps })},
		{clause: "Apple, 8.1", severity: e, change: l("#EXTINF:6.00000", "#EXTINF:5.98000")},
		{clause: "Apple, 8.3", severity: e, recipe: made(func(r *recipe) { r.audioFrames -= 20 })},
		{clause: "Apple, 8.7", severity: e, recipe: made(func(r *recipe) { r.audioFrames -= 20 })},
		{clause: "Apple, 8.7", severity: e, change: dropFirstIFrame},
		{clause: "Apple, 6.8", severity: e, change: text("low-i.m3u8", "#EXT-X-I-FRAMES-ONLY\n", "")},
		{clause: "Apple, 6.10", severity: e, change: moveIFrames(120, -120)},
		{clause: "RFC 8216, 4.3.3.6", severity: e, change: moveIFrames(0, -100)},
		{clause: "RFC 8216, 4.3.3.6", severity: e, recipe: made(func(r *recipe) { r.sync = func(_ string, f int) bool { return f%gop != 0 } })},
	}
}

func formatWays() []broken {
	from := func(change func(*recipe)) func(*recipe) { return change }
	return []broken{
		{clause: "Apple, 1.3b", severity: e, recipe: from(func(r *recipe) { r.profile = 122 })},
		{clause: "Apple, 1.3b", severity: e, recipe: from(func(r *recipe) { r.level = 60 })},
		{clause: "Apple, 1.4", severity: w, recipe: from(func(r *recipe) { r.profile = 77 })},
		{clause: "Apple, 1.10", severity: w, recipe: from(func(r *recipe) { r.entry = "avc3" })},
		{clause: "Apple, 1.14", severity: e, recipe: from(func(r *recipe) { r.sps["high"] = interlacedSet })},
		{clause: "Apple, 1.18", severity: w, recipe: from(func(r *recipe) { r.frameTicks = func(int) uint32 { return 700 } })},
		{clause: "Apple, 1.19", severity: e, recipe: from(func(r *recipe) { r.frameTicks = func(int) uint32 { return 100 } })},
		{clause: "Apple, 2.3", severity: e, change: surround},
		{clause: "Apple, 2.4", severity: w, recipe: from(func(r *recipe) { r.audioType = 5 })},
		{clause: "Apple, 1.26", severity: e, change: rates("AVERAGE-BANDWIDTH", 1.15)},
		{clause: "Apple, 1.26", severity: e, change: rates("AVERAGE-BANDWIDTH", 0.85)},
		{clause: "Apple, 1.27", severity: e, change: rates("BANDWIDTH", 1.15)},
		{clause: "Apple, 1.29", severity: e, change: growingTooFast},
		{clause: "Apple, 9.13", severity: e, change: withoutAudioRate},
		{clause: "Apple, 1.30", severity: w, change: heavySegment},
		{clause: "Apple, 1.32", severity: w, change: lowFirst},
	}
}

func timeWays() []broken {
	from := func(change func(*recipe)) func(*recipe) { return change }
	later := func(rendition string, from int, ticks int64) func(*recipe) {
		return func(r *recipe) {
			r.shift = func(name string, segment int) int64 {
				if name == rendition && segment >= from {
					return ticks
				}
				return 0
			}
		}
	}
	return []broken{
		{clause: "RFC 8216, 3.3", severity: e, recipe: from(func(r *recipe) { r.withoutTime = true })},
		{clause: "RFC 8216, 3.3", severity: e, change: func(_ *testing.T, c clip) { c["low-1.m4s"] = []byte("no boxes at all, but bytes") }, place: "low.m3u8:10"},
		{clause: "RFC 8216, 3.3", severity: e, change: func(_ *testing.T, c clip) { c["low-1.m4s"] = c["low-1.m4s"][:5000] }, place: "low.m3u8:10"},
		{clause: "RFC 8216, 3.3", severity: e, change: func(_ *testing.T, c clip) { c["low-init.mp4"] = c["low-1.m4s"] }, place: "low.m3u8:6"},
		{clause: "Apple, 7.1", severity: e, recipe: later("low", 2, 1000), place: "low.m3u8:12"},
		{clause: "Apple, 7.3", severity: e, recipe: later("low", 2, 1), place: "low.m3u8:12"},
		{clause: "RFC 8216, 6.2.4", severity: e, recipe: later("audio", 0, 24_000)},
		{clause: "Apple, 7.4", severity: e, recipe: from(func(r *recipe) { r.idr = func(_ string, f int) bool { return f != 6*fps && f%gop == 0 } }), place: "high.m3u8:10"},
		{clause: "RFC 8216, 4.3.5.1", severity: e, recipe: from(func(r *recipe) { r.sync = func(_ string, f int) bool { return f != 6*fps && f%gop == 0 } }), place: "high.m3u8:10"},
		{clause: "Apple, 1.13", severity: w, recipe: from(func(r *recipe) { r.sync = func(_ string, f int) bool { return f%(3*fps) == 0 } })},
		{clause: "Apple, 8.14", severity: e, recipe: from(func(r *recipe) {
			r.frameTicks = func(f int) uint32 {
				if f >= 12*fps {
					return 600
				}
				return frameTicks
			}
		})},
	}
}

func otherWays() []broken {
	return []broken{
		{clause: "RFC 8216, 3.2", severity: w, change: func(t *testing.T, c clip) {
			t.Helper()
			c.replace(t, "low.m3u8", "#EXT-X-MAP", "#EXT-X-NOMAP")
			c.replace(t, "low.m3u8", "low-0.m4s", "low-0.ts")
		}, place: "low.m3u8:8"},
		{clause: "RFC 8216, 4.1", severity: e, change: func(t *testing.T, c clip) {
			t.Helper()
			c.replace(t, "master.m3u8", "\nlow.m3u8", "\nlow.txt")
			c["low.txt"] = c["low.m3u8"]
		}},
		{clause: "Apple, 1.1", severity: e, change: renamed("low-init.mp4", "avc1", "vp09")},
		{clause: "Apple, 2.17", severity: e, change: twoAudios},
	}
}
