package projections

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// audioGroup writes the EXT-X-MEDIA tags of the sound, and returns the attribute that names their group.
//
// Players choose by language among those that are AUTOSELECT=YES, which are to differ in it or in what they are for
// (RFC 8216, 4.3.4.1.1); a commentary is never what somebody gets without asking.
func audioGroup(b *strings.Builder, p Playback, uri func(string) string) (attribute string) {
	titles := p.audioTitles()
	chosen := map[string]bool{}
	for i, a := range p.Audio {
		purpose := ""
		if a.Kind == domain.Description {
			purpose = `CHARACTERISTICS="public.accessibility.describes-video",`
		}
		key := languageTag(a.Language) + purpose
		auto := i == 0 || (!chosen[key] && a.Kind != domain.Commentary)
		chosen[key] = chosen[key] || auto
		fmt.Fprintf(b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"%s\",%sDEFAULT=%s,AUTOSELECT=%s,%sCHANNELS=\"%d\",URI=\"%s\"\n",
			titles[i], languageAttribute(a.Language), yes(i == 0), yes(auto), purpose, a.Channels, uri(a.Name))
		attribute = `,AUDIO="audio"`
	}
	return attribute
}

func yes(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

// audioTitles returns what people are to choose by. Names in a group are unique (RFC 8216, 4.3.4.1.1).
func (p Playback) audioTitles() []string {
	titles, taken := make([]string, len(p.Audio)), map[string]bool{}
	for i, a := range p.Audio {
		title := quotable(a.Title)
		if title == "" {
			title = audioTitle(a)
		}
		titles[i] = title
		for n := 2; taken[titles[i]]; n++ {
			titles[i] = fmt.Sprintf("%s (%d)", title, n)
		}
		taken[titles[i]] = true
	}
	return titles
}

// audioTitle is what a track is called that has no title.
func audioTitle(a PlaybackAudio) string {
	title := "Audio"
	switch a.Kind {
	case domain.Commentary:
		title = "Commentary"
	case domain.Description:
		title = "Audio description"
	}
	if tag := languageTag(a.Language); tag != "" {
		return title + " (" + tag + ")"
	}
	return title
}

// audioRate is measured; while the track grows, the peak is at least what its encoder may use.
func audioRate(p Playback, a PlaybackAudio) rate {
	m := measure(spans(a.Segments), targetDuration(p))
	if !a.Ended {
		m.peak = max(m.peak, int64(a.BitRate))
	}
	return m
}

// largestAudio is what the network must carry beside the pictures, whatever track is chosen.
func (p Playback) largestAudio() (most rate) {
	for _, a := range p.Audio {
		r := audioRate(p, a)
		most.peak, most.average = max(most.peak, r.peak), max(most.average, r.average)
	}
	return most
}

// audioCodecs lists the formats of the sound.
func (p Playback) audioCodecs() (codecs []string) {
	for _, a := range p.Audio {
		if !strings.Contains(strings.Join(codecs, ","), a.Codecs) {
			codecs = append(codecs, a.Codecs)
		}
	}
	return codecs
}

// audioSets are the AdaptationSets of the sound: one a track, since players do not change within a set what is heard.
func audioSets(p Playback, uri func(domain.Blob) string) (sets []mpdSet) {
	titles := p.audioTitles()
	for i, a := range p.Audio {
		set := mpdSet{
			ContentType: "audio", MimeType: "audio/mp4", Language: languageTag(a.Language), Alignment: true, StartWithSAP: 1,
			Role: mpdDescriptor{"urn:mpeg:dash:role:2011", audioRole(a, i == 0)},
			Representations: []mpdRepresentation{{
				ID: a.Name, Bandwidth: audioRate(p, a).peak, Codecs: a.Codecs,
				// ISO/IEC 23091-3 (as 23003-3 before it): the value is the number of channels up to 6.
				Channels: &mpdDescriptor{"urn:mpeg:dash:23003:3:audio_channel_configuration:2011", strconv.Itoa(a.Channels)},
				List:     segmentList(a.Init, a.Segments, uri),
			}},
		}
		if len(p.Audio) > 1 || a.Title != "" {
			set.Label = titles[i]
		}
		if a.Kind == domain.Description { // ETSI TS 103 285 (DVB-DASH), 7.1.2: 1 is for people who do not see
			set.Accessibility = &mpdDescriptor{"urn:tva:metadata:cs:AudioPurposeCS:2007", "1"}
		}
		sets = append(sets, set)
	}
	return sets
}

// audioRole is of the scheme of ISO/IEC 23009-1, 5.8.5.5.
func audioRole(a PlaybackAudio, first bool) string {
	switch {
	case first:
		return "main"
	case a.Kind != "":
		return string(a.Kind)
	}
	return "alternate"
}
