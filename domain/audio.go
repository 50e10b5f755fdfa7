package domain

import (
	"fmt"
	"slices"
	"strconv"
)

// AudioKind says what a track of sound is for, where it is not the sound of the video in some language.
type AudioKind string

// The kinds. An empty one is the sound itself.
const (
	Commentary  AudioKind = "commentary"  // somebody talks about the video
	Description AudioKind = "description" // what is seen is told, for people who do not see it
)

// MaxAudio is how many tracks of sound are taken from a source.
const MaxAudio = 16

// AudioName returns what a track of sound is called in addresses, by its number in the plan.
func AudioName(track int) string {
	if track == 0 {
		return "audio"
	}
	return "audio-" + strconv.Itoa(track+1)
}

// AudioTracks returns all tracks of sound, the one that players begin with first.
func (s SourceInfo) AudioTracks() []AudioInfo {
	if s.Audio == nil {
		return nil
	}
	return append([]AudioInfo{*s.Audio}, s.MoreAudio...)
}

// AudioTracks returns what will be made of each track of sound. Their numbers in events and tasks are their places here.
func (p Plan) AudioTracks() []AudioPlan {
	if p.Audio == nil {
		return nil
	}
	return append([]AudioPlan{*p.Audio}, p.MoreAudio...)
}

// withAudio returns the plan with the source's sound.
func (p Plan) withAudio(s SourceInfo) Plan {
	for i, a := range s.AudioTracks() {
		track := AudioPlan{
			BitRate: audioBitRate, Channels: min(2, max(1, a.Channels)), SampleRate: audioSampleRate,
			Language: a.Language, Title: a.Title, Kind: a.Kind,
		}
		if i == 0 {
			p.Audio = &track
		} else {
			p.MoreAudio = append(p.MoreAudio, track)
		}
	}
	return p
}

// NeedsAudio says whether the work of a track of sound is still wanted.
func (v Video) NeedsAudio(attempt, track int) error {
	if err := v.current(attempt); err != nil {
		return err
	}
	if track < 0 || track >= len(v.Run.Audio) || v.Run.Audio[track].Done {
		return fmt.Errorf("%w: attempt %d needs no %s", ErrSuperseded, attempt, AudioName(track))
	}
	return nil
}

// RecordAudio takes the next part of a track of sound. A worker that starts over reports only what is not recorded yet.
func (v Video) RecordAudio(e AudioTranscoded) ([]Event, error) {
	if err := v.NeedsAudio(e.Attempt, e.Track); err != nil {
		return nil, err
	}
	if next := v.Run.Audio[e.Track].Parts; e.Part != next {
		return nil, fmt.Errorf("%w: part %d of %s, the next is %d", ErrSuperseded, e.Part, AudioName(e.Track), next)
	}
	return v.completed([]Event{e}), nil
}

// LeaveAudioOut goes on without a track of sound that cannot be made. Where it is the only one left the attempt fails,
// as it does when the fault may be ours and the track is what players begin with: nobody is to get another language
// because of a full disk.
func (v Video) LeaveAudioOut(attempt, track int, f Failure) ([]Event, error) {
	if err := v.NeedsAudio(attempt, track); err != nil {
		return nil, err
	}
	left := slices.ContainsFunc(v.Run.Audio[:track], TrackRun.offered) || slices.ContainsFunc(v.Run.Audio[track+1:], TrackRun.offered)
	if !left || (track == 0 && f.Code == Internal) {
		return v.FailTranscode(attempt, f)
	}
	return v.completed([]Event{AudioLeftOut{Attempt: attempt, Track: track, Failure: f}}), nil
}

func (t TrackRun) offered() bool { return !t.LeftOut }

// audio returns the run with one track of sound changed.
func (r Run) audio(track int, change func(TrackRun) TrackRun) Run {
	if track >= 0 && track < len(r.Audio) {
		r.Audio = slices.Clone(r.Audio)
		r.Audio[track] = change(r.Audio[track])
	}
	return r
}
