package projections

import (
	"slices"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// assembly joins the rows of one attempt, which come in the order of their keys, to what can be played.
type assembly struct {
	attempt  int
	complete bool
	plan     *PlaybackPlan
	chunks   []*PlaybackChunk // from 0 on, without a gap
	remux    []*PlaybackPart
	audio    map[int][]*PlaybackPart // by track
	leftOut  map[int]bool
	poster   *domain.Blob
	tiles    *domain.StoryboardProduced
	preview  *domain.Blob
	captions []domain.CaptionAdded
	chapters []domain.Chapter
}

func (a *assembly) add(row PlaybackRow) {
	switch {
	case row.Plan != nil && row.Plan.Attempt == a.attempt:
		a.plan = row.Plan
	case row.Chunk != nil && row.Chunk.Attempt == a.attempt && row.Chunk.Chunk == len(a.chunks):
		a.chunks = append(a.chunks, row.Chunk)
	case row.Remux != nil && row.Remux.Attempt == a.attempt && row.Remux.Part == len(a.remux):
		a.remux = append(a.remux, row.Remux)
	case row.Audio != nil && row.Audio.Attempt == a.attempt && row.Audio.Part == len(a.audio[row.Audio.Track]):
		a.audio[row.Audio.Track] = append(a.audio[row.Audio.Track], row.Audio)
	case row.LeftOut != nil && row.LeftOut.Attempt == a.attempt:
		a.leftOut[row.LeftOut.Track] = true
	case row.Poster != nil && row.Poster.Attempt == a.attempt:
		a.poster = &row.Poster.Image
	case row.Storyboard != nil && row.Storyboard.Attempt == a.attempt:
		a.tiles = row.Storyboard
	case row.Caption != nil && (row.Caption.Attempt == a.attempt || row.Caption.Attempt == 0):
		a.captions = append(a.captions, *row.Caption)
	case row.Source != nil && row.Source.Attempt == a.attempt:
		a.chapters = row.Source.Chapters
	case row.Preview != nil && row.Preview.Attempt == a.attempt:
		a.preview = &row.Preview.Image
	}
}

// playback returns false as long as something that the multivariant playlist must list has no segment: a player reads
// that playlist once, so audio that came later would never be heard.
//
// A remuxed source is there long before what is encoded of it. Until all is there it is the only rendition: a player
// that switched to another one would come to its end at once.
func (a *assembly) playback() (Playback, bool) {
	if a.plan == nil {
		return Playback{}, false
	}
	audio, ok := a.tracks()
	if !ok {
		return Playback{}, false
	}
	p := Playback{
		Duration: a.plan.Duration, Longest: a.plan.Longest, Audio: audio, AudioOnly: a.plan.AudioOnly,
		Poster: a.poster, Storyboard: a.tiles, Preview: a.preview, Captions: a.captions, Chapters: a.chapters,
	}
	slices.SortFunc(p.Captions, func(a, b domain.CaptionAdded) int { return strings.Compare(CaptionName(a), CaptionName(b)) })
	encoded := 0
	for _, rung := range a.plan.Rungs {
		r := PlaybackRendition{
			Name: rung.Name, Width: rung.Width, Height: rung.Height, FrameRate: a.plan.FrameRate, MaxRate: rung.MaxRate,
		}
		if rung.Remux {
			for i, part := range a.remux {
				if i == 0 { // as players were told when there was only that
					r.Init, r.Codecs = part.Init, part.Codecs
				}
				r.Ended = part.Final
				r.Segments = append(r.Segments, part.Segments...)
			}
		} else if !a.addChunks(&r, encoded) {
			return Playback{}, false
		} else {
			encoded++
		}
		if len(r.Segments) == 0 {
			return Playback{}, false
		}
		p.Renditions = append(p.Renditions, r)
		if rung.Remux && !a.complete {
			break
		}
	}
	return p, true
}

// tracks returns the sound that is there; false while that is nothing of what players begin with. Nobody waits for the
// other tracks: until a first segment of one is there, it is not listed.
func (a *assembly) tracks() (all []PlaybackAudio, ok bool) {
	first := true
	for track, plan := range a.plan.Audio {
		if a.leftOut[track] {
			continue
		}
		t := PlaybackAudio{
			Name: domain.AudioName(track), Title: plan.Title, Language: plan.Language, Kind: plan.Kind,
			Channels: plan.Channels, BitRate: plan.BitRate,
		}
		for i, part := range a.audio[track] {
			if i == 0 { // as players were told when there was only that
				t.Init, t.Codecs = part.Init, part.Codecs
			}
			t.Ended = part.Final
			t.Segments = append(t.Segments, part.Segments...)
		}
		switch {
		case len(t.Segments) > 0:
			all = append(all, t)
		case first:
			return nil, false
		}
		first = false
	}
	return all, true
}

// addChunks adds what the chunks have of the rung that stands at i among those encoded.
func (a *assembly) addChunks(r *PlaybackRendition, i int) bool {
	for _, c := range a.chunks {
		if i >= len(c.Renditions) {
			return false
		}
		if r.Init.Key == "" {
			r.Init, r.Codecs = c.Renditions[i].Init, c.Renditions[i].Codecs
		}
		r.Segments = append(r.Segments, c.Renditions[i].Segments...)
	}
	r.Ended = a.complete
	return true
}
