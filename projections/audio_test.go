package projections_test

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// inFive is planned with five tracks of sound.
func inFive(attempt int) domain.Event {
	e, _ := planned(attempt).(domain.TranscodePlanned)
	track := func(language, title string, kind domain.AudioKind) domain.AudioPlan {
		return domain.AudioPlan{BitRate: 128_000, Channels: 2, SampleRate: 48_000, Language: language, Title: title, Kind: kind}
	}
	e.Plan.MoreAudio = []domain.AudioPlan{
		track("de", "", ""), track("en", "", domain.Commentary), track("en", "", domain.Description), track("de", "Audio (de)", ""),
	}
	return e
}

// heard is a part of a track: those behind the first are larger by a tenth each.
func heard(attempt, track, part int) domain.Event {
	e, _ := audioDone(attempt, part).(domain.AudioTranscoded)
	e.Track = track
	for i := range e.Segments {
		e.Segments[i].Key = strings.Replace(e.Segments[i].Key, "audio/", domain.AudioName(track)+"/", 1)
		e.Segments[i].Bytes += e.Segments[i].Bytes / 10 * int64(track)
	}
	return e
}

func inManyLanguages(t *testing.T, more ...domain.Event) projections.Playback {
	t.Helper()
	p := newPlayedBack(t).given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1}, inFive(1),
		chunkDone(1, 0), heard(1, 0, 0), heard(1, 0, 1), chunkDone(1, 1), chunkDone(1, 2))
	for track := 4; track > 0; track-- {
		p.given(heard(1, track, 0), heard(1, track, 1))
	}
	return p.given(more...).given(produced(1)...).playable()
}

func TestTracksOfSoundAreListedWhenTheyAreThere(t *testing.T) {
	t.Parallel()
	p := newPlayedBack(t).given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1}, inFive(1), chunkDone(1, 0), heard(1, 1, 0))
	p.notPlayable("only the second track is there")
	names := func() (all []string) {
		t.Helper()
		b := p.playable()
		for _, a := range b.Audio {
			all = append(all, fmt.Sprintf("%s %d", a.Name, len(a.Segments)))
			if text := projections.Multivariant(b, playlistURI); !strings.Contains(string(text), `URI="`+a.Name+`.m3u8"`) {
				t.Errorf("%s is not in\n%s", a.Name, text)
			}
			media(t, b, a.Name)
		}
		return all
	}
	check := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, names()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	p.given(heard(1, 0, 0))
	check("audio 1", "audio-2 1")
	p.given(heard(1, 3, 0), heard(1, 1, 1), heard(1, 1, 1)) // a part that comes twice
	check("audio 1", "audio-2 4", "audio-4 1")
	p.given(domain.AudioLeftOut{Attempt: 1, Track: 1})
	check("audio 1", "audio-4 1")
	p.given(domain.AudioLeftOut{Attempt: 1, Track: 0})
	p.notPlayable("nothing is there of what players begin with now")
	p.given(heard(1, 2, 0))
	check("audio-3 1", "audio-4 1")
}

func TestPlaylistsWithManyTracksOfSound(t *testing.T) {
	t.Parallel()
	p := inManyLanguages(t)
	manifest, err := projections.Manifest(p, blobURI)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{
		filepath.Join("testdata", "hls", "audio-master.m3u8"): projections.Multivariant(p, playlistURI),
		filepath.Join("testdata", "dash", "audio.mpd"):        manifest,
	} {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v; the text is:\n%s", err, text)
			continue
		}
		if diff := cmp.Diff(string(want), string(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	for i, a := range parseMaster(t, p).Variants[0].Alternatives {
		if a.Default != (i == 0) || a.URI != domain.AudioName(i)+".m3u8" {
			t.Errorf("track %d: %+v", i, a)
		}
	}
	without := inManyLanguages(t, domain.AudioLeftOut{Attempt: 1, Track: 4})
	if rate, less := parseMaster(t, p).Variants[0].Bandwidth, parseMaster(t, without).Variants[0].Bandwidth; rate <= less {
		t.Errorf("with the largest track %d bit/s are announced, without it %d", rate, less)
	}
}

// Whatever a title is, it stays within its quotes, and no two are the same.
func TestTitlesOfSoundCannotBreakPlaylists(t *testing.T) {
	t.Parallel()
	hostile := []string{
		"a\"b", "a\"b", "\n#EXT-X-ENDLIST", "x\",URI=\"http://elsewhere/", strings.Repeat("long", 3000), "\xff\xfe", "",
		"Audio", "Audio (2)", "\u2028\u0000", "<Label>&", "Audio",
	}
	p := complete(t)
	first := p.Audio[0]
	p.Audio = nil
	for i, title := range hostile {
		a := first
		a.Name, a.Title, a.Language = domain.AudioName(i), domain.CleanLabel(title), title
		p.Audio = append(p.Audio, a)
	}
	names := map[string]bool{}
	for _, a := range parseMaster(t, p).Variants[0].Alternatives {
		if names[a.Name] || a.Name == "" || strings.ContainsAny(a.Name, "\"\n\r") {
			t.Errorf("a name is empty, or twice, or breaks its line: %q", a.Name)
		}
		names[a.Name] = true
	}
	if len(names) != len(hostile) {
		t.Errorf("%d names of %d tracks", len(names), len(hostile))
	}
	text, err := projections.Manifest(p, blobURI)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Sets []struct {
			Label string `xml:"Label"`
		} `xml:"Period>AdaptationSet"`
	}
	if err := xml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if n := len(read.Sets); n != len(hostile)+1 {
		t.Errorf("%d sets", n)
	}
}

func TestTheCatalogListsTracksOfSound(t *testing.T) {
	t.Parallel()
	events := []domain.Event{
		created(domain.PublishAuto),
		domain.VideoUploaded{Attempt: 1},
		inFive(1),
		chunkDone(1, 0),
		heard(1, 1, 0),
		domain.AudioLeftOut{Attempt: 1, Track: 0},
		heard(1, 2, 0),
		heard(1, 2, 1),
	}
	fold := func(n int) projections.Video {
		var recorded []domain.Recorded
		for i, e := range events[:n] {
			recorded = append(recorded, domain.Recorded{Stream: string(played), Position: domain.Position(i + 1), Version: i + 1, Event: e})
		}
		return projections.FoldVideo(recorded)
	}
	if v := fold(5); v.Playable {
		t.Error("it is playable without what players begin with")
	}
	v := fold(6)
	if !v.Playable {
		t.Error("it is not playable with the second track, which is the first now")
	}
	v = fold(len(events))
	var got []string
	for _, a := range v.Audio {
		got = append(got, fmt.Sprint(a.Name, " ", a.Language, " ", a.Kind, " ", a.Status))
	}
	want := []string{"audio en  failed", "audio-2 de  encoding", "audio-3 en commentary encoded", "audio-4 en description waiting", "audio-5 de  waiting"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// While it is encoded again, what is served is listed as it is.
	events = append(append(events, produced(1)...), domain.TranscodeRequested{Attempt: 2}, planned(2), heard(2, 0, 0))
	if v = fold(len(events)); len(v.Audio) != 5 || len(v.NextAudio) != 1 || v.NextAudio[0].Status != projections.RenditionEncoding {
		t.Errorf("while it is encoded again: %+v, next %+v", v.Audio, v.NextAudio)
	}
	events = append(events, produced(2)...)
	if v = fold(len(events)); len(v.Audio) != 1 || v.NextAudio != nil {
		t.Errorf("after that: %+v, next %+v", v.Audio, v.NextAudio)
	}
}
