package ffmpeg

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// mainFirst puts the track in front that players are to begin with: the first that the file marks as default, where that
// is the sound of the video and not a talk about it. As many tracks stay as are taken.
func mainFirst(tracks []stream) []stream {
	first := slices.IndexFunc(tracks, func(s stream) bool { return s.Disposition["default"] == 1 && audioKind(s) == "" })
	if first < 0 {
		first = max(0, slices.IndexFunc(tracks, func(s stream) bool { return audioKind(s) == "" }))
	}
	if first > 0 {
		tracks = slices.Concat(tracks[first:first+1], tracks[:first], tracks[first+1:])
	}
	return tracks[:min(len(tracks), domain.MaxAudio)]
}

func audioKind(s stream) domain.AudioKind {
	switch {
	case s.Disposition["visual_impaired"] == 1, s.Disposition["descriptions"] == 1:
		return domain.Description
	case s.Disposition["comment"] == 1:
		return domain.Commentary
	}
	return ""
}

// withSound adds the tracks of sound that have any.
func withSound(s domain.SourceInfo, p probe, t *timing) domain.SourceInfo {
	for i, a := range p.audio {
		if t.sound[i].packets == 0 {
			continue
		}
		rate, _ := strconv.Atoi(a.SampleRate)
		info := domain.AudioInfo{
			Track: a.Index, Codec: a.Codec, Channels: a.Channels, SampleRate: rate,
			Language: language(a.Tags["language"]), Title: soundTitle(a.Tags), Kind: audioKind(a),
		}
		for _, gap := range t.sound[i].silences {
			info.Silences = append(info.Silences, domain.Silence{From: float64(gap[0]) / 1e6, To: float64(gap[1]) / 1e6})
		}
		if s.Audio == nil {
			s.Audio = &info
		} else {
			s.MoreAudio = append(s.MoreAudio, info)
		}
	}
	return s
}

// soundTitle takes the name of an MP4 file's handler where somebody has given it: programs leave theirs there, such as
// "SoundHandler", "Core Media Audio" and "ISO Media file produced by Google Inc.".
func soundTitle(tags map[string]string) string {
	if title := domain.CleanLabel(cmp.Or(tags["title"], tags["name"])); title != "" {
		return title
	}
	name := domain.CleanLabel(tags["handler_name"])
	for _, word := range []string{"handler", "handle", "media", "iso", "gpac", "sound", "hdlr", "mainconcept", "l-smash"} {
		if strings.Contains(strings.ToLower(name), word) {
			return ""
		}
	}
	return name
}

// soundOf finds the track that an inspection listed; one of before there were several is the first of the file.
func (p probe) soundOf(info domain.AudioInfo) (stream, bool) {
	if i := slices.IndexFunc(p.audio, func(s stream) bool { return s.Index == info.Track }); i >= 0 {
		return p.audio[i], true
	}
	if len(p.audio) == 0 || info.Track != 0 {
		return stream{}, false
	}
	return slices.MinFunc(p.audio, func(a, b stream) int { return a.Index - b.Index }), true
}

// soundTiming is what the packets of a track of sound say.
type soundTiming struct {
	packets int
	end     int64      // microseconds from the container's start
	gaps    [][2]int64 // the absurd ones, from and to; not more than somebody means

	silences [][2]int64 // the long ones, in which no packet lies
	heard    int64      // where the next one would begin
}

// longSilence is one that is not made in memory, see silence. A source that lasts as long as is taken has room for no more
// than maxSilences of them.
const (
	longSilence = 30e6
	maxSilences = 1500
)

// maxGaps is more than any sound has that somebody wants to hear.
const maxGaps = 1000

// packet takes the next packet, which lasts from one time to another.
func (s *soundTiming) packet(from, to int64) {
	if from-s.end > absurdGap && len(s.gaps) < maxGaps {
		s.gaps = append(s.gaps, [2]int64{s.end, from})
	}
	s.end = max(s.end, to)
	for n := len(s.silences); n > 0 && from < s.silences[n-1][1]; n-- { // the time before has jumped
		s.heard = s.silences[n-1][0]
		s.silences = s.silences[:n-1]
	}
	if from-s.heard > longSilence && len(s.silences) < maxSilences {
		s.silences = append(s.silences, [2]int64{s.heard, from})
	}
	s.heard = max(s.heard, to)
}

// until returns when the sound ends beside pictures that end at some time. What comes a minute after all else has broken
// time stamps: nobody waits for it, and an hour of a still picture would be made of it.
func (s *soundTiming) until(pictures int64) int64 {
	for _, gap := range s.gaps {
		if gap[1] > pictures+absurdGap {
			return gap[0]
		}
	}
	return s.end
}

// heard returns when the sound ends that players begin with.
func (t *timing) heard() int64 {
	for _, s := range t.sound {
		if s.packets > 0 {
			return s.until(t.latest)
		}
	}
	return 0
}
