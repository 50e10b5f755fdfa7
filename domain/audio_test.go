package domain_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

// inThree is planned with three tracks of sound.
var inThree = func() domain.TranscodePlanned {
	three := info
	three.MoreAudio = []domain.AudioInfo{
		{Track: 2, Channels: 1, Language: "de", Title: "Deutsch"},
		{Track: 3, Channels: 2, Language: "en", Kind: domain.Commentary},
	}
	return domain.TranscodePlanned{Attempt: 1, Plan: domain.PlanTranscode(three)}
}()

func sound(track int) domain.AudioTranscoded {
	e := audio
	e.Track = track
	return e
}

func leftOut(track int) domain.AudioLeftOut {
	return domain.AudioLeftOut{Attempt: 1, Track: track, Failure: domain.Failure{Code: domain.Malformed}}
}

func recordSound(e domain.AudioTranscoded) func(domain.Video) ([]domain.Event, error) {
	return func(v domain.Video) ([]domain.Event, error) { return v.RecordAudio(e) }
}

func leaveOut(track int, code domain.FailureCode) func(domain.Video) ([]domain.Event, error) {
	return func(v domain.Video) ([]domain.Event, error) {
		return v.LeaveAudioOut(1, track, domain.Failure{Code: code})
	}
}

func TestAPlanHasAllTracksOfSound(t *testing.T) {
	t.Parallel()
	want := []domain.AudioPlan{
		{BitRate: 128_000, Channels: 2, SampleRate: 48_000},
		{BitRate: 128_000, Channels: 1, SampleRate: 48_000, Language: "de", Title: "Deutsch"},
		{BitRate: 128_000, Channels: 2, SampleRate: 48_000, Language: "en", Kind: domain.Commentary},
	}
	if diff := cmp.Diff(want, inThree.Plan.AudioTracks()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	silent := info
	silent.Audio = nil
	if tracks := domain.PlanTranscode(silent).AudioTracks(); len(tracks) != 0 {
		t.Errorf("of no sound it plans %+v", tracks)
	}
	for track, name := range []string{"audio", "audio-2", "audio-3"} {
		if got := domain.AudioName(track); got != name {
			t.Errorf("track %d is called %s, want %s", track, got, name)
		}
	}
}

// What an older program reads must not mean something else to it: of the first track it knows, of the others it does not.
func TestOtherTracksHaveAnEventOfTheirOwn(t *testing.T) {
	t.Parallel()
	for track, want := range []string{"video.audio_transcoded.v1", "video.audio_transcoded.v2"} {
		if got := domain.EventType(sound(track)); got != want {
			t.Errorf("track %d is reported as %s, want %s", track, got, want)
		}
	}
}
