package projections

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// Playlists follow RFC 8216 and Apple's HLS Authoring Specification; numbers of its rules stand at the lines.

const (
	// iFrames ends the names of playlists that hold keyframes only, for scrubbing.
	iFrames = "-iframes"
	// growthMargin is what is announced over a rung's cap while its measured peak is not known.
	growthMargin = 1.1
)

// Multivariant renders the playlist that lists the renditions. uri gives the address of a media playlist: of a
// rendition or track of sound by its name, or of a rendition's keyframes by its name with "-iframes" at its end.
func Multivariant(p Playback, uri func(rendition string) string) []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	audio := p.largestAudio()
	groups := audioGroup(&b, p, uri)
	groups += captionGroup(&b, p, uri)
	if len(p.Chapters) > 0 {
		b.WriteString("#EXT-X-SESSION-DATA:DATA-ID=\"com.apple.hls.chapters\",URI=\"chapters.json\"\n")
	}
	for _, r := range p.Renditions {
		video := videoRate(p, r)
		codecs := strings.Join(append([]string{r.Codecs}, p.audioCodecs()...), ",")
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\",RESOLUTION=%dx%d,FRAME-RATE=%.3f%s,CLOSED-CAPTIONS=NONE\n%s\n",
			video.peak+audio.peak, video.average+audio.average, codecs, r.Width, r.Height, r.FrameRate.Float(), groups,
			uri(r.Name))
	}
	if p.AudioOnly && len(p.Audio) > 0 {
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\"%s,CLOSED-CAPTIONS=NONE\n%s\n",
			audio.peak, audio.average, strings.Join(p.audioCodecs(), ","), groups, uri(p.Audio[0].Name))
	}
	for _, r := range p.Renditions {
		frames := keyframes(r)
		if !p.Complete || len(frames) == 0 {
			continue
		}
		m := measure(frames, targetDuration(p))
		fmt.Fprintf(&b, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\",RESOLUTION=%dx%d,URI=\"%s\"\n",
			m.peak, m.average, r.Codecs, r.Width, r.Height, uri(r.Name+iFrames))
	}
	return []byte(b.String())
}

// MediaPlaylist renders one rendition's playlist; uri gives the address of a blob. ErrNotFound when there is no such
// rendition now.
func MediaPlaylist(p Playback, rendition string, uri func(domain.Blob) string) ([]byte, error) {
	for _, a := range p.Audio {
		if a.Name == rendition {
			return mediaPlaylist(p, a.Init, a.Segments, a.Ended, uri), nil
		}
	}
	if name, ok := strings.CutPrefix(rendition, captionsPrefix); ok {
		c, err := Caption(p, name)
		if err != nil {
			return nil, err
		}
		return captionPlaylist(p, c, uri), nil
	}
	for _, r := range p.Renditions {
		switch {
		case r.Name == rendition:
			return mediaPlaylist(p, r.Init, r.Segments, r.Ended, uri), nil
		case r.Name+iFrames == rendition && p.Complete && len(keyframes(r)) > 0:
			return iFramePlaylist(p, r, uri), nil
		}
	}
	return nil, fmt.Errorf("rendition %q of video %s: %w", rendition, p.ID, domain.ErrNotFound)
}

func mediaPlaylist(
	p Playback, init domain.Blob, segments []domain.Segment, ended bool, uri func(domain.Blob) string,
) []byte {
	var b strings.Builder
	head(&b, p, ended)
	fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s\"\n", uri(init))
	for _, s := range segments {
		fmt.Fprintf(&b, "#EXTINF:%.5f,\n%s\n", s.Duration, uri(s.Blob))
	}
	if ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return []byte(b.String())
}

func iFramePlaylist(p Playback, r PlaybackRendition, uri func(domain.Blob) string) []byte {
	var b strings.Builder
	head(&b, p, true)
	fmt.Fprintf(&b, "#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI=\"%s\"\n", uri(r.Init))
	for _, f := range keyframes(r) {
		fmt.Fprintf(&b, "#EXTINF:%.5f,\n#EXT-X-BYTERANGE:%d@%d\n%s\n", f.duration, f.bytes, f.offset, uri(f.blob))
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return []byte(b.String())
}

// head writes what all media playlists begin with. Players begin a growing playlist at its end unless EXT-X-START says
// otherwise.
func head(b *strings.Builder, p Playback, ended bool) {
	kind := "VOD"
	if !ended {
		kind = "EVENT"
	}
	fmt.Fprintf(b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n"+
		"#EXT-X-PLAYLIST-TYPE:%s\n#EXT-X-INDEPENDENT-SEGMENTS\n", targetDuration(p), kind)
	if !ended {
		b.WriteString("#EXT-X-START:TIME-OFFSET=0\n")
	}
}

// targetDuration is one for all playlists of a video (rule 8.2), in seconds: the longest segment, rounded (RFC 8216,
// 4.3.3.1). It must not change while they grow (6.2.1), so it is the plan's. A segment of sound ends up to a frame after
// the pictures, one of a remuxed source up to a picture beside the plan.
func targetDuration(p Playback) int { return max(1, int(math.Round(p.Longest+segmentMargin))) }

// segmentMargin is by how many seconds a segment may be longer than planned.
const segmentMargin = 0.03

// languageAttribute is there also where the language is not known (rule 8.10); "und" says so (BCP 47).
func languageAttribute(language string) string {
	return `LANGUAGE="` + cmp.Or(languageTag(language), "und") + `",`
}

// languageTag drops what cannot stand in a BCP 47 tag: it was read from the source, and must not end the attribute.
func languageTag(language string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || (r >= '0' && r <= '9') || (r >= 'A' && r <= 'Z') || (r >= 'a' && r <= 'z') {
			return r
		}
		return -1
	}, language)
}
