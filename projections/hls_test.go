package projections_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func growing(t *testing.T) projections.Playback {
	t.Helper()
	return newPlayedBack(t).given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1}, planned(1),
		chunkDone(1, 0), audioDone(1, 0)).playable()
}

func complete(t *testing.T) projections.Playback {
	t.Helper()
	return newPlayedBack(t).given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1}).given(whole(1)...).playable()
}

func playlistURI(rendition string) string { return rendition + ".m3u8" }

func blobURI(b domain.Blob) string { return "/" + b.Key }

func media(t *testing.T, p projections.Playback, rendition string) []byte {
	t.Helper()
	text, err := projections.MediaPlaylist(p, rendition, blobURI)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestPlaylistTexts compares with testdata/hls. A change there is a change that players see.
func TestPlaylistTexts(t *testing.T) {
	t.Parallel()
	g, c := growing(t), complete(t)
	for name, text := range map[string][]byte{
		"growing-master":        projections.Multivariant(g, playlistURI),
		"growing-720p":          media(t, g, "720p"),
		"complete-master":       projections.Multivariant(c, playlistURI),
		"complete-720p":         media(t, c, "720p"),
		"complete-audio":        media(t, c, "audio"),
		"complete-240p-iframes": media(t, c, "240p-iframes"),
	} {
		file := filepath.Join("testdata", "hls", name+".m3u8")
		want, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v; the text is:\n%s", err, text)
			continue
		}
		if diff := cmp.Diff(string(want), string(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func parseMaster(t *testing.T, p projections.Playback) *m3u8.MasterPlaylist {
	t.Helper()
	list, kind, err := m3u8.DecodeFrom(bytes.NewReader(projections.Multivariant(p, playlistURI)), true)
	if err != nil || kind != m3u8.MASTER {
		t.Fatalf("kind %d: %v", kind, err)
	}
	return list.(*m3u8.MasterPlaylist)
}

func parseMedia(t *testing.T, p projections.Playback, rendition string) *m3u8.MediaPlaylist {
	t.Helper()
	list, kind, err := m3u8.DecodeFrom(bytes.NewReader(media(t, p, rendition)), true)
	if err != nil || kind != m3u8.MEDIA {
		t.Fatalf("%s: kind %d: %v", rendition, kind, err)
	}
	return list.(*m3u8.MediaPlaylist)
}

func TestAnotherParserReadsTheMultivariantPlaylist(t *testing.T) {
	t.Parallel()
	for _, p := range []projections.Playback{growing(t), complete(t)} {
		m := parseMaster(t, p)
		var video, frames []*m3u8.Variant
		for _, v := range m.Variants {
			if v.Iframe {
				frames = append(frames, v)
			} else {
				video = append(video, v)
			}
		}
		if len(video) != 2 || (len(frames) == 2) != p.Complete || !m.IndependentSegments() {
			t.Fatalf("complete %t: %d variants, %d of keyframes", p.Complete, len(video), len(frames))
		}
		top := video[0]
		if top.URI != "720p.m3u8" || top.Resolution != "1280x720" || top.FrameRate != 25 || top.Codecs != "avc1.64001f,mp4a.40.2" ||
			top.Audio != "audio" || top.Bandwidth < top.AverageBandwidth {
			t.Errorf("complete %t: %+v", p.Complete, top.VariantParams)
		}
		if len(top.Alternatives) != 1 || top.Alternatives[0].Language != "en" || top.Alternatives[0].URI != "audio.m3u8" {
			t.Errorf("audio: %+v", top.Alternatives)
		}
		for _, v := range m.Variants { // whatever is listed is there
			parseMedia(t, p, strings.TrimSuffix(v.URI, ".m3u8"))
		}
	}
}

func TestAnotherParserReadsTheMediaPlaylists(t *testing.T) {
	t.Parallel()
	g, c := growing(t), complete(t)
	for _, rendition := range []string{"720p", "240p", "audio"} {
		before, after := parseMedia(t, g, rendition), parseMedia(t, c, rendition)
		if before.Closed || before.MediaType != m3u8.EVENT || !after.Closed || after.MediaType != m3u8.VOD {
			t.Errorf("%s: growing closed %t type %d, complete closed %t type %d",
				rendition, before.Closed, before.MediaType, after.Closed, after.MediaType)
		}
		if before.TargetDuration != 4 || after.TargetDuration != 4 || after.Map == nil {
			t.Errorf("%s: target durations %d and %d, map %v", rendition, before.TargetDuration, after.TargetDuration, after.Map)
		}
		var total float64
		for i, s := range after.GetAllSegments() {
			total += s.Duration
			if i == 0 && s.URI != before.GetAllSegments()[0].URI {
				t.Errorf("%s: the first segment changed", rendition)
			}
			if math.Round(s.Duration) > float64(after.TargetDuration) {
				t.Errorf("%s: segment %d lasts %f s", rendition, i, s.Duration)
			}
		}
		if math.Abs(total-14) > 0.001 {
			t.Errorf("%s lasts %f s, want 14", rendition, total)
		}
	}
	frames := parseMedia(t, c, "720p-iframes")
	if !frames.Iframe || frames.Count() != 7 || frames.GetAllSegments()[1].Offset == 0 || frames.GetAllSegments()[1].Limit != 62_500 {
		t.Errorf("keyframes: %+v", frames)
	}
}

func TestRenditionsThatAreNotThere(t *testing.T) {
	t.Parallel()
	g := growing(t)
	silent := g
	silent.Audio = nil
	for rendition, p := range map[string]projections.Playback{
		"1080p": g, "": g, "720p-iframes": g, "720p-iframes-iframes": g, "audio-iframes": g, "audio": silent,
	} {
		if _, err := projections.MediaPlaylist(p, rendition, blobURI); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", rendition, err)
		}
	}
	if m := parseMaster(t, silent); m.Variants[0].Codecs != "avc1.64001f" || m.Variants[0].Audio != "" {
		t.Errorf("a silent video: %+v", m.Variants[0].VariantParams)
	}
}

func TestAnnouncedBandwidthIsMeasured(t *testing.T) {
	t.Parallel()
	p := complete(t)
	silent := p
	silent.Audio = nil
	// One heavy segment among four: the peak is its rate. The short last one alone is none.
	p.Renditions[0].Segments[1].Bytes = 3_000_000
	p.Renditions[0].Segments[3].Duration, p.Renditions[0].Segments[3].Bytes = 0.5, 900_000
	if v := parseMaster(t, silent).Variants[0]; v.Bandwidth != 8*3_000_000/4 {
		t.Errorf("BANDWIDTH %d, want %d", v.Bandwidth, 8*3_000_000/4)
	}
	p.Audio[0].Language = ""
	if text := string(projections.Multivariant(p, playlistURI)); !strings.Contains(text, `LANGUAGE="und"`) {
		t.Error("an unknown language is not called so:\n" + text)
	}
	p.Audio[0].Language = "e\"n\nx"
	if text := string(projections.Multivariant(p, playlistURI)); !strings.Contains(text, `LANGUAGE="enx"`) {
		t.Error("a language broke out of its attribute:\n" + text)
	}
}
